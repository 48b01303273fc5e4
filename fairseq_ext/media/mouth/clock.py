"""Frames at 25 per second from pictures at any rate, constant or variable, by their time stamps."""

from collections.abc import Iterator

from ..picture import Picture
from .settings import FRAMES_PER_S

_PERIOD_S = 1 / FRAMES_PER_S
_NEAR_S = (
    0.6 * _PERIOD_S
)  # half a frame, plus the rounding of stamps in milliseconds and of 24 pictures per second
_TOLERANCE_S = _PERIOD_S / 4  # shortest duration for which the last picture makes a frame


class FrameClock:
    """A clock of 25 frames per second that picks the nearest picture for each frame.

    Attributes:
        origin_s: time of the first frame in the file, s; None until known.
        num_frames: number of frames so far.
        gap_s: longest time between two pictures, s.
        end_s: end of the last picture in the file, s.
    """

    def __init__(self, start_s: float | None, end_s: float | None) -> None:
        """Set the segment in the file, s; None: from the first picture, to the end of the last."""
        self.origin_s: float | None = None
        self.num_frames = 0
        self.gap_s = 0.0
        self.end_s = 0.0
        self._start_s = start_s
        length = None if end_s is None else end_s - (start_s or 0.0)
        self.wanted = None if length is None else max(1, round(length * FRAMES_PER_S))
        self._last: Picture | None = None

    @property
    def done(self) -> bool:
        """Whether all frames of the segment are there."""
        return self.wanted is not None and self.num_frames >= self.wanted

    def add(self, picture: Picture) -> Iterator[Picture]:
        """Add the next picture, and yield that of each frame settled by now; one may come twice or not at all."""
        last, self._last = self._last, picture
        if self.origin_s is None:
            self._set_origin(last, picture)
        elif last is not None:
            self.gap_s = max(self.gap_s, picture.time_s - last.time_s)
        self.end_s = picture.time_s + picture.duration_s
        if self.origin_s is not None and last is not None:
            yield from self._until(last, (last.time_s + picture.time_s) / 2)

    def finish(self) -> Iterator[Picture]:
        """End the pictures, and yield the last one for as many frames as it lasts."""
        if self._last is not None:
            if self.origin_s is None and self.wanted is not None:
                return  # the file ends before the segment
            yield from self._until(self._last, self.end_s - _TOLERANCE_S)

    def _set_origin(self, last: Picture | None, picture: Picture) -> None:
        """Start at the picture nearest to the start, or at the start itself where that is more than half a
        frame away. Otherwise frames could fall halfway between two pictures, and rounded stamps would decide."""
        start_s = self._start_s
        if start_s is None or (picture.time_s >= start_s and last is None):
            self.origin_s = picture.time_s
        elif picture.time_s >= start_s and last is not None:
            nearest = min(last.time_s, picture.time_s, key=lambda t: abs(t - start_s))
            self.origin_s = nearest if abs(nearest - start_s) <= _NEAR_S else start_s

    def _until(self, picture: Picture, end_s: float) -> Iterator[Picture]:
        assert self.origin_s is not None
        while not self.done and self.origin_s + self.num_frames * _PERIOD_S < end_s:
            self.num_frames += 1
            yield picture
