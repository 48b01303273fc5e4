"""Tables of classifiers under one partition: one line per system, per speaker and per class."""

from __future__ import annotations

from collections.abc import Sequence

from .tables import (
    NOTHING,
    ONE_SPEAKER,
    PUBLISHED,
    Results,
    Summary,
    Table,
    detailed_system,
    headlines,
    interval,
    number,
    partition_title,
    percent,
    seconds,
    spread,
    summaries,
    system_title,
)

# Nobody reads a longer table to its end.
MAX_SPEAKERS = 40
COLUMN_NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}


def _published_figure(results: Results, summary: Summary) -> str:
    for figure in results["about"].get("published", []):
        if figure["system"] == summary["system"] and figure["partition"] == summary["partition"]:
            return percent(figure["accuracy"])
    return NOTHING


def scores_table(results: Results, partition: str, key: str, title: str, note: str = "") -> Table | None:
    """One line per system under one partition.

    Args:
        results: the results.
        partition: such as `published`.
        key: the table's key.
        title: the table's heading.
        note: text below it.

    Returns:
        The table, or None when nothing was run under the partition.
    """
    found = summaries(results, partition)
    if not found:
        return None
    figures = [_published_figure(results, s) for s in found]
    header: tuple[str, ...] = (
        "System",
        "Seeds",
        "Accuracy %",
        "95 % interval",
        "Macro-F1 %",
        "95 % interval",
    )
    header += ("Macro precision / recall %", "Parameters", "Training s")
    replaced = any(figure != NOTHING for figure in figures)
    lines = []
    for s, figure in zip(found, figures, strict=True):
        m, count = s["metrics"], len(s["seeds"])
        cells = [system_title(results, s["system"]), str(count)]
        for name in ("accuracy", "macro_f1"):
            cells += [spread(m[name], count), interval(m[name])]
        cells.append(" / ".join(percent(m[name]["mean"]) for name in ("macro_precision", "macro_recall")))
        cells += [number(s["num_parameters"]), seconds(s["train_s"])]
        lines.append((*cells[:4], figure, *cells[4:]) if replaced else tuple(cells))
    if replaced:
        header = (*header[:4], "Replaced system, accuracy %", *header[4:])
    return Table(key, title, header, tuple(lines), note)


INTERVALS_NOTE = (
    "Mean over seeds, with the lowest and highest seed in parentheses. Intervals: percentile bootstrap over "
)
DRAWN_NOTES = {
    "recordings": "the {n} test recordings, bounds averaged over seeds; they do not cover other speakers.",
    "speakers": "the speakers of the {n} test recordings, bounds averaged over seeds.",
}


def headline(results: Results, partition: str = PUBLISHED) -> Table | None:
    """Systems under a partition that the recipe puts first.

    Args:
        results: the results.
        partition: the partition.

    Returns:
        The table, or None.
    """
    found = summaries(results, partition)
    note = _note(found[0]) if found else ""
    key = _key(results, "headline", partition)
    return scores_table(results, partition, key, partition_title(results, partition), note)


def _note(summary: Summary) -> str:
    drawn = DRAWN_NOTES[summary.get("intervals_over", "recordings")].format(n=summary["n"])
    shared = summary.get("num_shared_speakers")
    warning = f" {shared} OF THE TESTED SPEAKERS WERE TRAINED ON." if shared else ""
    return INTERVALS_NOTE + drawn + warning


def _key(results: Results, name: str, partition: str) -> str:
    """A table's key: the bare name where the recipe has one such partition."""
    listed = headlines(results)
    return name if len(listed) < 2 else f"{name}-{partition.replace('/', '-')}"


def one_speaker(results: Results) -> Table | None:
    """Systems trained on one speaker only.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    return scores_table(results, ONE_SPEAKER, "one-speaker", partition_title(results, ONE_SPEAKER))


def _detail(results: Results, partition: str, group: str, title: str, columns: Sequence[str]) -> Table | None:
    name = detailed_system(results, partition)
    found = [s for s in summaries(results, partition) if s["system"] == name]
    if not found:
        return None
    lines = tuple(
        (item, *(percent(scores[c]) for c in columns), str(scores["n"]))
        for item, scores in found[0][group].items()
    )
    words = tuple(f"{COLUMN_NAMES[c]} %" for c in columns)
    where = f" ({partition_title(results, partition)})" if len(headlines(results)) > 1 else ""
    titled = f"{title}: {system_title(results, str(name))}{where}"
    count = "Recordings" if group == "per_speaker" else "Recordings, all seeds"
    key = _key(results, group.replace("_", "-"), partition)
    return Table(key, titled, (group.removeprefix("per_").capitalize(), *words, count), lines)


def per_speaker(results: Results, partition: str = PUBLISHED) -> Table | None:
    """Scores of each test speaker, for the detailed system.

    Args:
        results: the results.
        partition: the partition.

    Returns:
        The table, or None; None also for more than `MAX_SPEAKERS`, which results.json holds.
    """
    table = _detail(results, partition, "per_speaker", "Per test speaker", ("accuracy", "macro_f1"))
    return table if table and len(table.rows) <= MAX_SPEAKERS else None


def per_class(results: Results, partition: str = PUBLISHED) -> Table | None:
    """Scores of each class, for the detailed system.

    Args:
        results: the results.
        partition: the partition.

    Returns:
        The table, or None.
    """
    return _detail(results, partition, "per_class", "Per class", ("precision", "recall", "f1"))
