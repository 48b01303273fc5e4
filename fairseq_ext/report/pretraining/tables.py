"""The table of self-supervised trainings: the figures at the end of their logs."""

from __future__ import annotations

from ...scoring.pretraining import METRICS
from ...scoring.scored_system import PRETRAINING, of_result_type
from ..partitions import Results, bare_title, in_order, system_title
from ..tables import NOTHING, Table, number, seconds

COLUMNS = {
    "loss": "Loss, bits",
    "contrastive": "Contrastive, bits",
    "diversity": "Codes unused, share",
    "accuracy": "Accuracy %",
    "code_perplexity": "Code perplexity",
    "prob_perplexity": "Probability perplexity",
}


def all_tables(results: Results) -> list[Table]:
    """Make the table with a line per pre-training."""
    found = of_result_type(results["summary"], PRETRAINING)
    if not found:
        return []
    metrics = [name for name in METRICS if any(name in s["metrics"] for s in found)]
    header = ("System", "Partition", "Seeds", "Hours of audio", "Updates", *(COLUMNS[m] for m in metrics))
    header += ("Parameters", "Training s")
    order = in_order(results, [s["system"] for s in found])
    lines = []
    for s in sorted(found, key=lambda s: (order.index(s["system"]), s["partition"])):
        cells = [
            system_title(results, s["system"]),
            bare_title(results, s["partition"]),
            str(len(s["seeds"])),
            _hours(s["hours"]),
        ]
        cells += [", ".join(number(n) for n in s["num_updates"])]
        cells += [_figure(s["metrics"].get(m), len(s["seeds"])) for m in metrics]
        lines.append((*cells, number(s["num_parameters"]), seconds(s["train_s"])))
    splits = sorted({"validation" if s["split"] == "valid" else "training" for s in found})
    note = (
        f"From the end of the {' and '.join(splits)} log. Accuracy: the masked frame's own target found among the "
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
