"""The table of self-supervised trainings: what their logs said at the end."""

from __future__ import annotations

from ..scoring.pretraining import METRICS
from ..scoring.scored_system import PRETRAINING, of_kind
from .tables import NOTHING, Results, Table, in_order, number, partition_title, seconds, system_title

COLUMNS = {
    "loss": "Loss, bits",
    "contrastive": "Contrastive, bits",
    "diversity": "Codes unused, share",
    "accuracy": "Accuracy %",
    "code_perplexity": "Code perplexity",
    "prob_perplexity": "Probability perplexity",
}


def all_tables(results: Results) -> list[Table]:
    """One line per pre-training.

    Args:
        results: the results.

    Returns:
        The table, if anything was pre-trained.
    """
    found = of_kind(results["summary"], PRETRAINING)
    if not found:
        return []
    metrics = [name for name in METRICS if any(name in s["metrics"] for s in found)]
    header = ("System", "Protocol", "Seeds", "Hours of audio", "Updates", *(COLUMNS[m] for m in metrics))
    header += ("Parameters", "Training s")
    order = in_order(results, [s["system"] for s in found])
    lines = []
    for s in sorted(found, key=lambda s: (order.index(s["system"]), s["partition"])):
        title = partition_title(results, s["partition"]).removeprefix("Protocol: ")
        cells = [system_title(results, s["system"]), title, str(len(s["seeds"])), _hours(s["hours"])]
        cells += [", ".join(number(n) for n in s["num_updates"])]
        cells += [_figure(s["metrics"].get(m), len(s["seeds"])) for m in metrics]
        lines.append((*cells, number(s["num_parameters"]), seconds(s["train_s"])))
    splits = sorted({"validation" if s["split"] == "valid" else "training" for s in found})
    note = (
        f"As the {' and '.join(splits)} log said at the end. Accuracy: the masked frame's own target found among the "
        "negatives. Perplexities are sums over code books: as low as their number, nothing would have been learnt."
    )
    return [Table("pretraining", "Self-supervised pre-training", header, tuple(lines), note)]


def _hours(hours: float | None) -> str:
    return NOTHING if hours is None else f"{hours:.3g}"


def _figure(metric: dict[str, float] | None, num_seeds: int) -> str:
    if metric is None:
        return NOTHING
    mean = f"{metric['mean']:.4g}"
    return mean if num_seeds < 2 else f"{mean} ({metric['min']:.4g}–{metric['max']:.4g})"
