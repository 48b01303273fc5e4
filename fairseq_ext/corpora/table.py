"""Any data set with a table: csv or tsv with a header, a row per recording or segment, in UTF-8.

Columns are found by name; each may be named otherwise. `path` and `class` are needed; `speaker`, `gender`, `group`,
`text`, `split` (train, valid, test and their usual synonyms), `start` and `end` (seconds) are used where they are. The
separator is the most frequent of tab, semicolon, comma and bar in the header. Cells may be quoted, except between tabs:
there a quote is a part of its text, since published tsv files are usually not quoted.
"""

import csv
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..text.published import Report
from .folder_per_class import part_of_path
from .labelled_corpus import Recording

COLUMNS = ("path", "class", "speaker", "gender", "group", "text", "split", "start", "end")
REQUIRED = ("path", "class")
_SEPARATORS = "\t;,|"


def read(
    path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None, on_problem: Report
) -> Iterator[Recording]:
    """List the recordings of a table in the order of the rows.

    Args:
        columns: name in `COLUMNS` -> name in the header, where they differ. For speaker and group a pattern of the
            path may stand instead, see `folder_per_class.part_of_path`.
        on_problem: receives a line for each row that is skipped, with its line number.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column that is needed or named is missing.
    """
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        head = file.readline()
        file.seek(0)
        separator = max(_SEPARATORS, key=head.count)
        rows = csv.reader(
            file, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
        )
        header = [cell.strip() for cell in next(rows, [])]
        found = _Columns(Path(path), header, columns or {})
        for cells in rows:
            where = f"{path}:{rows.line_num}"
            try:
                if any(cell.strip() for cell in cells):
                    yield found.recording(where, cells)
            except ValueError as error:
                on_problem(f"{where}: {error}; skipped")


class _Columns:
    """The columns of a table, and what a row says in them."""

    def __init__(self, path: Path, header: list[str], named: Mapping[str, str]) -> None:
        self._header = header
        names = {column: named.get(column, column) for column in COLUMNS}
        self._number = {column: header.index(name) for column, name in names.items() if name in header}
        self._needed = (*REQUIRED, *(column for column in ("group",) if column in named))
        self._patterns = {}
        for column in ("speaker", "group"):
            if column in named and named[column] not in header:
                self._patterns[column] = part_of_path(named[column], column)
        for column in (*REQUIRED, *named):
            if column not in self._number and column not in self._patterns:
                raise ValueError(
                    f"{path}:1: the header has no column {names[column]!r} for the {column}, only {header}; name "
                    f"the column (--{column} NAME)"
                )

    def recording(self, where: str, cells: list[str]) -> Recording:
        """Read the row at `where`, "file:line"; raise ValueError when it cannot be used."""
        if len(cells) != len(self._header):
            raise ValueError(f"{len(cells)} cells in a table of {len(self._header)} columns")
        # Line ends and tabs would break a manifest; spaces around a cell are slips.
        row = {column: " ".join(cells[number].split()) for column, number in self._number.items()}
        row["path"] = cells[self._number["path"]].strip()
        if any("\udc80" <= letter <= "\udcff" for cell in row.values() for letter in cell):
            raise ValueError("it is not UTF-8; convert the table with iconv")
        row |= {column: part(row["path"]) for column, part in self._patterns.items()}
        if empty := [column for column in self._needed if not row.get(column)]:
            raise ValueError(f"its {empty[0]} is empty")
        start_s, end_s = (_seconds(row.get(column, ""), column) for column in ("start", "end"))
        return Recording(
            where,
            row["path"],
            row["class"],
            speaker=row.get("speaker", ""),
            gender=row.get("gender", ""),
            group=row.get("group", ""),
            text=row.get("text", ""),
            split=row.get("split", ""),
            start_s=0.0 if start_s is None and end_s is not None else start_s,
            end_s=end_s,
        )


def _seconds(cell: str, column: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"its {column} {cell!r} is no number of seconds")
    return value
