"""Tables of classifiers under one headline: a line per system, speaker and class; and which tables there are.

The functions take the results of a run, and a headline: a partition, or a family of folds. A table is None where
nothing was scored for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...scoring.scored_system import CLASSIFICATION, of_result_type
from ..partitions import (
    CROSS_CORPUS,
    INNER,
    ONE_SPEAKER,
    PUBLISHED,
    Results,
    Summary,
    belongs,
    detailed_headlines,
    detailed_system,
    headline_summaries,
    headlines,
    num_speakers,
    partition_title,
    system_title,
)
from ..tables import NOTHING, Table, filled, interval, number, percent, seconds, slug, spread
from . import frozen
from .families import (
    fold_families,
    fold_tables,
    label_efficiency,
    label_partitions,
    leaky_controls,
    leaky_partitions,
    selection,
)

# Nobody reads a longer table to its end.
MAX_SPEAKERS = 40
# With fewer speakers a bootstrap over them has too few different resamples (4 speakers have 35).
FEW_SPEAKERS = 5
COLUMN_NAMES = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "macro_recall": "UA (macro recall)",
}
INTERVALS_NOTE = (
    "Mean over seeds, with the lowest and highest seed in parentheses. Intervals: percentile bootstrap over "
)
DRAWN_NOTES = {
    "recordings": "the {n} test recordings, bounds averaged over seeds; they do not cover other speakers.",
    "speakers": "the speakers of the {n} test recordings, bounds averaged over seeds.",
}


def _published_figure(results: Results, summary: Summary) -> str:
    for figure in results["about"].get("published", []):
        if figure["system"] == summary["system"] and figure["partition"] == summary["partition"]:
            return percent(figure["accuracy"])
    return NOTHING


def scores_table(results: Results, headline: str, key: str, note: str = "") -> Table | None:
    """Make a table with a line per system; None when nothing was scored."""
    found = headline_summaries(results, headline)
    if not found:
        return None
    figures = [_published_figure(results, s) for s in found]
    replaced = any(figure != NOTHING for figure in figures)
    metrics = _shown_metrics(results, found)
    header: list[str] = ["System", "Seeds"]
    for metric in metrics:
        header += [f"{COLUMN_NAMES[metric]} %", "95 % interval"]
    if replaced:
        header.insert(4, "Replaced system, accuracy %")
    header += ["Macro precision / recall %", "Parameters", "Training s"]
    lines = []
    for s, figure in zip(found, figures, strict=True):
        m, count = s["metrics"], len(s["seeds"])
        cells = [system_title(results, s["system"]), str(count)]
        for name in metrics:
            cells += [spread(m[name], count), interval(m[name])]
        if replaced:
            cells.insert(4, figure)
        cells.append(" / ".join(percent(m[name]["mean"]) for name in ("macro_precision", "macro_recall")))
        cells += [number(s["num_parameters"]), seconds(s["train_s"])]
        lines.append(tuple(cells))
    return Table(key, partition_title(results, headline), tuple(header), tuple(lines), note)


def _shown_metrics(results: Results, found: Sequence[Summary]) -> list[str]:
    """Return the metrics with a column: accuracy and macro-F1, after the recipe's own where that is another."""
    first = str(results["about"].get("metric", "accuracy"))
    wanted = dict.fromkeys(
        (first, "accuracy", "macro_f1") if first == "macro_recall" else ("accuracy", "macro_f1")
    )
    return [metric for metric in wanted if all(metric in s["metrics"] for s in found)]


def headline_table(results: Results, headline: str = PUBLISHED) -> Table | None:
    """Make the table of a headline."""
    found = headline_summaries(results, headline)
    return scores_table(
        results, headline, _key(results, "headline", headline), _note(found[0]) if found else ""
    )


def _note(summary: Summary) -> str:
    over = summary.get("intervals_over", "recordings")
    note = INTERVALS_NOTE + DRAWN_NOTES[over].format(n=summary["n"])
    if "folds" in summary:
        folds = len(summary["folds"])
        note += (
            f" Each fold tests other recordings; the predictions of all {folds} folds are scored together."
        )
        if over == "speakers" and (few := num_speakers(summary)) < FEW_SPEAKERS:
            note += f" With {few} speakers the intervals are rough."
    shared = summary.get("num_shared_speakers")
    return note + (f" {shared} OF THE TESTED SPEAKERS WERE TRAINED ON." if shared else "")


def _key(results: Results, name: str, headline: str) -> str:
    """Return a table's key: the bare name where there is one headline."""
    return name if len(headlines(results)) < 2 else f"{name}-{slug(headline)}"


def one_speaker(results: Results) -> Table | None:
    """Make the table of systems trained on one speaker only."""
    return scores_table(results, ONE_SPEAKER, "one-speaker")


def _detail(results: Results, headline: str, group: str, title: str, columns: Sequence[str]) -> Table | None:
    name = detailed_system(results, headline)
    found = [s for s in headline_summaries(results, headline) if s["system"] == name]
    if not found:
        return None
    lines = tuple(
        (item, *(percent(scores[c]) for c in columns), str(scores["n"]))
        for item, scores in found[0][group].items()
    )
    names = tuple(f"{COLUMN_NAMES[c]} %" for c in columns)
    where = f" ({partition_title(results, headline)})" if len(headlines(results)) > 1 else ""
    titled = f"{title}: {system_title(results, str(name))}{where}"
    count = "Recordings" if group == "per_speaker" else "Recordings, all seeds"
    key = _key(results, group.replace("_", "-"), headline)
    return Table(key, titled, (group.removeprefix("per_").capitalize(), *names, count), lines)


def per_speaker(results: Results, headline: str = PUBLISHED) -> Table | None:
    """Make the table of each test speaker's scores, of the detailed system.

    None also for more than `MAX_SPEAKERS`, which results.json holds.
    """
    table = _detail(results, headline, "per_speaker", "Per test speaker", ("accuracy", "macro_f1"))
    return table if table and len(table.rows) <= MAX_SPEAKERS else None


def per_class(results: Results, headline: str = PUBLISHED) -> Table | None:
    """Make the table of each class's scores, of the detailed system."""
    return _detail(results, headline, "per_class", "Per class", ("precision", "recall", "f1"))


def other_partitions(results: Results) -> list[Table]:
    """Make a plain table for every partition that no other table shows."""
    shown = [
        *headlines(results),
        ONE_SPEAKER,
        INNER,
        CROSS_CORPUS,
        *fold_families(results),
        *label_partitions(results).values(),
        *leaky_partitions(results),
    ]
    partitions = {s["partition"] for s in of_result_type(results["summary"], CLASSIFICATION)}
    rest = sorted(p for p in partitions if not any(belongs(p, prefix) for prefix in shown))
    return filled(scores_table(results, p, f"partition-{slug(p)}") for p in rest)


def _first_tables(results: Results) -> list[Table]:
    return filled(headline_table(results, headline) for headline in headlines(results))


def _family_tables(results: Results) -> list[Table]:
    return filled([*fold_tables(results), label_efficiency(results), *leaky_controls(results)])


def main_tables(results: Results) -> list[Table]:
    """Make the tables for the terminal."""
    return [*_first_tables(results), *_family_tables(results)] or other_partitions(results)


def all_tables(results: Results) -> list[Table]:
    """Make every table of classifiers for RESULTS.md; `about.details` names the headlines that have all of them."""
    heads = detailed_headlines(results)
    return [
        *_first_tables(results),
        *filled([one_speaker(results), frozen.cross_corpus(results)]),
        *_family_tables(results),
        *filled(per_speaker(results, headline) for headline in heads),
        *filled(per_class(results, headline) for headline in heads),
        *filled(frozen.details(results, headline) for headline in heads),
        *filled([selection(results)]),
        *other_partitions(results),
    ]
