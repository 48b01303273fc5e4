"""Smoothing: from detections on some frames to a smoothed pose for every frame, while the frames stream by.

Shapes: `marks` are (P, 2) float64, points `template.KEPT` in pixels of the upright picture.

Frames wait until the detections on both sides are known, so that interpolation and smoothing can be centred and the
crop never lags behind the face. Neither crosses a scene cut. At most `max_gap` frames and the smoothing window wait, so
memory does not grow with the clip. Scale and angle are averaged; the position is as far as the head keeps still.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..picture import Picture
from .motion import bend
from .template import ANCHORS, EYES_PX, Points

_NUM_ANCHORS = len(ANCHORS)
# Half of a deviation of so many pixels of the crop from the mean position is kept, little of a smaller one, most of a
# larger one: noise of the detections is some 0.3 px, a nod some 10. With 1 instead of 2 a still speaker's crop moves by
# a tenth more (measured as in `motion`).
_NOISE_PX = 2.0


@dataclass(slots=True)
class Frame:
    """A frame of the clip that waits for its pose.

    Attributes:
        picture: picture of the frame.
        marks: (P, 2), detected or interpolated; None while unknown.
        seen: whether the marks were detected in this very frame.
        pose: (6, 2) anchors and centre of the mouth.
        smoothed: (6, 2) smoothed pose, set before the frame is yielded.
    """

    picture: Picture
    marks: Points | None
    seen: bool
    pose: Points | None = None
    smoothed: Points | None = None


def pose_of(marks: Points) -> Points:
    """Reduce the marks to the points that the crop follows, (6, 2): the anchors and the mean of the lips."""
    lips = marks[_NUM_ANCHORS:]
    return np.concatenate([marks[:_NUM_ANCHORS], lips.sum(axis=0, keepdims=True) / len(lips)])


class Smoother:
    """A queue that takes frames in order and yields them in order, with their smoothed poses.

    When too many frames waited for a detection that finds the face, `too_long` is set and no frame is yielded any more.
    """

    def __init__(self, half_window: int, max_gap: int) -> None:
        """Start empty; poses are averaged over `half_window` frames on either side.

        `max_gap` is the largest number of frames between two detections that find the face.
        """
        self.too_long = False
        self._half, self._max_gap = half_window, max_gap
        self._unknown: deque[Frame] = deque()  # frames after the last detection
        self._last: Points | None = None  # marks of the last detection in this scene
        self._last_picture: Picture | None = None
        self._known: list[Frame] = []  # with marks; frames already yielded stay while a window needs them
        self._next = 0  # index in `_known` of the next frame to yield
        self._held: Points | None = None  # last marks of the scene before

    def add(self, picture: Picture, marks: Points | None) -> Iterator[Frame]:
        """Add a frame, with marks (P, 2) where a detection found the face; yield those whose pose is known by now."""
        if self.too_long:
            return
        self._unknown.append(Frame(picture, marks, marks is not None))
        self._check_gap(marks is not None)
        if marks is not None and not self.too_long:
            self._settle(marks)
            yield from self._ready(False)

    def end_scene(self) -> Iterator[Frame]:
        """Yield all frames that waited. In a scene without the face they get its last position."""
        self._check_gap(False)
        marks = self._held if self._last is None else self._last
        if self.too_long or marks is None:  # a first scene without a face waits for the next scene
            return
        for frame in self._unknown:
            frame.marks = marks
            self._keep(frame)
        self._unknown.clear()
        yield from self._ready(True)
        self._known, self._next, self._last, self._held = [], 0, None, marks

    def add_late(self, marks: Points | None) -> None:
        """Add the marks, (P, 2), of a late detection on the last frame; None: it failed."""
        if marks is not None and self._unknown and not self.too_long:
            self._unknown[-1].marks, self._unknown[-1].seen = marks, True
            self._settle(marks)

    def before_first(self) -> list[Frame]:
        """Return the frames that wait for the first detection of their scene, oldest first."""
        return list(self._unknown) if self._last is None else []

    def waiting(self) -> Picture | None:
        """Return the picture of the last frame when its marks are unknown, else None."""
        return self._unknown[-1].picture if self._unknown else None

    def _check_gap(self, found: bool) -> None:
        if len(self._unknown) - found > self._max_gap:
            self.too_long = True
            self._unknown.clear()
            self._known.clear()

    def _settle(self, marks: Points) -> None:
        """Interpolate up to a detection; frames before the first one of a scene get its marks."""
        steps = len(self._unknown)
        start = marks if self._last is None else self._last
        bends = np.zeros((steps, 2))
        if self._last is not None and self._last_picture is not None and steps > 1:
            head, moved = _head(start), _head(marks) - _head(start)
            bends = bend(self._last_picture, head, _eyes_px(start), [f.picture for f in self._unknown], moved)
        for step, frame in enumerate(self._unknown, 1):
            if not frame.seen:
                frame.marks = start + (marks - start) * (step / steps) + bends[step - 1]
            self._keep(frame)
        self._last, self._last_picture = marks, self._unknown[-1].picture
        self._unknown.clear()

    def _keep(self, frame: Frame) -> None:
        assert frame.marks is not None
        frame.pose = pose_of(frame.marks)
        self._known.append(frame)

    def _ready(self, complete: bool) -> Iterator[Frame]:
        """Yield frames with a full window after them; near either end of a scene the window shrinks on both sides,
        so that it stays centred."""
        last = len(self._known) if complete else len(self._known) - self._half
        while self._next < last:
            half = min(self._half, self._next, len(self._known) - 1 - self._next)
            window = self._known[self._next - half : self._next + half + 1]
            frame = self._known[self._next]
            mean = np.add.reduce([f.pose for f in window if f.pose is not None]) / len(window)
            assert frame.pose is not None
            frame.smoothed = mean + _kept(_head(frame.pose) - _head(mean), _eyes_px(mean))
            yield frame
            self._next += 1
        surplus = self._next - self._half
        if surplus > 0:
            del self._known[:surplus]
            self._next = self._half


def _head(points: Points) -> Points:
    """Return the mean of the anchors."""
    middle: Points = points[:_NUM_ANCHORS].sum(axis=0) / _NUM_ANCHORS
    return middle


def _eyes_px(points: Points) -> float:
    """Return the distance of the outer corners of the eyes."""
    return max(1.0, float(np.hypot(*(points[3] - points[0]))))


def _kept(deviation: Points, eyes_px: float) -> Points:
    """Return the part of a deviation from the mean position that is motion of the head."""
    size = float(np.hypot(*deviation)) * EYES_PX / eyes_px
    return deviation * (size**4 / (size**4 + _NOISE_PX**4))
