"""Crops of frames: the mouth of a tracked face, or the whole picture where it is a mouth crop already.

Shapes: crops are (96, 96) uint8, black 0, white 255.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..picture import Picture
from .content import Content
from .landmarker import Landmarker
from .settings import FRAMES_PER_S, SIZE_PX, MouthSettings
from .smoothing import Frame, Smoother
from .table import ClipRow
from .template import KEPT, Points, crop_matrix
from .tracker import CutDetector, Tracker, face_size, yaw_deg
from .warp import opencv, to_full_range, warp

_SQUARE_WITHIN = 0.1  # relative difference that the sides of a mouth crop may have
Crop = NDArray[np.uint8]


class Crops(Protocol):
    """An object that makes the crops of a clip."""

    @property
    def problem(self) -> tuple[str, str]:
        """Reason of `table.REASONS` and its detail; two empty strings for none."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the last detection failed."""
        ...

    def add(self, picture: Picture) -> list[Crop]:
        """Add the next frame; return the crops that are ready."""
        ...

    def finish(self) -> list[Crop]:
        """Return the remaining crops."""
        ...

    def add_sound(self, start: int, samples: NDArray[np.int16]) -> None:
        """Add a stretch of sound; `start` is the position of its first sample in the clip."""
        ...

    def measured(self, row: ClipRow) -> ClipRow:
        """Return the row with the columns about the face filled in."""
        ...

    @property
    def seen(self) -> list[tuple[int, int]]:
        """Frames that show the mouth: the first of each stretch, and the one after its last."""
        ...

    def landmarks(self) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of the landmarks file, or None for no file."""
        ...

    def close(self) -> None:
        """Return the models; may be called again."""
        ...


class MouthCrops:
    """Crops of pictures that are mouth crops already: only size and brightness range change."""

    lost = False

    def __init__(self) -> None:
        self.problem = ("", "")
        self.seen: list[tuple[int, int]] = []
        self._num_frames = 0

    def add(self, picture: Picture) -> list[Crop]:
        self._num_frames += 1
        self.seen = [(0, self._num_frames)]
        width, height = picture.width, picture.height
        if abs(width - height) > _SQUARE_WITHIN * max(width, height):
            self.problem = ("not_square", f"{width}x{height}")
        x, y = SIZE_PX / width, SIZE_PX / height
        whole = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
        return [to_full_range(warp(picture, whole, (SIZE_PX, SIZE_PX)), picture)]

    def finish(self) -> list[Crop]:
        return []

    def add_sound(self, start: int, samples: NDArray[np.int16]) -> None:
        pass

    def measured(self, row: ClipRow) -> ClipRow:
        return row

    def landmarks(self) -> None:
        return None

    def close(self) -> None:
        pass


class FaceCrops:
    """Crops of the mouth of one face, upright and of one size; `content` are measurements of them."""

    def __init__(
        self, landmarker: Landmarker, settings: MouthSettings, face_at: tuple[float, float] | None
    ) -> None:
        """Start without a face; `face_at` is its (x, y), from 0 to 1 in the picture; None: take the largest face."""
        self.content = Content()
        self._settings = settings
        self._tracker: Tracker | None = Tracker(landmarker, face_at)
        self._choice = self._tracker.choice
        self._cuts = CutDetector()
        self._max_gap = round(settings.max_gap_s * FRAMES_PER_S)
        # The face may be gone right after a detection that found it: such a gap begins up to `detect_every` - 1 frames
        # earlier.
        self._smoother = Smoother(settings.smoothing_frames, self._max_gap + settings.detect_every - 1)
        self._frame = self._next_detection = 0
        self._last: Picture | None = None
        self._detections: list[bool] = []
        self._detected_at: list[int] = []  # frames of these
        self._lost_at: int | None = None  # first of the failed detections in a row
        self._longest_gap = 0  # frames, among the gaps that have ended
        self._late = 0  # frames at the start of a scene in which the face was not seen
        self._sizes: list[float] = []
        self._yaws: list[float] = []
        self._jitters: list[float] = []
        self._kept: dict[str, list[NDArray[Any]]] = {"points": [], "matrix": []}
        self._seen: list[bool] = []

    @property
    def problem(self) -> tuple[str, str]:
        if not any(self._detections):
            return (
                "no_face",
                f"{self._choice.num_faces} faces found, none chosen" if self._choice.num_faces else "",
            )
        if self._gap() > self._max_gap or self._smoother.too_long:
            return "face_lost", f"out of sight for {self._gap() / FRAMES_PER_S:.2f} s"
        return "", ""

    @property
    def lost(self) -> bool:
        return bool(self._detections) and not self._detections[-1]

    @property
    def seen(self) -> list[tuple[int, int]]:
        """Frames in which the face was followed, without the gaps that are too long to be bridged."""
        spans: list[tuple[int, int]] = []
        for frame, found in zip(self._detected_at, self._detections, strict=True):
            if not found:
                continue
            if spans and frame - spans[-1][1] <= self._max_gap:
                spans[-1] = (spans[-1][0], frame + 1)
            else:
                spans.append((frame, frame + 1))
        return spans

    @property
    def other_faces(self) -> list[tuple[float, float]]:
        """Positions of the faces beside the one followed, from 0 to 1 in the picture, largest first."""
        return [] if self._tracker is None else self._tracker.other_faces

    def chosen(self, rule: str) -> None:
        """Note by which rule the face was chosen among several; after a cut it may be anywhere."""
        assert self._tracker is not None
        self._choice.rule, self._tracker.face_at = rule, None

    def add(self, picture: Picture) -> list[Crop]:
        crops: list[Crop] = []
        if picture is not self._last and self._cuts.is_cut(picture):
            crops += self._end_scene()
            self._new_scene()
        self._last = picture
        marks = None
        if self._frame >= self._next_detection:
            marks = self._detect(picture, self._frame)
            self._next_detection = self._frame + self._settings.detect_every
        self._frame += 1
        return crops + self._cropped(self._smoother.add(picture, marks))

    def add_sound(self, start: int, samples: NDArray[np.int16]) -> None:
        pass

    def finish(self) -> list[Crop]:
        return self._end_scene()

    def measured(self, row: ClipRow) -> ClipRow:
        if not self._detections:
            return row
        return replace(
            row,
            detection_rate=round(float(np.mean(self._detections)), 4),
            longest_gap_s=self._gap() / FRAMES_PER_S,
            face_size_px=round(median(self._sizes), 1) if self._sizes else None,
            jitter_px=round(float(np.mean(self._jitters)), 3) if self._jitters else None,
            yaw_deg=round(median(self._yaws), 1) if self._yaws else None,
            num_faces=self._choice.num_faces,
            choice=self._choice.rule,
            num_resets=self._choice.num_resets,
            num_cuts=self._choice.num_cuts,
            late_s=self._late / FRAMES_PER_S,
            outside=self.content.outside,
            contrast=self.content.contrast,
            lip_motion=self.content.lip_motion,
            picture_rate=self.content.picture_rate,
        )

    def landmarks(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that the crops were made from.

        points: (T, 45, 2) in pixels of the upright source, unsmoothed; indices: (45,) in the mesh of MediaPipe;
        matrix: (T, 2, 3) from these pixels to those of the crop; seen: (T,) whether detected in this very frame.
        """
        arrays = {name: np.stack(rows).astype(np.float32) for name, rows in self._kept.items()}
        return {**arrays, "indices": np.array(KEPT, np.int16), "seen": np.array(self._seen)}

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
        self._tracker = None

    def _detect(self, picture: Picture, frame: int) -> Points | None:
        assert self._tracker is not None, "the clip is open"
        mesh = self._tracker.detect(picture, frame)
        self._detections.append(mesh is not None)
        self._detected_at.append(frame)
        if mesh is None:
            self._lost_at = frame if self._lost_at is None else self._lost_at
            return None
        self._look_back(picture)
        self._longest_gap, self._lost_at = self._gap(frame), None
        self._sizes.append(face_size(mesh))
        self._yaws.append(abs(yaw_deg(mesh)))
        marks: Points = mesh[list(KEPT), :2]
        return marks

    def _look_back(self, picture: Picture) -> None:
        """Search the frames of a scene before the first that shows the face; its position is taken where none does."""
        assert self._tracker is not None
        waiting = [frame for frame in self._smoother.before_first() if frame.picture is not picture][::-1]
        found = 0
        for frame, mesh in zip(waiting, self._tracker.look_back(f.picture for f in waiting), strict=False):
            frame.marks, frame.seen = mesh[list(KEPT), :2], True
            found += 1
        self._late = max(self._late, len(waiting) - found)

    def _gap(self, end: int | None = None) -> int:
        """Return the longest gap up to frame `end`, in frames: from a failed detection to the next that succeeds."""
        end = self._frame if end is None else end
        return max(self._longest_gap, 0 if self._lost_at is None else end - self._lost_at)

    def _end_scene(self) -> list[Crop]:
        """Run a detection on the last frame too, so that no frame is extrapolated."""
        last = self._smoother.waiting()
        if last is not None and self._next_detection != self._frame - 1 + self._settings.detect_every:
            self._smoother.add_late(self._detect(last, self._frame - 1))
        return self._cropped(self._smoother.end_scene()) if self._frame else []

    def _new_scene(self) -> None:
        assert self._tracker is not None
        self._tracker.cut()
        self._next_detection = self._frame

    def _cropped(self, frames: Iterator[Frame]) -> list[Crop]:
        return [self._crop(frame) for frame in frames]

    def _crop(self, frame: Frame) -> Crop:
        assert frame.smoothed is not None, "the smoother yields frames with a pose"
        assert frame.pose is not None
        assert frame.marks is not None
        matrix = crop_matrix(frame.smoothed[:-1], frame.smoothed[-1], self._settings.mouth_scale)
        self._kept["points"].append(frame.marks.astype(np.float32))
        self._kept["matrix"].append(matrix.astype(np.float32))
        self._seen.append(frame.seen)
        if frame.seen:
            moved = (frame.pose[:-1] - frame.smoothed[:-1]).sum(axis=0) / (len(frame.pose) - 1)
            self._jitters.append(math.hypot(*(matrix[:, :2] @ moved).tolist()))
        crop = to_full_range(warp(frame.picture, matrix, (SIZE_PX, SIZE_PX)), frame.picture)
        self.content.add(frame.picture, matrix, crop, seen=frame.seen)
        return crop


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode a picture, (height, width) uint8, as JPEG."""
    cv2 = opencv()
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done, "OpenCV writes JPEG"
    return bytes(encoded.tobytes())
