"""Files as every stage writes and reads them: there whole or not at all; text in UTF-8 with "\\n" line ends."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from .file_errors import reading, writing
from .leftovers import remove_leftovers_once, temporary_path

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and move it onto `path` when the block succeeds.

    Whoever looks at `path` sees the old content or the new, never a part. On an exception the temporary file
    is removed and `path` stays as it was; that of a killed process is removed when another one first writes in the
    folder (`leftovers`). Hand an open file to writers that add a suffix to a path (`numpy.savez`).

    Args:
        path: the file to appear; its folder is created.
        durable: wait until the disk has it, so that a power cut leaves the old content or the new; False: for files
            that are checked before they are used, and made again.

    Yields:
        The path to write to.

    Raises:
        FileError: for a full or read-only disk, no permission, and the like; also where the block meets them.
    """
    target = Path(path)
    temporary = temporary_path(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers_once(target.parent.absolute())
        try:
            yield temporary
            if durable:  # before the move, or a power cut could leave the name without the content
                flush_to_disk(temporary)
            os.replace(temporary, target)
            if durable:
                flush_to_disk(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new temporary folder, and rename it to `path` when the block succeeds; else it is removed.

    Raises:
        FileError: as `atomic_path`, and where a folder with files is at `path`.
    """
    target = Path(path)
    temporary = temporary_path(target)
    with writing(target):
        temporary.mkdir(parents=True)
        remove_leftovers_once(target.parent.absolute())
        try:
            yield temporary
            os.rename(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file that appears under its name only when all of it is there; its folder is created."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a text file (UTF-8, "\\n" line ends) that appears under its name only when the block succeeds."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        yield file


def write_reasons(path: str | os.PathLike[str], rows: Iterable[tuple[str, str]]) -> None:
    """Write a table of what was left out, a name and the reason a line."""
    with atomic_write(path) as file:
        file.writelines(f"{name}\t{reason}\n" for name, reason in rows)


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """Stream the lines of a UTF-8 file without their line ends; only "\\n" ends a line.

    Raises:
        ValueError: naming file and line, for a line that is not UTF-8, ends as on Windows, or starts with a
            byte-order mark.
    """
    with reading(path), open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            yield _decode_line(raw, path, number)


def _decode_line(raw: bytes, path: str | os.PathLike[str], number: int) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{number}: it is not UTF-8 ({error}); convert it with iconv") from error
    if "\r" in line:
        raise ValueError(f"{path}:{number}: there is a carriage return; run sed -i 's/\\r$//' {path}")
    if number == 1 and line.startswith("\ufeff"):
        raise ValueError(f"{path}:1: there is a byte-order mark; run sed -i '1s/^\\xEF\\xBB\\xBF//'")
    return line.removesuffix("\n")


def printable(text: str) -> str:
    """Return a text that a terminal or a page shows and does not obey: control characters as escapes, such as `\\x1b`.

    Line ends and tabs stay. Marks that reverse the direction of what follows, and bytes of names that are not UTF-8,
    are escaped too.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def split_row(line: str, num_columns: int, where: str) -> list[str]:
    """Split a row at its tabs.

    Args:
        line: the row without its line end.
        num_columns: how many columns it must have.
        where: "file:line" for the message.

    Raises:
        ValueError: for another number of columns.
    """
    cells = line.split("\t")
    if len(cells) != num_columns:
        raise ValueError(
            f"{where}: expected {num_columns} tab-separated columns, found {len(cells)}; "
            "write the manifest again"
        )
    return cells
