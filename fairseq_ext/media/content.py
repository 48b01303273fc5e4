"""What a recording holds, decoded to its last sample: its length, whether there is sound, and by what it is told."""

import hashlib
import os
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .audio import AudioError, probe
from .blocks import Blocks

# Below this peak nobody speaks: 33 steps of 16 bits. The quietest of 1,439 recordings of RAVDESS peaks at -47 dB.
SILENCE_DB = -60.0
# Shorter than any spoken word; the shortest of 3,000 recorded digits (FSDD) has 0.14 s.
SHORTEST_S = 0.1
TRACE_RATE_HZ = 1000


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a recording.

    Attributes:
        sample_rate_hz: sample rate of the file, Hz.
        num_samples: length at that rate.
        fingerprint: hash of the samples in 16 bits; equal for copies of a recording, whatever their names and headers.
        trace: means of the samples at `TRACE_RATE_HZ`, (T,); alike for a recording and a compressed or louder copy.
    """

    sample_rate_hz: int
    num_samples: int
    fingerprint: str
    trace: npt.NDArray[np.float32] = field(repr=False, compare=False)

    def num_samples_at(self, sample_rate_hz: int) -> int:
        """Return the length at another rate."""
        return -(-self.num_samples * sample_rate_hz // self.sample_rate_hz)


def content_of(path: str | os.PathLike[str]) -> Content:
    """Decode a recording; 20 ms for 3 s of Opus.

    Raises:
        AudioError: as `audio.load`, and for a recording that is silent or too short to hold a word.
    """
    info = probe(path)
    if info.num_samples < SHORTEST_S * info.sample_rate_hz:
        duration_ms = 1000 * info.num_samples / info.sample_rate_hz
        raise AudioError(f"{path}: it lasts {duration_ms:.0f} ms, too short for a word")
    digest, trace, peak = hashlib.sha256(), _Trace(info.sample_rate_hz), 0.0
    for block in Blocks(path, info.sample_rate_hz):
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        digest.update(np.round(block * 32768).astype("<i4").tobytes())
        trace.add(block)
    if peak < 10 ** (SILENCE_DB / 20):
        raise AudioError(f"{path}: it is silent (peak below {SILENCE_DB:.0f} dB of full scale)")
    return Content(info.sample_rate_hz, info.num_samples, digest.hexdigest(), trace.finish())


class _Trace:
    """Means of consecutive samples, a thousand a second: to compare with, at a fraction of the cost of resampling."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._samples_per_mean = max(1.0, sample_rate_hz / TRACE_RATE_HZ)
        self._first = 0  # number of the first sample of `_rest`
        self._rest = np.zeros(0, np.float32)
        self._means: list[npt.NDArray[np.float32]] = []

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """Add the next samples of the recording, (S,)."""
        samples = np.concatenate([self._rest, block])
        num_done = sum(map(len, self._means))
        last = int((self._first + len(samples)) / self._samples_per_mean)
        edges = np.round(np.arange(num_done, last + 1) * self._samples_per_mean).astype(int) - self._first
        edges = edges[edges <= len(samples)]
        if len(edges) > 1:
            sums = np.add.reduceat(samples[: edges[-1]], edges[:-1], dtype=np.float64)
            self._means.append((sums / np.diff(edges)).astype(np.float32))
            samples, self._first = samples[edges[-1] :], self._first + int(edges[-1])
        self._rest = samples

    def finish(self) -> npt.NDArray[np.float32]:
        """Return the means, (T,); samples that do not fill the last one are left out."""
        return np.concatenate(self._means) if self._means else self._rest
