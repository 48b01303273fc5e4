"""The tables of verification: a line per system, a table per partition and label."""

from __future__ import annotations

from ...scoring.scored_system import VERIFICATION, of_result_type
from ..partitions import Results, Summary, bare_title, in_order, system_title
from ..tables import NOTHING, Table, interval, number, slug, spread

HEADER = (
    *("System", "Seeds", "EER %", "95 % over speakers", "minDCF 0.05", "minDCF 0.01"),
    *("Recall@1 %", "Recall@5 %", "Nearest centroid %", "Silhouette"),
)


def all_tables(results: Results) -> list[Table]:
    """Make the tables, in the order of the partitions."""
    found = of_result_type(results["summary"], VERIFICATION)
    keys = list(dict.fromkeys((s["partition"], s["label"]) for s in found))
    return [_table(results, partition, label, [s for s in found if (s["partition"], s["label"]) == (partition, label)])
            for partition, label in keys]  # fmt: skip


def _table(results: Results, partition: str, label: str, found: list[Summary]) -> Table:
    order = in_order(results, [s["system"] for s in found])
    lines = [_line(results, s) for s in sorted(found, key=lambda s: order.index(s["system"]))]
    title = f"Verification by {label}: {bare_title(results, partition)}"
    return Table(
        f"verification-{slug(partition)}-{slug(label)}", title, HEADER, tuple(lines), _note(found[0], label)
    )


def _line(results: Results, s: Summary) -> tuple[str, ...]:
    seeds, metrics = len(s["seeds"]), s["metrics"]
    costs = [f"{metrics[f'min_dcf_{p}']['mean']:.3f}" for p in ("0.05", "0.01")]
    shares = [spread(metrics[name], seeds) for name in ("recall_1", "recall_5", "nearest_centroid")]
    shape = NOTHING if s["silhouette"] is None else f"{s['silhouette']['mean']:.3f}"
    eer = metrics["eer"]
    return (
        system_title(results, s["system"]),
        str(seeds),
        spread(eer, seeds),
        interval(eer),
        *costs,
        *shares,
        shape,
    )


def _note(s: Summary, label: str) -> str:
    trials = s["trials"]
    rule = "All pairs of different test recordings"
    if trials["pairs"] == "drawn":
        rule = f"Pairs of test recordings drawn with seed {trials['seed']}"
    left_out = trials["num_same_speaker_left_out"]
    across = f", {number(left_out)} pairs of one speaker left out" if left_out else ""
    return (
        f"{rule}: {number(trials['num_targets'])} with the same {label}, {number(trials['num_others'])} others{across}"
        f"; {number(s['n'])} recordings of {number(s['num_speakers'])} speakers. EER: both errors equal, 50 by chance. "
        "minDCF: least cost at that prior of a target, 1 = a decision without hearing. Intervals: bootstrap of the "
        "test speakers, mean over seeds."
    )
