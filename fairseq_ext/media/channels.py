"""One channel of several: their mean, or the first one where they cancel each other out (opposite phase).

Decided for each second on its own, counted from the start of the file: a stretch is mixed as the whole is, and a stream
needs no look ahead. Shapes: C channels, S samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Channels without relation leave a mean of their summed power / C**2. Half of that (-3 dB) takes a correlation of -0.5
# of two equal channels: a swapped wire is near -1, unrelated voices and wide stereo are near 0.
_CANCELLED = 0.5
_MOST_AT_ONCE = 1 << 26  # samples, 256 MB: more than an hour at 16 kHz
_FIRST_UNLESS = 4.0  # the first channel, unless another one is more than this louder in power (6 dB)


class Mixer:
    """A mixer of a stream of samples; `num_chosen` are those for which one channel was taken."""

    def __init__(self, rate_hz: int, position: int = 0) -> None:
        """Start at the sample `position` of the file."""
        self._rate_hz, self._position = rate_hz, position
        self._waiting: list[NDArray[np.float32]] = []
        self._num_waiting = 0
        self.num_chosen = 0

    def add(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Add (C, S) samples; yield the mixed seconds, (S',) each, that are complete."""
        if self._waiting and len(samples) != len(self._waiting[0]):
            yield from self.finish()
        if len(samples) == 1:
            self._position += samples.shape[1]
            yield samples[0]
            return
        while (size := self._rate_hz - self._position % self._rate_hz - self._num_waiting) <= samples.shape[
            1
        ]:
            self._waiting.append(samples[:, :size])
            yield from self.finish()
            samples = samples[:, size:]
        if samples.size:
            self._waiting.append(samples)
            self._num_waiting += samples.shape[1]

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Yield the rest."""
        if self._waiting:
            block = np.concatenate(self._waiting, axis=1)
            self._waiting, self._num_waiting = [], 0
            self._position += block.shape[1]
            yield self._mixed(block)

    def _mixed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = block.mean(axis=0, dtype=np.float32)
        power = block.var(axis=1)
        if not mean.var() < _CANCELLED * power.sum() / len(block) ** 2:  # also where samples are not numbers
            return mean
        self.num_chosen += block.shape[1]
        chosen: NDArray[np.float32] = block[0 if power[0] * _FIRST_UNLESS >= power.max() else power.argmax()]
        return chosen


class MixedReader(ABC):
    """A reader of a file of known length whose stretches are mixed as the whole is."""

    sample_rate_hz: int
    num_channels: int
    num_samples: int
    notes: dict[str, Any]

    @abstractmethod
    def blocks(self, start: int, end: int) -> Iterator[NDArray[np.float32]]:
        """Yield (C, S) samples, from `start` to `end`."""

    @abstractmethod
    def __exit__(self, *exception: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def count(self) -> int:
        """Return the length in samples."""
        return self.num_samples

    def read(self, start: int, stop: int | None) -> NDArray[np.float32]:
        """Read samples `start` to `stop` (None: the end), fewer where the file ends before."""
        end = self.num_samples if stop is None else min(stop, self.num_samples)
        if start >= end:
            return np.zeros(0, np.float32)
        grid = 1 if self.num_channels == 1 else self.sample_rate_hz
        first, last = start // grid * grid, min(-(-end // grid) * grid, self.num_samples)
        # One copy of a long stretch is enough. It grows with what is there: a damaged header may state any length.
        mono, filled = np.empty(min(last - first, _MOST_AT_ONCE), np.float32), 0
        for piece in self._mixed(first, last):
            if filled + len(piece) > len(mono):
                mono.resize(min(last - first, 2 * (filled + len(piece))), refcheck=False)
            mono[filled : filled + len(piece)] = piece
            filled += len(piece)
        return mono[:filled][start - first : end - first]

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """Yield the whole, (S,) samples at a time."""
        yield from self._mixed(0, self.num_samples)

    def _mixed(self, first: int, last: int) -> Iterator[NDArray[np.float32]]:
        mixer = Mixer(self.sample_rate_hz, first)
        yield from chain.from_iterable(map(mixer.add, self.blocks(first, last)))
        yield from mixer.finish()
        if mixer.num_chosen:
            self.notes["opposite_phase_s"] = mixer.num_chosen / self.sample_rate_hz
