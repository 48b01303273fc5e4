"""Scale of floating-point samples: 1.0 is full scale, unless the whole file shows otherwise."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .integrity import AudioError
from .readers import Reader, Samples, open_audio

_BLOCK = 1 << 20
_MOST = 0.5  # share of the samples beyond full scale from which on the file has another scale
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # 16, 24 and 32 bits
_MAX_OVER = 16.0  # 24 dB: what recorders with floating-point samples keep of a shout; a larger peak is damage


_MAX_CLIPPED, _MAX_OVERSHOOT = (
    1e-3,
    2.0,
)  # share and peak of what a codec or a filter adds to sound at full scale


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
    peak, num_beyond, num_sounding, num = 0.0, 0, 0, 0
    with open_audio(path) as reader:
        for block in _blocks(reader):
            num += len(block)
            block = np.abs(block[np.isfinite(block)])  # `load` counts the others
            peak = max(peak, float(block.max(initial=0.0)))
            num_beyond += int(np.count_nonzero(block > 1))
            num_sounding += int(np.count_nonzero(block))
    integer = next((scale for scale in _INTEGER_SCALES if peak <= scale), None)
    if integer and num_beyond > _MOST * num_sounding:
        return Scale(1 / integer, num_beyond)
    return _to_full_scale(path, peak, num_beyond, num)


def _blocks(reader: Reader) -> Iterator[Samples]:
    if reader.num_samples is None:  # a container is read once
        yield reader.read(0, None)
        return
    for start in range(0, reader.num_samples, _BLOCK):
        yield reader.read(start, start + _BLOCK)


def _to_full_scale(path: str | os.PathLike[str], peak: float, num_beyond: int, num_samples: int) -> Scale:
    if peak <= _MAX_OVER:
        return Scale(1 / max(1.0, peak), num_beyond)
    raise AudioError(
        f"{path}: {num_beyond} of {num_samples} samples are beyond full scale, up to {peak:.3g} times, and the others "
        "are not; convert it again or leave it out"
    )


def limited(path: str | os.PathLike[str], waveform: Samples) -> tuple[Samples, dict[str, Any]]:
    """Return a waveform within full scale, and notes as those of `load_with_notes`.

    Lossy coding and resampling overshoot for a few samples: these are clipped. More are scaled as a whole.

    Raises:
        AudioError: for samples beyond any scale, with their number.
    """
    num_beyond = int(np.count_nonzero(np.abs(waveform) > 1))
    if not num_beyond:
        return waveform, {}
    peak = float(np.abs(waveform).max())
    if num_beyond <= _MAX_CLIPPED * len(waveform) and peak <= _MAX_OVERSHOOT:
        return np.clip(waveform, -1.0, 1.0), {"clipped": num_beyond}
    factor = _to_full_scale(path, peak, num_beyond, len(waveform)).factor
    return waveform * np.float32(factor), {"beyond_full_scale": num_beyond, "scaled_by": factor}
