"""The way of a head between two detections, by phase correlation of a window around eyes and nose.

Shapes: positions and shifts are (2,) float64, (x, y) in pixels of the upright picture.

A straight way is assumed where its middle fits. Measured on five GRID speakers whose picture was moved by 8 to 30 px
at 0.4 to 2.5 Hz, with a detection on every fifth frame, the mouth is 4.4 to 5.9 px off with a mean over 13 frames, 1.8
to 5.3 with a straight way between detections, 0.8 to 0.9 with this. A detection on every second frame gives 0.6 to 0.9
for three times the time. Still speakers need it in a tenth of the stretches.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..picture import Picture
from .template import EYES_PX, Points
from .warp import fade, opencv, scaling, warp

_SIDE_PX = 64  # of the window; 48 px is a third less exact
_EYES_IN_WINDOW_PX = 28.0  # distance of the outer corners of the eyes in it
_MAX_SHRINK = 4.0
_FAST = 0.1  # distances of the eyes' corners between two detections: beyond twice as much the mesh slips
_STRAIGHT_PX = 0.7  # in pixels of the crop: largest distance of the middle from a straight way
_SAME_END_PX = (
    3.0  # in pixels of the crop: distance of the two measurements of the end beyond which both are in doubt
)


def bend(
    start: Picture, head: Points, eyes_px: float, pictures: Sequence[Picture], moved: Points
) -> NDArray[np.float64]:
    """Return how far the head is from an even motion in each of N pictures, (N, 2).

    Args:
        start: picture of a detection, with the middle of the `head`, (2,), and distance of the outer eye corners in it.
        pictures: the N pictures after it, up to that of the next detection.
        moved: (2,) shift of the head from the first to the last, by the detections.
    """
    count = len(pictures)
    even = np.arange(1, count + 1)[:, None] / count * moved
    to_crop = EYES_PX / eyes_px
    window = HeadWindow(start, head, eyes_px)
    middle = (count - 1) // 2
    off = window.shift(pictures[middle], even[middle]) - even[middle]
    if np.hypot(*off) * to_crop < _STRAIGHT_PX:
        return np.zeros_like(even)
    shifts, before, last = np.zeros_like(even), np.zeros(2), np.zeros(2)
    for index, picture in enumerate(pictures):
        before, last = last, window.shift(picture, 2 * last - before)
        shifts[index] = last
    if np.hypot(*(last - moved)) * to_crop > _SAME_END_PX:
        return np.zeros_like(even)
    return shifts - np.arange(1, count + 1)[:, None] / count * last


class HeadWindow:
    """A window around a head that is found again in later pictures."""

    def __init__(self, picture: Picture, head: Points, eyes_px: float) -> None:
        """Cut the window around the middle of the head, `eyes_px` between the outer corners of the eyes."""
        self._eyes_px, self._scale = eyes_px, _EYES_IN_WINDOW_PX / eyes_px
        self._matrix = scaling(self._scale)
        self._matrix[:, 2] = (_SIDE_PX - 1) / 2 - self._scale * head
        self._first = self._cut(picture, np.zeros(2))

    def fast_shift(self, picture: Picture) -> Points:
        """Return the shift of a head that moves fast, (0, 0) for one that does not: the mesh finds those by itself."""
        found = self.shift(picture, np.zeros(2))
        if np.hypot(*found) < _FAST * self._eyes_px:
            return np.zeros(2)
        return self.shift(picture, found)

    def shift(self, picture: Picture, guess: Points) -> Points:
        """Return the shift of the window's content; `guess` may be off by a quarter of the window."""
        found, _ = opencv().phaseCorrelate(self._first, self._cut(picture, guess))
        return guess + np.array(found) / self._scale

    def _cut(self, picture: Picture, shift: Points) -> NDArray[np.float32]:
        matrix = self._matrix.copy()
        matrix[:, 2] -= self._scale * shift
        faded: NDArray[np.float32] = fade(_SIDE_PX) * warp(
            picture, matrix, (_SIDE_PX, _SIDE_PX), max_shrink=_MAX_SHRINK
        )
        return faded  # OpenCV 5 fades its arguments in place where it is given the weights
