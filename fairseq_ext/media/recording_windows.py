"""Windows of a recording of any length, read one after another, in memory that its length does not change.

Shapes: `(S,)` float32, one channel.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..file_errors import reading
from ..line_index import AudioEntry
from .audio import check_stretch, check_whole, load_row
from .blocks import Blocks
from .readers import Samples

Recording = str | os.PathLike[str] | AudioEntry | NDArray[np.float32]


def recording_windows(
    recording: Recording, sample_rate_hz: int, size: int, *, overlap: int = 0, multiple: int = 1
) -> Iterator[Samples]:
    """Yield the windows of a recording: all of it where it is short, and never less than half a window of a long one.

    Args:
        recording: a file, a row of a manifest, or a waveform (S,) at that rate.
        sample_rate_hz: sample rate of the windows, Hz, at which a row counts.
        size: step from one window to the next, samples; half of it at least before the last one.
        overlap: samples by which a window reaches into the next.
        multiple: step and start of all windows are multiples of it; divides `size`.

    Raises:
        FileError: while iterating, for a file that cannot be read, and a row that does not fit its file.
    """
    waiting: list[Samples] = []
    held = 0
    for block in _blocks(recording, sample_rate_hz, size + overlap):
        waiting.append(block)
        held += len(block)
        while held >= 2 * size + overlap:
            joined = np.concatenate(waiting)
            yield joined[: size + overlap]
            waiting, held = [joined[size:]], len(joined) - size
    rest = np.concatenate(waiting)
    if len(rest) <= size + overlap:
        yield rest
        return
    half = -(-len(rest) // (2 * multiple)) * multiple
    yield rest[: half + overlap]
    yield rest[half:]


def _blocks(recording: Recording, sample_rate_hz: int, short: int) -> Iterable[Samples]:
    if isinstance(recording, np.ndarray):
        if recording.ndim != 1:
            raise ValueError(f"a waveform (S,) expected, found shape {recording.shape}; take one channel")
        return [recording.astype(np.float32, copy=False)]
    if isinstance(recording, AudioEntry):
        return _row(recording, sample_rate_hz, short)
    return _file(Path(recording), sample_rate_hz)


def _file(path: Path, sample_rate_hz: int) -> Iterator[Samples]:
    with reading(path, "a recording"):
        yield from Blocks(path, sample_rate_hz)


def _row(entry: AudioEntry, sample_rate_hz: int, short: int) -> Iterator[Samples]:
    """Yield what `load_row` gives, a long one in blocks."""
    if entry.num_samples <= short:
        with reading(entry.path, "a recording"):
            yield load_row(entry, sample_rate_hz)
        return
    start, stop, position = entry.start_sample, entry.start_sample + entry.num_samples, 0
    for block in _file(entry.path, sample_rate_hz):
        part = block[max(0, start - position) : max(0, stop - position)]
        position += len(block)
        if len(part):
            yield part
        if position >= stop and not entry.is_whole:
            return
    check_stretch(entry.path, start, stop, position)
    if entry.is_whole:
        check_whole(entry.path, stop, position, sample_rate_hz)
