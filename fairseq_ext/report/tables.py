"""Tables as plain cells, and what every table asks of the results: names, orders, the system shown in detail.

RESULTS.md prints them as Markdown, report.html as HTML. Every number comes from results.json; scores are
printed in percent. Which tables there are: `markdown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..scoring.scored_system import CLASSIFICATION, of_kind

PUBLISHED, ONE_SPEAKER = "published", "one_speaker"
LEFT_OUT, LABELS, LEAKY, INNER = "loso/", "labels/", "leaky/", "inner/"
TITLES = {
    PUBLISHED: "Published split, unseen speakers",
    ONE_SPEAKER: "Labels of one speaker only, tested on unseen speakers",
}
NOTHING = "–"

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


def system_title(results: Results, name: str) -> str:
    """The name of a system for readers.

    Args:
        results: the results.
        name: its row name.

    Returns:
        The recipe's title for it, else its row name in words.
    """
    return str(results["about"].get("systems", {}).get(name, name.replace("_", " ")))


def in_order(results: Results, names: Iterable[str]) -> list[str]:
    """Orders systems as the recipe lists them; others follow alphabetically.

    Args:
        results: the results.
        names: row names.

    Returns:
        Each name once.
    """
    order = {name: i for i, name in enumerate(results["about"].get("systems", {}))}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))


def partition_title(results: Results, partition: str) -> str:
    """The name of a partition for readers.

    Args:
        results: the results; `about.partitions` may name it.
        partition: such as `published`.

    Returns:
        Its title.
    """
    named = results["about"].get("partitions", {})
    return str(named.get(partition, TITLES.get(partition, f"Protocol: {partition}")))


def summaries(results: Results, prefix: str, kind: str = CLASSIFICATION) -> list[Summary]:
    """Picks the summaries of a partition.

    Args:
        results: the results.
        prefix: a partition, or a family of partitions when it ends in `/`.
        kind: of the rows.

    Returns:
        Summaries in the recipe's order of systems.
    """
    found = [s for s in of_kind(results["summary"], kind) if belongs(s["partition"], prefix)]
    order = in_order(results, [s["system"] for s in found])
    return sorted(found, key=lambda s: (order.index(s["system"]), s["partition"]))


def belongs(partition: str, prefix: str) -> bool:
    """Says whether a partition is meant.

    Args:
        partition: of a row.
        prefix: a partition, or a family of partitions when it ends in `/`.

    Returns:
        True when it is that partition or one of the family.
    """
    return partition == prefix or (prefix.endswith("/") and partition.startswith(prefix))


def headlines(results: Results, kind: str = CLASSIFICATION) -> list[str]:
    """The partitions whose systems are shown in detail.

    Args:
        results: the results; `about.headline` lists them, the published split is the default.
        kind: of the rows.

    Returns:
        Those under which rows of the kind were run, in the recipe's order.
    """
    listed = results["about"].get("headline", [PUBLISHED])
    return [partition for partition in listed if summaries(results, partition, kind)]


def detailed_system(results: Results, partition: str = PUBLISHED, kind: str = CLASSIFICATION) -> str | None:
    """The system whose details are shown: the recipe's choice, never the best test score.

    Args:
        results: the results; `about.best` is a row, or a mapping from partitions or kinds to rows.
        partition: under which it was run.
        kind: of the rows.

    Returns:
        Its row name; the last system of the partition when the recipe names none that was run.
    """
    names = [s["system"] for s in summaries(results, partition, kind)] or in_order(
        results, [s["system"] for s in of_kind(results["summary"], kind)]
    )
    best = results["about"].get("best")
    chosen = best.get(partition, best.get(kind)) if isinstance(best, Mapping) else best
    return chosen if chosen in names else (names[-1] if names else None)


def seconds(value: float | None) -> str:
    """Prints a duration.

    Args:
        value: seconds, or None when it is not known.

    Returns:
        Such as `174` or `0.8`.
    """
    return NOTHING if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def number(value: float | None) -> str:
    """Prints a whole number.

    Args:
        value: the number, or None when it is not known.

    Returns:
        Such as `93,546`.
    """
    return NOTHING if value is None else f"{value:,.0f}"
