"""Decoded sound of videos: stretches of mono int16 at 16 kHz, placed by their time stamps, one channel of several
(`channels`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .channels import Mixer
from .clock import MAX_JITTER_S

SAMPLE_RATE_HZ = 16_000

_BLOCK = 4000  # samples per stretch, where no gap comes before


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of sound, (S,) int16 at 16 kHz, whose first sample is `start_sample` from time 0.

    Of `num_chosen` samples one channel was taken, since the channels cancel each other out.
    """

    start_sample: int
    samples: NDArray[np.int16]
    num_chosen: int = 0

    @property
    def time_s(self) -> float:
        """Time of its end, s."""
        return (self.start_sample + len(self.samples)) / SAMPLE_RATE_HZ


class SoundConverter:
    """A converter of decoded sound to 16 kHz mono, placed by its time stamps."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._format: tuple[Any, ...] | None = None
        self._resampler: Any = None
        self._mixer = Mixer(SAMPLE_RATE_HZ)
        self._position = 0  # position of the first sample in `_pieces`
        self._pieces: list[NDArray[np.int16]] = []
        self._num_samples = 0  # in `_pieces`
        self._next_s: float | None = None  # where the next frame should start

    def convert(self, frame: Any) -> Iterator[Sound]:
        time_s = self._next_s if frame.time is None else frame.time - self._start_s
        time_s = 0.0 if time_s is None else time_s
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._format or self._next_s is None or abs(time_s - self._next_s) > MAX_JITTER_S:
            yield from self.flush()
            self._format = source
            self._resampler = av.AudioResampler(format="s16p", rate=SAMPLE_RATE_HZ)
            self._position = round(time_s * SAMPLE_RATE_HZ)
            self._mixer = Mixer(SAMPLE_RATE_HZ, self._position)
            self._next_s = time_s
        assert self._next_s is not None
        self._next_s += frame.samples / frame.sample_rate  # counted, not stamped: stamps may be rounded
        frame.pts = None
        yield from self._out(frame)

    def flush(self) -> Iterator[Sound]:
        if self._resampler is not None:
            yield from self._out(None)
        self._resampler = None

    def _out(self, frame: Any) -> Iterator[Sound]:
        for converted in self._resampler.resample(frame):
            self._keep(self._mixer.add(converted.to_ndarray().astype(np.float32)))
        if frame is None:
            self._keep(self._mixer.finish())
        if self._num_samples and (frame is None or self._num_samples >= _BLOCK):
            yield Sound(self._position, np.concatenate(self._pieces), self._mixer.num_chosen)
            self._mixer.num_chosen = 0
            self._position += self._num_samples
            self._pieces, self._num_samples = [], 0

    def _keep(self, mixed: Iterator[NDArray[np.float32]]) -> None:
        for samples in mixed:
            self._pieces.append(np.rint(samples).astype(np.int16))
            self._num_samples += len(samples)
