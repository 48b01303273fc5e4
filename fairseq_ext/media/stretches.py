"""A recording of any length as a sequence of samples of which only the stretch in use is in memory."""

import math
import os
from typing import Protocol

import numpy as np

from .audio import load, num_samples_at, probe
from .readers import Samples

_BLOCK_S = 600  # formats that cannot seek are decoded from their start for every block: few and long ones
_SILENT_DB = -60.0  # the noise of microphones lies above


class SampleSource(Protocol):
    """Samples (S,), in memory or in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> Samples: ...


class Stretches:
    """The samples of a file at a rate, read in blocks when they are asked for, best in rising order.

    Raises:
        AudioError: as `audio.probe`, and as `audio.load` for the first 10 minutes; for the rest, see `check`.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int) -> None:
        self._path, self._rate_hz = path, sample_rate_hz
        self._length = num_samples_at(probe(path), sample_rate_hz)
        self._start, self._block = 0, self._load(0, 0)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._length

    def __getitem__(self, stretch: slice) -> Samples:
        """Return the samples (stop - start,) of a stretch, fewer at the end of the file."""
        start, stop, _ = stretch.indices(self._length)
        if not self._start <= start <= stop <= self._start + len(self._block):
            self._start, self._block = start, self._load(start, stop)
        return self._block[start - self._start : stop - self._start]

    def check(self) -> None:
        """Read all of the file once, so that damage anywhere in it is raised here."""
        for start in range(len(self._block), self._length, _BLOCK_S * self._rate_hz):
            self._load(start, start)

    def _load(self, start: int, stop: int) -> Samples:
        num = min(max(stop - start, _BLOCK_S * self._rate_hz), self._length - start)
        return load(self._path, sample_rate_hz=self._rate_hz, start_sample=start, num_samples=num)


def describe_level(samples: SampleSource, sample_rate_hz: int) -> str:
    """Say how loud a recording is in which nothing was recognised."""
    step = _BLOCK_S * sample_rate_hz
    starts = range(0, len(samples), step)
    peak = max((float(np.abs(samples[start : start + step]).max()) for start in starts), default=0.0)
    if peak == 0:
        return "digital silence, every sample is zero"
    level_db = 20 * math.log10(peak)
    return f"{'silence' if level_db < _SILENT_DB else 'sound'}, peak at {level_db:.0f} dB"
