"""A table of text cells, and how numbers are printed in one.

RESULTS.md prints tables as Markdown, report.html as HTML. Scores are fractions and are printed in percent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NOTHING = "–"
# More columns do not fit on a page; results.json holds all.
MAX_FOLDS = 12


@dataclass(frozen=True)
class Table:
    """A titled table of text cells; the first column names the row.

    Attributes:
        key: short name, unique on the page.
        note: explanation below the table.
        is_control: True for figures that must not be taken for results.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    is_control: bool = False


def filled(tables: Iterable[Table | None]) -> list[Table]:
    """Leave out the tables that nothing was scored for."""
    return [table for table in tables if table]


def side_by_side(title: str, tables: Iterable[Table]) -> Table | None:
    """Put tables about the same things beside each other, a line per name of the first column; None without tables.

    A single table stays as it is.
    """
    parts = list(tables)
    if len(parts) < 2:
        return parts[0] if parts else None
    names = dict.fromkeys(row[0] for table in parts for row in table.rows)
    by_name = [{row[0]: row[1:] for row in table.rows} for table in parts]
    rows = [
        (name, *(cell for t, rows in zip(parts, by_name, strict=True) for cell in rows.get(name, _empty(t))))
        for name in names
    ]
    header = (parts[0].header[0], *(column for table in parts for column in table.header[1:]))
    note = " ".join(table.note for table in parts if table.note)
    return Table("-".join(table.key for table in parts), title, header, tuple(rows), note)


def _empty(table: Table) -> tuple[str, ...]:
    return (NOTHING,) * (len(table.header) - 1)


def percent(value: float) -> str:
    """Print a fraction in percent, such as `87.4`."""
    return f"{100 * value:.1f}"


def spread(metric: Mapping[str, float], num_seeds: int) -> str:
    """Print a mean with its range over seeds, such as `87.4 (86.0–89.1)`, unless it is of one seed or has none."""
    mean = percent(metric["mean"])
    return (
        mean
        if num_seeds < 2 or "min" not in metric
        else f"{mean} ({percent(metric['min'])}–{percent(metric['max'])})"
    )


def interval(metric: Mapping[str, float]) -> str:
    """Print the interval of fractions `low` and `high`, such as `[84.1, 90.3]`."""
    return f"[{percent(metric['low'])}, {percent(metric['high'])}]"


def seconds(value: float | None) -> str:
    """Print a duration in seconds, such as `174` or `0.8`; None when it is not known."""
    return NOTHING if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def number(value: float | None) -> str:
    """Print a whole number, such as `93,546`; None when it is not known."""
    return NOTHING if value is None else f"{value:,.0f}"


def shown_folds(scores: Mapping[str, Mapping[str, float]]) -> tuple[list[str], str]:
    """Return the folds of system -> fold -> score that get a column, and what a note says where they are too many."""
    folds = sorted({fold for of_system in scores.values() for fold in of_system})
    if len(folds) <= MAX_FOLDS:
        return folds, ""
    return [], f" Of {len(folds)} columns only the worst is shown; results.json holds all."


def fold_cells(scores: Mapping[str, float], worst: str, shown: Iterable[str]) -> tuple[str, ...]:
    """Print the worst fold of a system with its score, and the scores of those that get a column."""
    columns = (percent(scores[fold]) if fold in scores else NOTHING for fold in shown)
    return f"{worst} {percent(scores[worst])}", *columns


def slug(partition: str) -> str:
    """Make a partition a part of a table's key, without slashes and spaces, such as `labels-10`."""
    return re.sub(r"[^\w.-]+", "-", partition).strip("-")
