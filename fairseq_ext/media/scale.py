"""Scale of floating-point samples: 1.0 is full scale, unless the whole file shows otherwise."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .integrity import AudioError, not_numbers
from .readers import Reader, Samples, open_audio

_MOST = 0.5  # share of the samples beyond full scale from which on the file has another scale
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # 16, 24 and 32 bits
_MAX_OVER = 16.0  # 24 dB: what recorders with floating-point samples keep of a shout; a larger peak is damage

# Share and peak of what a codec or a filter adds to sound at full scale.
_MAX_CLIPPED, _MAX_OVERSHOOT = 1e-3, 2.0


class Scale(NamedTuple):
    """What to multiply the samples of a file with, and how many of them are beyond full scale."""

    factor: float
    num_beyond: int

    def notes(self) -> dict[str, Any]:
        """Return the notes of `audio.load_with_notes` on it."""
        if not self.num_beyond:
            return {}
        return {"beyond_full_scale": self.num_beyond, "scaled_by": self.factor}


@dataclass(slots=True)
class Level:
    """What decides about the scale of a waveform, measured block by block.

    Attributes:
        num_samples: number of samples.
        num_wrong: number of those that are NaN or infinite; the others are counted below.
        num_beyond: number beyond full scale.
        num_sounding: number that are not zero.
        peak: largest absolute value.
    """

    num_samples: int = 0
    num_wrong: int = 0
    num_beyond: int = 0
    num_sounding: int = 0
    peak: float = 0.0

    def add(self, block: Samples) -> None:
        """Measure one more block (S,)."""
        finite = np.abs(block)
        if not np.isfinite(finite.max(initial=0.0)):
            finite = finite[np.isfinite(finite)]
        self.num_samples += len(block)
        self.num_wrong += len(block) - len(finite)
        self.num_beyond += int(np.count_nonzero(finite > 1))
        self.num_sounding += int(np.count_nonzero(finite))
        self.peak = max(self.peak, float(finite.max(initial=0.0)))


def scale_of(path: str | os.PathLike[str], reader: Reader, *, whole: bool = False) -> Scale:
    """Return the scale of a file, which is read once per process for it where samples are stored as floats.

    Raises:
        AudioError: for samples beyond any scale, and for a `whole` file with samples that are not numbers.
    """
    if not reader.is_float:
        return Scale(1.0, 0)
    stat = Path(path).stat()
    level = _measured(Path(path), stat.st_size, stat.st_mtime_ns)
    if whole and level.num_wrong:
        raise not_numbers(path, level.num_wrong, level.num_samples)
    integer = next((scale for scale in _INTEGER_SCALES if level.peak <= scale), None)
    if integer and level.num_beyond > _MOST * level.num_sounding:
        return Scale(1 / integer, level.num_beyond)
    return _to_full_scale(path, level)


@lru_cache(maxsize=4096)
def _measured(path: Path, _num_bytes: int, _changed_ns: int) -> Level:
    level = Level()
    with open_audio(path) as reader:
        for block in reader.pieces():
            level.add(block)
    return level


def _to_full_scale(path: str | os.PathLike[str], level: Level) -> Scale:
    if level.peak <= _MAX_OVER:
        return Scale(1 / max(1.0, level.peak), level.num_beyond)
    raise AudioError(
        f"{path}: {level.num_beyond} of {level.num_samples} samples are beyond full scale, up to {level.peak:.3g} "
        "times, and the others are not; convert it again or leave it out"
    )


def limit_of(path: str | os.PathLike[str], level: Level) -> Scale | None:
    """Return the scale of a decoded and resampled waveform for a file of integers; None: clip what is beyond.

    Lossy coding and resampling overshoot for a few samples: these are clipped. More are scaled as a whole.

    Raises:
        AudioError: for samples beyond any scale, with their number.
    """
    if level.num_beyond <= _MAX_CLIPPED * level.num_samples and level.peak <= _MAX_OVERSHOOT:
        return None
    return _to_full_scale(path, level)
