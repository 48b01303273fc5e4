"""Scale of samples that are stored as floating-point numbers: 1.0 is full scale, unless the whole file shows otherwise."""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .integrity import AudioError
from .readers import Reader, open_audio

_BLOCK = 1 << 20
_MOST = 0.5  # share of the samples beyond full scale from which on the file has another scale
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # 16, 24 and 32 bits
_MAX_OVER = 16.0  # 24 dB: what recorders with floating-point samples keep of a shout; a larger peak is damage


class Scale(NamedTuple):
    """What to multiply the samples of a file with, and how many of them are beyond full scale."""

    factor: float
    num_beyond: int


def scale_of(path: str | os.PathLike[str], reader: Reader) -> Scale:
    """Return the scale of a file, which is read once per process for it.

    Raises:
        AudioError: for samples beyond any scale, with their number.
    """
    if not reader.is_float:
        return Scale(1.0, 0)
    stat = Path(path).stat()
    return _measured(Path(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _measured(path: Path, _num_bytes: int, _changed_ns: int) -> Scale:
    peak, num_beyond, num_sounding, start = 0.0, 0, 0, 0
    with open_audio(path) as reader:
        while len(block := np.abs(reader.read(start, start + _BLOCK))):
            start += len(block)
            block = block[np.isfinite(block)]  # `load` counts the others
            peak = max(peak, float(block.max(initial=0.0)))
            num_beyond += int(np.count_nonzero(block > 1))
            num_sounding += int(np.count_nonzero(block))
    if peak <= 1:
        return Scale(1.0, 0)
    integer = next((scale for scale in _INTEGER_SCALES if peak <= scale), None)
    if integer and num_beyond > _MOST * num_sounding:
        return Scale(1 / integer, num_beyond)
    if peak <= _MAX_OVER:
        return Scale(1 / peak, num_beyond)
    raise AudioError(
        f"{path}: {num_beyond} of {start} samples are beyond full scale, up to {peak:.3g} times, and the others are not; "
        "convert it again or leave it out"
    )
