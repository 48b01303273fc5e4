"""Text files that passed through many hands: byte-order marks and Windows line ends do no harm here."""

import os
from collections.abc import Callable, Iterator

Report = Callable[[str], None]


def published_lines(
    path: str | os.PathLike[str], report: Report, *, effect: str = "taken as empty"
) -> Iterator[tuple[int, str]]:
    """Stream number, from 1, and text of every line, also empty ones: rows of two files often correspond by number.

    Only "\\n" ends a line, a carriage return before it belongs to the line's end. `report` receives one line per line
    that is not UTF-8, with its `effect`; it counts as empty.
    """
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                yield number, raw.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                report(f"{path}:{number}: it is not UTF-8 ({error}); {effect}")
                yield number, ""


def table_rows(
    path: str | os.PathLike[str], needed: tuple[str, ...], report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    """Stream number and cells by column of the rows of a table with a header, separated by tabs and never quoted.

    `report` receives one line per row that is skipped: another number of cells, or not UTF-8.

    Raises:
        ValueError: a column is missing.
    """
    lines = published_lines(path, report, effect="skipped")
    header = next(lines, (1, ""))[1].split("\t")
    if not set(needed) <= set(header):
        raise ValueError(
            f"{path}:1: the columns {', '.join(needed)} expected, found {header}; unpack the corpus again, or give "
            "another file"
        )
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif line:
            report(f"{path}:{number}: {len(header)} columns expected, found {len(cells)}; skipped")


def as_written(text: str) -> str:
    """Return a sentence as it is, with single spaces, without byte-order marks and zeros, which no manifest holds."""
    return " ".join(text.replace("\ufeff", "").replace("\0", "").split())
