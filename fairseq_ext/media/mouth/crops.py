"""Frames to crops: of a face that is followed, or of a picture that is a crop already.

Shapes: crops are (96, 96) uint8, black 0, white 255.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..video import Picture
from .landmarker import Landmarker
from .settings import FRAMES_PER_S, SIZE_PX, MouthSettings
from .smoothing import Frame, Steadier
from .table import ClipRow
from .template import KEPT, Points, crop_matrix
from .tracker import CutDetector, Tracker, face_size, yaw_deg
from .warp import opencv, to_full_range, warp

_SQUARE_WITHIN = 0.1  # sides of a mouth crop may differ by this share
Crop = NDArray[np.uint8]


class Crops(Protocol):
    """Make the crops of a clip."""

    @property
    def problem(self) -> tuple[str, str]:
        """A reason of `table.REASONS` and its detail; two empty texts for none."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the last look did not find the face."""
        ...

    def add(self, picture: Picture) -> list[Crop]:
        """Take the next frame; gives the crops that are settled by now."""
        ...

    def finish(self) -> list[Crop]:
        """Return the crops that waited."""
        ...

    def measured(self, row: ClipRow) -> ClipRow:
        """Fill in the columns that are about the face."""
        ...

    def landmarks(self) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of the landmarks file; None: there is none."""
        ...

    def close(self) -> None:
        """Return back what was borrowed; may be called again."""
        ...


class MouthCrops:
    """Pictures that are mouth crops already: only size and brightness range change."""

    lost = False

    def __init__(self) -> None:
        self.problem = ("", "")

    def add(self, picture: Picture) -> list[Crop]:
        width, height = picture.width, picture.height
        if abs(width - height) > _SQUARE_WITHIN * max(width, height):
            self.problem = ("not_square", f"{width}x{height}")
        x, y = SIZE_PX / width, SIZE_PX / height
        whole = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
        return [to_full_range(warp(picture, whole, (SIZE_PX, SIZE_PX)), picture)]

    def finish(self) -> list[Crop]:
        return []

    def measured(self, row: ClipRow) -> ClipRow:
        return row

    def landmarks(self) -> None:
        return None

    def close(self) -> None:
        pass


class FaceCrops:
    """The mouth of one face, upright and of one size."""

    def __init__(
        self, landmarker: Landmarker, settings: MouthSettings, face_at: tuple[float, float] | None
    ) -> None:
        """Start without a face.

        Args:
            landmarker: the models.
            settings: of the preparation.
            face_at: where the face is, (x, y) from 0 to 1; None: take the largest.
        """
        self._settings = settings
        self._tracker: Tracker | None = Tracker(landmarker, face_at)
        self._choice = self._tracker.choice
        self._cuts = CutDetector()
        self._max_gap = round(settings.max_gap_s * FRAMES_PER_S)
        # The face may be gone from right behind a look that found it.
        self._steadier = Steadier(settings.smoothing_frames, self._max_gap + settings.detect_every - 1)
        self._frame = self._next_look = 0
        self._last: Picture | None = None
        self._looks: list[bool] = []
        self._lost_at: int | None = None  # the first of the looks in a row that did not find the face
        self._longest_gap = 0  # frames, of those that ended
        self._sizes: list[float] = []
        self._yaws: list[float] = []
        self._jitters: list[float] = []
        self._kept: dict[str, list[NDArray[Any]]] = {"points": [], "matrix": []}
        self._seen: list[bool] = []

    @property
    def problem(self) -> tuple[str, str]:
        if not any(self._looks):
            return (
                "no_face",
                f"{self._choice.num_faces} faces seen, none taken" if self._choice.num_faces else "",
            )
        if self._gap() > self._max_gap or self._steadier.too_long:
            return "face_lost", f"out of sight for {self._gap() / FRAMES_PER_S:.2f} s"
        return "", ""

    @property
    def lost(self) -> bool:
        return bool(self._looks) and not self._looks[-1]

    def add(self, picture: Picture) -> list[Crop]:
        crops: list[Crop] = []
        if picture is not self._last and self._cuts.is_cut(picture):
            crops += self._end_scene()
            self._new_scene()
        self._last = picture
        marks = None
        if self._frame >= self._next_look:
            marks = self._look(picture, self._frame)
            self._next_look = self._frame + self._settings.detect_every
        self._frame += 1
        return crops + self._cropped(self._steadier.add(picture, marks))

    def finish(self) -> list[Crop]:
        return self._end_scene()

    def measured(self, row: ClipRow) -> ClipRow:
        if not self._looks:
            return row
        return replace(
            row,
            detection_rate=round(float(np.mean(self._looks)), 4),
            longest_gap_s=self._gap() / FRAMES_PER_S,
            face_size_px=round(median(self._sizes), 1) if self._sizes else None,
            jitter_px=round(float(np.mean(self._jitters)), 3) if self._jitters else None,
            yaw_deg=round(median(self._yaws), 1) if self._yaws else None,
            num_faces=self._choice.num_faces,
            choice=self._choice.rule,
            num_resets=self._choice.num_resets,
            num_cuts=self._choice.num_cuts,
        )

    def landmarks(self) -> dict[str, NDArray[Any]]:
        """Return what the crops were made from.

        Returns:
            points: (T, 45, 2) in pixels of the upright source, unsmoothed; indices: (45,) of MediaPipe's mesh;
            matrix: (T, 2, 3) from those pixels to the crop's; seen: (T,) whether found in this very frame.
        """
        arrays = {name: np.stack(rows).astype(np.float32) for name, rows in self._kept.items()}
        return {**arrays, "indices": np.array(KEPT, np.int16), "seen": np.array(self._seen)}

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
        self._tracker = None

    def _look(self, picture: Picture, frame: int) -> Points | None:
        assert self._tracker is not None, "a clip is not used once it is closed"
        mesh = self._tracker.look(picture, frame)
        self._looks.append(mesh is not None)
        if mesh is None:
            self._lost_at = frame if self._lost_at is None else self._lost_at
            return None
        self._longest_gap, self._lost_at = self._gap(frame), None
        self._sizes.append(face_size(mesh))
        self._yaws.append(abs(yaw_deg(mesh)))
        marks: Points = mesh[list(KEPT), :2]
        return marks

    def _gap(self, end: int | None = None) -> int:
        """Frames of the longest stretch without the face, up to frame `end`: from a look that did not find it to the
        next that did."""
        end = self._frame if end is None else end
        return max(self._longest_gap, 0 if self._lost_at is None else end - self._lost_at)

    def _end_scene(self) -> list[Crop]:
        """Look at the last frame too, so that none is extrapolated."""
        last = self._steadier.waiting()
        if last is not None and self._next_look != self._frame - 1 + self._settings.detect_every:
            self._steadier.look_back(self._look(last, self._frame - 1))
        return self._cropped(self._steadier.end_scene()) if self._frame else []

    def _new_scene(self) -> None:
        assert self._tracker is not None
        self._tracker.cut()
        self._next_look = self._frame

    def _cropped(self, frames: Iterator[Frame]) -> list[Crop]:
        return [self._crop(frame) for frame in frames]

    def _crop(self, frame: Frame) -> Crop:
        assert frame.steady is not None, "the steadier hands out settled frames"
        assert frame.pose is not None
        assert frame.marks is not None
        matrix = crop_matrix(frame.steady[:-1], frame.steady[-1], self._settings.mouth_scale)
        self._kept["points"].append(frame.marks.astype(np.float32))
        self._kept["matrix"].append(matrix.astype(np.float32))
        self._seen.append(frame.seen)
        if frame.seen:
            moved = (frame.pose[:-1] - frame.steady[:-1]).sum(axis=0) / (len(frame.pose) - 1)
            self._jitters.append(math.hypot(*(matrix[:, :2] @ moved).tolist()))
        return to_full_range(warp(frame.picture, matrix, (SIZE_PX, SIZE_PX)), frame.picture)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode a picture.

    Args:
        image: (height, width) uint8.

    Returns:
        A JPEG file.
    """
    cv2 = opencv()
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done, "OpenCV writes JPEG"
    return bytes(encoded.tobytes())
