"""Random access to the rows of manifests without holding them: 10 million rows in seconds and tens of MB.

The file is scanned once in large pieces with numpy. Only the offset of every k-th line is kept (k such that
the lines between two offsets fill about a page of the disk), plus 4 bytes per row for the audio sizes. A row
is then one `os.pread`, which has no file position: forked and threaded readers share an index safely. Offsets
count bytes, so any UTF-8 text survives.
"""

import codecs
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import read_lines, split_row
from .manifest import parse_audio_path, read_root

_CHUNK_BYTES = 1 << 20  # 1 MB: past this the scan gets no faster, only its peak memory grows
_BLOCK_BYTES = 4096  # one page: a smaller read costs the same
_MAX_DIGITS = 18  # of a number that fits int64
_NEWLINE, _TAB, _ZERO = 10, 9, 48

# Called per piece of the file: its bytes (whole lines, each ended), the positions of the line ends in it, and
# the index of its first line.
_Inspect = Callable[[NDArray[np.uint8], NDArray[np.int64], int], None]


class LineIndex:
    """An index of the lines of a UTF-8 text file: `len(index)`, `index[i]`, iteration. Survives pickling and forking.

    Args:
        path: the file; it must not change while the index is in use.
        inspect: called with each piece of the scan (see `_Inspect`).

    Raises:
        ValueError: naming file and line, for text that is not UTF-8 or has Windows line ends.
    """

    def __init__(self, path: str | os.PathLike[str], *, inspect: _Inspect | None = None) -> None:
        self.path = Path(os.path.abspath(path))
        self._file: Any = None
        self._stamp = _stamp(self.path)
        self._lines_per_block = 0
        self._num_lines = 0
        self._block_starts: NDArray[np.int64]
        self._scan(inspect)

    def _scan(self, inspect: _Inspect | None) -> None:
        starts: list[NDArray[np.int64]] = []
        position = 0
        for chunk in _chunks(self.path):
            _check_text(chunk, self.path, self._num_lines + 1)
            bytes_ = np.frombuffer(chunk, dtype=np.uint8)
            ends = np.flatnonzero(bytes_ == _NEWLINE)
            if not self._lines_per_block:
                self._lines_per_block = max(1, _BLOCK_BYTES * len(ends) // len(chunk))
            if inspect is not None:
                inspect(bytes_, ends, self._num_lines)
            first = -self._num_lines % self._lines_per_block
            line_starts = np.concatenate([[0], ends[:-1] + 1])
            starts.append(line_starts[first :: self._lines_per_block] + position)
            self._num_lines += len(ends)
            position += len(chunk)
        # The last line may lack its line end: the scan adds one, the file does not have it.
        self._block_starts = np.concatenate([*starts, [min(position, self._stamp[0])]]).astype(np.int64)

    def __len__(self) -> int:
        return self._num_lines

    def __getitem__(self, index: int) -> str:
        line = index + len(self) if index < 0 else index
        if not 0 <= line < len(self):
            raise IndexError(f"{self.path}: there is no line {index}, only {len(self)} lines")
        block, offset = divmod(line, self._lines_per_block)
        start, stop = self._block_starts[block : block + 2].tolist()
        data = os.pread(self._descriptor(), stop - start, start)
        if len(data) != stop - start:
            raise self._changed()
        return data.split(b"\n")[offset].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        return read_lines(self.path)

    def _descriptor(self) -> int:
        if self._file is None:
            if _stamp(self.path) != self._stamp:
                raise self._changed()
            self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115 - lives as long as the index
        return int(self._file.fileno())

    def _changed(self) -> ValueError:
        return ValueError(f"{self.path}: the file has changed since it was indexed; restart the job")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self._file.close()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the file in pieces of whole lines; a missing last line end is added."""
    rest = b""
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_CHUNK_BYTES):
            data = rest + data
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                yield data[:end]
    if rest:
        yield rest + b"\n"


def _check_text(chunk: bytes, path: Path, first_line: int) -> None:
    position = chunk.find(b"\r")
    what = "there is a carriage return; run sed -i 's/\\r$//'"
    if first_line == 1 and chunk.startswith(codecs.BOM_UTF8):
        position = 0
        what = "there is a byte-order mark; run sed -i '1s/^\\xEF\\xBB\\xBF//'"
    elif position < 0 and not chunk.isascii():
        try:
            chunk.decode("utf-8")
        except UnicodeDecodeError as error:
            position, what = error.start, f"it is not UTF-8 ({error.reason}); convert it with iconv"
    if position >= 0:
        line = first_line + chunk.count(b"\n", 0, position)
        raise ValueError(f"{path}:{line}: {what}")


@dataclass(frozen=True, slots=True)
class AudioEntry:
    """The place of one utterance's audio.

    Attributes:
        path: the media file.
        start_sample: first sample, at the manifest's sample rate.
        num_samples: how many.
        is_whole: the row is the whole file, not a segment of it.
    """

    path: Path
    start_sample: int
    num_samples: int
    is_whole: bool = field(default=False, compare=False)


class AudioIndex:
    """An index of the rows of an audio tsv: all sizes as an array, each path on demand.

    Args:
        tsv_path: a tsv as `manifest.write_manifest` or stock fairseq's tools write it.

    Attributes:
        root: folder that the rows' paths are relative to.
        sizes: samples per row, shape (rows,), int32 (int64 where a row needs it).

    Raises:
        ValueError: naming file and line, for a row that is not `path<TAB>num_samples`.
    """

    def __init__(self, tsv_path: str | os.PathLike[str]) -> None:
        path = Path(tsv_path)
        self.root = read_root(path.parent, path.name.removesuffix(".tsv"))
        self.sizes: NDArray[Any] = np.empty(0, dtype=np.int32)
        self._lines = LineIndex(path, inspect=lambda *piece: self._append(_parse_sizes(path, *piece)))

    def _append(self, sizes: NDArray[Any]) -> None:
        """Append in place: joining the pieces at the end would hold every size twice."""
        if sizes.dtype.itemsize > self.sizes.dtype.itemsize:
            self.sizes = self.sizes.astype(sizes.dtype)
        start = len(self.sizes)
        self.sizes.resize(start + len(sizes), refcheck=False)
        self.sizes[start:] = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def entry(self, index: int) -> AudioEntry:
        """Return the file of one row, and the samples to read of it.

        Raises:
            IndexError: past the last row.
            ValueError: for a segment whose two lengths differ.
        """
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"{self._lines.path}: there is no row {index}, only {len(self)} rows")
        where = f"{self._lines.path}:{row + 2}"
        text, size = split_row(self._lines[row + 1], 2, where)
        relative, start, num_samples = parse_audio_path(text)
        if num_samples is not None and num_samples != int(size):
            raise ValueError(
                f"{where}: expected {num_samples} samples, found {size}; write the manifest again"
            )
        return AudioEntry(self.root / relative, start, int(size), is_whole=num_samples is None)


def _parse_sizes(
    path: Path, chunk: NDArray[np.uint8], ends: NDArray[np.int64], first_line: int
) -> NDArray[Any]:
    """Parse the second column of every row of a piece; line 0 of the file is the root."""
    if first_line == 0:
        chunk, ends, first_line = chunk[ends[0] + 1 :], ends[1:] - ends[0] - 1, 1
    tabs = np.flatnonzero(chunk == _TAB)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    if len(tabs) != len(ends) or not np.all((starts < tabs) & (tabs < ends)):
        raise _bad_row(path, chunk, starts, ends, first_line)
    widths = ends - tabs - 1
    if len(widths) and not 1 <= widths.min() <= widths.max() <= _MAX_DIGITS:
        raise _bad_row(path, chunk, starts, ends, first_line)
    sizes = np.zeros(len(ends), dtype=np.int64)
    for place in range(widths.max(initial=0)):
        present = place < widths
        digits = chunk[ends - 1 - place] - np.uint8(
            _ZERO
        )  # wraps below zero, so one comparison finds all others
        if np.any(present & (digits > 9)):
            raise _bad_row(path, chunk, starts, ends, first_line)
        sizes += np.where(present, digits, 0) * np.int64(10**place)
    return sizes if sizes.max(initial=0) > np.iinfo(np.int32).max else sizes.astype(np.int32)


def _bad_row(
    path: Path, chunk: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], first_line: int
) -> ValueError:
    """Find the first row of a piece that is not `path<TAB>number`, and describe it."""
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True), first_line + 1):
        cells = chunk[start:end].tobytes().decode("utf-8").split("\t")
        where = f"{path}:{number}"
        if len(cells) != 2:
            return ValueError(
                f"{where}: expected 2 tab-separated columns, found {len(cells)}; write the manifest again"
            )
        if not (cells[1].isascii() and cells[1].isdigit() and len(cells[1]) <= _MAX_DIGITS and cells[0]):
            return ValueError(
                f"{where}: {cells} are not a path and a number of samples; write the manifest again"
            )
    raise AssertionError(f"{path}: a bad row was seen from line {first_line + 1}, but none found")
