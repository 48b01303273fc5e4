"""The tables of verification: a line per system, a table per partition and label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...scoring.pair_kinds import KINDS, SAME
from ...scoring.scored_system import VERIFICATION, of_result_type
from ..partitions import Results, Summary, bare_title, in_order, system_title
from ..tables import NOTHING, Table, interval, number, slug, spread

HEADER = (
    *("System", "Seeds", "EER %", "95 % over speakers", "minDCF 0.05", "minDCF 0.01"),
    *("Recall@1 %", "Recall@5 %", "Nearest centroid %", "Silhouette"),
)


def all_tables(results: Results) -> list[Table]:
    """Make the tables, in the order of the partitions."""
    return [table for tables in by_partition(results).values() for table in tables]


def by_partition(results: Results) -> dict[tuple[str, str], list[Table]]:
    """Return the tables of each partition and label: errors, and those of pairs of each kind where they were scored."""
    found: dict[tuple[str, str], list[Summary]] = {}
    for s in of_result_type(results["summary"], VERIFICATION):
        found.setdefault((s["partition"], s["label"]), []).append(s)
    return {
        key: [_table(results, *key, mine), *_pairs_tables(results, *key, mine)] for key, mine in found.items()
    }


def _pairs_tables(results: Results, partition: str, label: str, found: list[Summary]) -> list[Table]:
    """Return a table per stream by which pairs were divided."""
    divided = [s for s in found if s.get("pairs_by")]
    tables = []
    for stream in dict.fromkeys(s["pairs_by"]["stream"] for s in divided):
        mine = [s for s in divided if s["pairs_by"]["stream"] == stream]
        order = in_order(results, [s["system"] for s in mine])
        lines = [_pairs_line(results, s) for s in sorted(mine, key=lambda s: order.index(s["system"]))]
        title = f"Verification by {label}, pairs by {stream}: {bare_title(results, partition)}"
        key = f"verification-{slug(partition)}-{slug(label)}-{slug(stream)}"
        columns = [f"{kind} {stream}, EER %" for kind in ("Same", "Other")]
        header = ("System", "Seeds", columns[0], "95 %", columns[1], "95 %")
        tables.append(Table(key, title, header, tuple(lines), _pairs_note(mine[0]["pairs_by"], label)))
    return tables


def _pairs_line(results: Results, s: Summary) -> tuple[str, ...]:
    seeds, cells = len(s["seeds"]), []
    for kind in KINDS:
        eer = s["pairs_by"][kind]["eer"]
        cells += [NOTHING, NOTHING] if eer is None else [spread(eer, seeds), interval(eer)]
    return (system_title(results, s["system"]), str(seeds), *cells)


def _pairs_note(by: Mapping[str, Any], label: str) -> str:
    counts = [
        f"{number(by[kind]['num_targets'])} pairs of the same {label} and {number(by[kind]['num_others'])} others with "
        f"{'the same' if kind == SAME else 'another'} {by['stream']}"
        for kind in KINDS
    ]
    unknown = f", {number(by['num_unknown'])} with an unknown one left out" if by["num_unknown"] else ""
    return (
        f"{' and '.join(counts)}{unknown}. Equal rates mean that the {by['stream']} changes nothing. Intervals: "
        "bootstrap of the test speakers, mean over seeds."
    )


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
