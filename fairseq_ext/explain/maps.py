"""The times of a network's frames, and maps of values over them.

Legend: T frames, F mel bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """Times of a network's frames.

    Attributes:
        step_s: time between frames, s.
        first_centre_s: middle of the receptive field of frame 0, s.
    """

    step_s: float
    first_centre_s: float

    def __post_init__(self) -> None:
        """Check that time advances."""
        if not (math.isfinite(self.step_s) and self.step_s > 0 and math.isfinite(self.first_centre_s)):
            raise ValueError(
                f"frame grid: expected a step above 0 s and a finite first centre, found {self.step_s} s and "
                f"{self.first_centre_s} s; state the layer's hop"
            )

    @classmethod
    def of_convolutions(cls, layers: Sequence[tuple[int, int, int]], sample_rate_hz: int) -> FrameGrid:
        """Derive the grid of a stack of convolutions over the waveform.

        `layers` are (kernel, stride, padding on the left) of each, first to last; padding is 0 in wav2vec 2.0.
        """
        hop, centre = 1, 0.0
        for kernel, stride, padding in layers:
            centre += ((kernel - 1) / 2 - padding) * hop
            hop *= stride
        return cls(hop / sample_rate_hz, centre / sample_rate_hz)

    def centres_s(self, num_frames: int) -> NDArray[np.float64]:
        """Return the middles of the first T frames, (T,), s."""
        return self.first_centre_s + self.step_s * np.arange(num_frames, dtype=np.float64)

    def span_s(self, start: int, end: int) -> tuple[float, float]:
        """Return start and end of frames `start` to `end - 1`, s, with half a step at either side, but not below 0."""
        first = self.first_centre_s - self.step_s / 2
        return max(0.0, first + start * self.step_s), max(0.0, first + end * self.step_s)

    def num_frames(self, duration_s: float) -> int:
        """Return the number of frames of a clip whose two ends are padded alike; networks differ from it by a few."""
        # 1e-6: rounding must not cost a clip of whole steps its last frame.
        steps = (duration_s - 2 * self.first_centre_s) / self.step_s
        return max(0, math.floor(steps + 1e-6) + 1)


def check_values(name: str, values: NDArray[np.float32], num_axes: int, shape: str) -> None:
    """Check that the values of a map can be drawn.

    Raises:
        ValueError: another number of axes, no value, or one that is not finite; `shape` says what is expected.
    """
    if values.ndim != num_axes or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{name}: expected finite values {shape}, found shape {values.shape} with "
            f"{int((~np.isfinite(values)).sum())} that are not finite; inspect the network's output for this clip"
        )


@dataclass(frozen=True)
class AttributionMap:
    """A map of how much each frame of a clip supports a target.

    Attributes:
        method: name of the method.
        target: name of the target.
        values: (T,) float32; positive supports the target, negative opposes it. Units differ by method.
        grid: times of the T frames.
        residual: error of completeness as a share of the difference of scores, for methods whose values add up to
            one; None for other methods.
        time_frequency: the same values split over mel bands, (T', F), at the frame rate of the bands; None for
            methods without it.
    """

    method: str
    target: str
    values: NDArray[np.float32]
    grid: FrameGrid
    residual: float | None = None
    time_frequency: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check that the map can be drawn and scored."""
        check_values(f"{self.method} of {self.target!r}", self.values, 1, "(T,), T > 0")

    @property
    def positive(self) -> NDArray[np.float32]:
        """The values that support the target, others 0, (T,)."""
        return np.maximum(self.values, 0)

    @property
    def peak_s(self) -> float | None:
        """Time of the largest value, s; None when nothing supports the target."""
        peak = int(self.values.argmax())
        return float(self.grid.centres_s(len(self.values))[peak]) if self.values[peak] > 0 else None
