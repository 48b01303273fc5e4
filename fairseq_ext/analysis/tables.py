"""The tables of a run as plain cells: one line per system, per speaker and per class.

RESULTS.md prints them as Markdown, report.html as HTML. Every number comes from results.json; scores are
printed in percent. Tables over several protocols are in `protocol_tables`, the whole list in `markdown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PUBLISHED, ONE_SPEAKER = "published", "one_speaker"
LEFT_OUT, LABELS, LEAKY, INNER = "loso/", "labels/", "leaky/", "inner/"
COLUMN_NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
LEAKY_LABEL = "leaky control: not a result"

Results = Mapping[str, Any]
Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A titled table of text cells; the first column names the row.

    Attributes:
        key: short name, unique on the page.
        title: heading.
        header: column names.
        rows: cells.
        note: what a reader must know to read it.
        is_control: True for figures that must not be taken for results.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    is_control: bool = False


def percent(value: float) -> str:
    """Prints a fraction in percent.

    Args:
        value: 0..1.

    Returns:
        Such as `87.4`.
    """
    return f"{100 * value:.1f}"


def spread(metric: Mapping[str, float], num_seeds: int) -> str:
    """Prints a mean with its range over seeds.

    Args:
        metric: `mean`, `min`, `max`.
        num_seeds: how many seeds there are; one has no range.

    Returns:
        Such as `87.4 (86.0–89.1)`.
    """
    mean = percent(metric["mean"])
    return mean if num_seeds < 2 else f"{mean} ({percent(metric['min'])}–{percent(metric['max'])})"


def interval(metric: Mapping[str, float]) -> str:
    """Prints an interval.

    Args:
        metric: `low`, `high`.

    Returns:
        Such as `[84.1, 90.3]`.
    """
    return f"[{percent(metric['low'])}, {percent(metric['high'])}]"


def row_title(results: Results, name: str) -> str:
    """The name of a system for readers.

    Args:
        results: the results.
        name: its row name.

    Returns:
        The recipe's title for it, else its row name in words.
    """
    return str(results["about"].get("rows", {}).get(name, name.replace("_", " ")))


def in_order(results: Results, names: Iterable[str]) -> list[str]:
    """Orders systems as the recipe lists them; others follow alphabetically.

    Args:
        results: the results.
        names: row names.

    Returns:
        Each name once.
    """
    order = {name: i for i, name in enumerate(results["about"].get("rows", {}))}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))


def summaries(results: Results, prefix: str) -> list[Summary]:
    """Picks the summaries of a protocol.

    Args:
        results: the results.
        prefix: a protocol, or a family of protocols when it ends in `/`.

    Returns:
        Summaries in the recipe's order of systems.
    """
    found = [
        s
        for s in results["summary"]
        if s["protocol"] == prefix or (prefix.endswith("/") and s["protocol"].startswith(prefix))
    ]
    order = in_order(results, [s["row"] for s in found])
    return sorted(found, key=lambda s: (order.index(s["row"]), s["protocol"]))


def detailed_row(results: Results) -> str | None:
    """The system whose details are shown: the recipe's choice, never the best test score.

    Args:
        results: the results.

    Returns:
        Its row name; the last system of the published protocol when the recipe names none that was run.
    """
    names = [s["row"] for s in summaries(results, PUBLISHED)] or in_order(
        results, [s["row"] for s in results["summary"]]
    )
    chosen = results["about"].get("best")
    return chosen if chosen in names else (names[-1] if names else None)


def _published_figure(results: Results, summary: Summary) -> str:
    for figure in results["about"].get("published", []):
        if figure["row"] == summary["row"] and figure["protocol"] == summary["protocol"]:
            return percent(figure["accuracy"])
    return "–"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def scores_table(results: Results, protocol: str, key: str, title: str, note: str = "") -> Table | None:
    """One line per system under one protocol.

    Args:
        results: the results.
        protocol: such as `published`.
        key: the table's key.
        title: the table's heading.
        note: text below it.

    Returns:
        The table, or None when nothing was run under the protocol.
    """
    found = summaries(results, protocol)
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
    replaced = any(figure != "–" for figure in figures)
    lines = []
    for s, figure in zip(found, figures, strict=True):
        m, count = s["metrics"], len(s["seeds"])
        cells = [row_title(results, s["row"]), str(count)]
        for name in ("accuracy", "macro_f1"):
            cells += [spread(m[name], count), interval(m[name])]
        cells.append(" / ".join(percent(m[name]["mean"]) for name in ("macro_precision", "macro_recall")))
        cells += ["–" if s["num_parameters"] is None else f"{s['num_parameters']:,}", _seconds(s["train_s"])]
        lines.append((*cells[:4], figure, *cells[4:]) if replaced else tuple(cells))
    if replaced:
        header = (*header[:4], "Replaced system, accuracy %", *header[4:])
    return Table(key, title, header, tuple(lines), note)


INTERVALS_NOTE = (
    "Mean over seeds, with the lowest and highest seed in parentheses. Intervals: percentile bootstrap over "
    "the {n} test recordings, bounds averaged over seeds; they do not cover other speakers."
)


def headline(results: Results) -> Table | None:
    """Systems on the published speaker-independent split.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    found = summaries(results, PUBLISHED)
    note = INTERVALS_NOTE.format(n=found[0]["n"]) if found else ""
    return scores_table(results, PUBLISHED, "headline", "Published split, unseen speakers", note)


def one_speaker(results: Results) -> Table | None:
    """Systems trained on one speaker only.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    title = "Labels of one speaker only, tested on unseen speakers"
    return scores_table(results, ONE_SPEAKER, "one-speaker", title)


def _detail(results: Results, group: str, key: str, title: str, columns: Sequence[str]) -> Table | None:
    name = detailed_row(results)
    found = [s for s in summaries(results, PUBLISHED) if s["row"] == name]
    if not found:
        return None
    lines = tuple(
        (item, *(percent(scores[c]) for c in columns), str(scores["n"]))
        for item, scores in found[0][group].items()
    )
    words = tuple(f"{COLUMN_NAMES[c]} %" for c in columns)
    titled = f"{title}: {row_title(results, str(name))}"
    count = "Recordings" if group == "per_speaker" else "Recordings, all seeds"
    return Table(key, titled, (group.removeprefix("per_").capitalize(), *words, count), lines)


def per_speaker(results: Results) -> Table | None:
    """Scores of each test speaker on the published split, for the detailed system.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    return _detail(results, "per_speaker", "per-speaker", "Per test speaker", ("accuracy", "macro_f1"))


def per_class(results: Results) -> Table | None:
    """Scores of each class on the published split, for the detailed system.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    return _detail(results, "per_class", "per-class", "Per class", ("precision", "recall", "f1"))
