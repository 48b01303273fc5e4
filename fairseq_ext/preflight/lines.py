"""Readers that go on after a bad line, so that all problems of a file are found in one run.

`fairseq_ext.manifest` has the strict readers that training uses; formats are described there.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..file_errors import FileError, reading
from ..manifest import parse_audio_path
from .findings import Findings, FindingType

__all__ = ["BAD_COLUMNS", "AudioRow", "audio_rows", "read_root_folder", "tolerant_lines"]

NOT_TEXT = FindingType(
    "lines that are not UTF-8 with \\n line ends", "convert the file: iconv, then sed -i 's/\\r$//'"
)
UNREADABLE = FindingType("files that cannot be read", "do what the message says, or write the manifest again")
BAD_COLUMNS = FindingType("wrong columns", "write the manifest again")


@dataclass(frozen=True, slots=True)
class AudioRow:
    """A row of an audio tsv."""

    line: int  # in the file, from 1
    audio: str  # the first column as it stands
    path: str  # path of the file, relative to the root
    start_sample: int  # first sample of a segment, else 0
    num_samples: int | None  # None when the row cannot be read
    is_segment: bool  # whether only a part of the file is meant


def tolerant_lines(path: Path, findings: Findings | None = None) -> Iterator[str]:
    """Stream the lines of a file without their ends, bad ones too; a missing file has none.

    Args:
        path: the file; bytes that are no UTF-8 become U+FFFD.
        findings: receives files that cannot be read, and lines that are not UTF-8 or end as on Windows; None: nobody.
    """
    if not path.exists():
        return
    try:
        with reading(path, "a text file"), open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                text, problem = _decode(raw.removesuffix(b"\n"))
                if problem and findings is not None:
                    findings.add(NOT_TEXT, f"{path}:{number}", f"it is not plain UTF-8 text: {problem}")
                yield text
    except FileError as error:
        if findings is not None:
            findings.add(UNREADABLE, str(path), str(error))


def _decode(line: bytes) -> tuple[str, str]:
    """Return a line as text, and what is wrong with it, or ""."""
    problem = ""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        text, problem = line.decode("utf-8", errors="replace"), str(error)
    if "\r" in text or text.startswith("\ufeff"):
        text, problem = text.rstrip("\r").removeprefix("\ufeff"), "a carriage return or byte-order mark"
    return text, problem


def read_root_folder(tsv_path: Path) -> Path | None:
    """Read line 1 of a tsv; return None when there is no such folder."""
    line = next(tolerant_lines(tsv_path), "")
    return Path(line) if line and Path(line).is_dir() else None


def audio_rows(tsv_path: Path, findings: Findings | None = None) -> Iterator[AudioRow]:
    """Stream the rows after line 1 of an audio tsv, bad ones too, which `findings` receives."""
    lines = tolerant_lines(tsv_path, findings)
    next(lines, None)
    for number, line in enumerate(lines, 2):
        row = _parse_row(number, line)
        if row.num_samples is None and findings is not None:
            detail = f"{line[:120]!r} is not path<TAB>num_samples with a path relative to the root"
            findings.add(BAD_COLUMNS, f"{tsv_path}:{number}", detail)
        yield row


def _parse_row(number: int, line: str) -> AudioRow:
    audio, *rest = line.split("\t")
    path, start_sample, segment_samples = parse_audio_path(audio)
    size = int(rest[0]) if len(rest) == 1 and rest[0].isascii() and rest[0].isdigit() else None
    if not audio or audio != audio.strip() or os.path.isabs(audio) or segment_samples not in (None, size):
        size = None
    return AudioRow(number, audio, path, start_sample, size, segment_samples is not None)
