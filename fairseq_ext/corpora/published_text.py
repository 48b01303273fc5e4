"""Text files of corpora. They pass through many hands: byte-order marks and Windows line ends do no harm here."""

import os
from collections.abc import Callable, Iterator

Report = Callable[[str], None]


def published_lines(path: str | os.PathLike[str], report: Report) -> Iterator[tuple[int, str]]:
    """Stream every line, also empty ones, since rows of two files often correspond by number.

    Args:
        path: the file; only "\\n" ends a line, a carriage return before it belongs to the line's end.
        report: receives one line per line that is not UTF-8; it counts as empty.

    Yields:
        Number, from 1, and text.
    """
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                yield number, raw.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                report(f"{path}:{number}: it is not UTF-8 ({error}); taken as empty")
                yield number, ""


def as_written(text: str) -> str:
    """Return a sentence as it is, without what a manifest cannot hold.

    Args:
        text: a sentence.

    Returns:
        It with single spaces (a line separator counts as one), without byte-order marks and zeros.
    """
    return " ".join(text.replace("\ufeff", "").replace("\0", "").split())
