"""The tables of verification: a line per system; one table for a partition, or for all folds of a family, and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...scoring.pair_kinds import KINDS, SAME
from ...scoring.scored_system import VERIFICATION, of_result_type
from ..partitions import Results, Summary, bare_title, family_of, family_title, in_order, system_title
from ..tables import NOTHING, Table, interval, number, slug, spread
from .folds import FOLDS_NOTE, mean_of_folds

HEADER = (
    *("System", "Seeds", "EER %", "95 % over speakers", "minDCF 0.05", "minDCF 0.01"),
    *("Recall@1 %", "Recall@5 %", "Nearest centroid %", "Silhouette"),
)


def all_tables(results: Results) -> list[Table]:
    """Make the tables, in the order of the partitions."""
    return [table for tables in by_partition(results).values() for table in tables]


def by_partition(results: Results) -> dict[tuple[str, str], list[Table]]:
    """Return the tables of each partition or family and label: errors, then those of pairs of each kind, if scored."""
    return {
        key: [_table(results, *key, found), *_pairs_tables(results, *key, found)]
        for key, found in groups(results).items()
    }


def groups(results: Results) -> dict[tuple[str, str], list[Summary]]:
    """Return the summaries that share a table, by label and partition, or family where it has several."""
    every = of_result_type(results["summary"], VERIFICATION)
    found: dict[tuple[str, str], list[Summary]] = {}
    for s in every:
        family = family_of(s["partition"])
        folds = {
            o["partition"] for o in every if o["label"] == s["label"] and family_of(o["partition"]) == family
        }
        place = family if family and len(folds) > 1 else s["partition"]
        found.setdefault((place, s["label"]), []).append(s)
    return found


def _title(results: Results, place: str) -> str:
    return family_title(results, place) if place.endswith("/") else bare_title(results, place)


def _rows(results: Results, place: str, found: Sequence[Summary]) -> list[tuple[str, Summary]]:
    """Return the lines: each system; of a family its mean over several folds, then each."""
    rows = []
    for name in in_order(results, [s["system"] for s in found]):
        mine = sorted((s for s in found if s["system"] == name), key=lambda s: str(s["partition"]))
        title = system_title(results, name)
        if not place.endswith("/"):
            rows += [(title, s) for s in mine]
            continue
        if len(mine) > 1:
            rows.append((f"{title}, mean of {len(mine)} folds", mean_of_folds(mine)))
        rows += [(f"{title}, {s['partition'].removeprefix(place)}", s) for s in mine]
    return rows


def _pairs_tables(results: Results, place: str, label: str, found: list[Summary]) -> list[Table]:
    """Return a table per stream by which pairs were divided."""
    divided = [s for s in found if s.get("pairs_by")]
    tables = []
    for stream in dict.fromkeys(s["pairs_by"]["stream"] for s in divided):
        mine = [s for s in divided if s["pairs_by"]["stream"] == stream]
        lines = [_pairs_line(title, s) for title, s in _rows(results, place, mine)]
        title = f"Verification by {label}, pairs by {stream}: {_title(results, place)}"
        key = f"verification-{slug(place)}-{slug(label)}-{slug(stream)}"
        columns = [f"{kind} {stream}, EER %" for kind in ("Same", "Other")]
        header = ("System", "Seeds", columns[0], "95 %", columns[1], "95 %")
        note = _pairs_note(mine[0]["pairs_by"], label) + _folds_note(place)
        tables.append(Table(key, title, header, tuple(lines), note))
    return tables


def _pairs_line(title: str, s: Summary) -> tuple[str, ...]:
    seeds, cells = len(s["seeds"]), []
    for kind in KINDS:
        eer = s["pairs_by"][kind]["eer"]
        cells += [NOTHING, NOTHING] if eer is None else [spread(eer, seeds), interval(eer)]
    return (title, str(seeds), *cells)


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


def _table(results: Results, place: str, label: str, found: list[Summary]) -> Table:
    lines = [_line(title, s) for title, s in _rows(results, place, found)]
    title = f"Verification by {label}: {_title(results, place)}"
    note = _note(found[0], label) + _folds_note(place)
    return Table(f"verification-{slug(place)}-{slug(label)}", title, HEADER, tuple(lines), note)


def _folds_note(place: str) -> str:
    return f" {FOLDS_NOTE}" if place.endswith("/") else ""


def _line(title: str, s: Summary) -> tuple[str, ...]:
    seeds, metrics = len(s["seeds"]), s["metrics"]
    costs = [f"{metrics[f'min_dcf_{p}']['mean']:.3f}" for p in ("0.05", "0.01")]
    shares = [spread(metrics[name], seeds) for name in ("recall_1", "recall_5", "nearest_centroid")]
    shape = NOTHING if s["silhouette"] is None else f"{s['silhouette']['mean']:.3f}"
    eer = metrics["eer"]
    return (
        title,
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
