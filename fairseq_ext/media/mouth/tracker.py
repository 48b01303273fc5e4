"""Tracking of one face through a clip by detections on every few frames; detection of scene cuts.

Shapes: boxes (4,) and meshes (468, 3) as in `landmarker`.

A detection is cheapest where the face was before: the mesh gets a window around it. Once the face is lost, the detector
searches the whole frame and, at longer and longer intervals, the tiles of a wide shot. A face that comes back is taken
for the same when it overlaps the last position; after a second, or after a cut, the face is chosen anew.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..picture import Picture
from .landmarker import WINDOW_PX, Box, Face, Landmarker, area, overlap
from .motion import HeadWindow
from .settings import FRAMES_PER_S
from .template import ANCHORS, Points, similarity
from .warp import size_ratio

_FACE_IN_WINDOW = (
    0.5  # width of the mesh relative to the window; the detector inside the mesh needs some margin
)
_RETRY_FACE_IN_WINDOW = 0.75  # tried when the mesh takes a neighbour instead
_DRIFT = 0.08  # of the window, which stays until the face has moved this far: moving it makes the mesh jitter
_GROWTH = 1.15  # or has grown or shrunk by this factor
_SAME_FACE = 0.3  # overlap (IoU) between detections
_STILL_THERE = 0.5  # overlap at which a face is the same after an apparent cut, such as a flash
_FORGET_AFTER = 1 * FRAMES_PER_S  # frames after which any face may be chosen
_CHECK_EVERY = 4 * FRAMES_PER_S  # frames after which the detector confirms that the mesh is on a face
_FIRST_TILES_AFTER, _TILES_AT_MOST_EVERY = 1, 10 * FRAMES_PER_S
_NEAR_FACE_AT = 1.0  # widths of the face: largest distance of the speaker from the given position
_CUT_SAMPLES = (18, 32)  # grid of pixels that are compared
_CUT_DIFFERENCE = 24.0  # their mean difference, of 255; moving speakers stay below 10
_CUT_RATIO = 4.0  # and this multiple of the usual difference


@dataclass(slots=True)
class Choice:
    """How the face was chosen: `rule` ("" for none yet), `num_resets` and `num_cuts` as in `table.ClipRow`.

    `num_faces` is the largest number of faces in one frame.
    """

    num_faces: int = 0
    rule: str = ""
    num_resets: int = 0
    num_cuts: int = 0


class CutDetector:
    """A detector of scene cuts: compares each picture with the one before on a grid of pixels."""

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None
        self._usual = 0.0

    def is_cut(self, picture: Picture) -> bool:
        """Return whether a picture is the first of a new scene."""
        height, width = picture.luma.shape
        rows, columns = max(1, height // _CUT_SAMPLES[0]), max(1, width // _CUT_SAMPLES[1])
        samples = picture.luma[rows // 2 :: rows, columns // 2 :: columns].astype(np.int16)
        last, self._last = self._last, samples
        if last is None:
            return False
        if last.shape != samples.shape:  # another size
            return True
        difference = float(np.abs(samples - last).mean())
        if difference > max(_CUT_DIFFERENCE, _CUT_RATIO * self._usual):
            self._usual = 0.0
            return True
        self._usual += 0.2 * (difference - self._usual)
        return False


class Tracker:
    """A tracker of one face of one clip.

    Attributes:
        choice: how the face was chosen.
        face_at: (x, y) near which a face is chosen, from 0 to 1 in the picture; None: the largest is.
        other_faces: (x, y), from 0 to 1 in the picture, of the faces beside it when it was chosen, largest first.
    """

    def __init__(self, landmarker: Landmarker, face_at: tuple[float, float] | None = None) -> None:
        """Start without a face; `face_at` is its (x, y), from 0 to 1 in the picture; None: take the largest face."""
        self.choice = Choice()
        self.other_faces: list[tuple[float, float]] = []
        self._landmarker = landmarker
        self._mesh = landmarker.borrow()
        self.face_at = face_at
        self._window: NDArray[np.float64] | None = None  # (2, 3) to the window of the mesh; None: no face
        self._box: Box | None = None  # last position
        self._head: HeadWindow | None = None  # in the picture of the last detection
        self._after_cut = False
        self._last_seen = 0
        self._next_tiles = 0
        self._tiles_after = _FIRST_TILES_AFTER
        self._next_check = _CHECK_EVERY

    def cut(self) -> None:
        """Start a new scene."""
        self.choice.num_cuts += 1
        self._lose()
        self._after_cut = True
        self._next_tiles = 0
        self._tiles_after = _FIRST_TILES_AFTER

    def detect(self, picture: Picture, frame: int) -> NDArray[np.float64] | None:
        """Find the (468, 3) mesh of the face in a frame, whose index grows from call to call; None where it is not."""
        mesh = self._follow(picture, frame)
        if mesh is None:
            mesh = self._search(picture, frame)
        if mesh is not None:
            self._box, self._last_seen = _box_of(mesh), frame
            self._head = _head_window(picture, mesh)
            self._next_tiles, self._tiles_after = frame, _FIRST_TILES_AFTER
        return mesh

    def look_back(self, pictures: Iterable[Picture]) -> Iterator[NDArray[np.float64]]:
        """Find the face in the pictures before the one in which it was found first, as the detector may have missed it.

        Takes the latest first, and yields (468, 3) meshes up to the first picture that does not show the face.
        """
        assert self._window is not None, "the face was found"
        box = self._box
        for picture in pictures:
            mesh = self._mesh.points(picture, self._window)
            if mesh is None or box is None or overlap(_box_of(mesh), box) < _SAME_FACE:
                break
            box = _box_of(mesh)
            yield mesh
        self._mesh.forget()

    def close(self) -> None:
        """Return the mesh."""
        self._mesh.close()

    def _follow(self, picture: Picture, frame: int) -> NDArray[np.float64] | None:
        if self._window is None or self._box is None or self._head is None:
            return None
        shift = self._head.fast_shift(picture)
        self._window[:, 2] -= self._window[:, :2] @ shift  # the face stays where the mesh expects it
        mesh = self._mesh.points(picture, self._window)
        if (
            mesh is None
            or overlap(_box_of(mesh), self._box + np.tile(shift, 2)) < _SAME_FACE
            or not self._confirmed(picture, frame, mesh)
        ):
            self._lose()
            return None
        self._move_window(mesh)
        return mesh

    def _confirmed(self, picture: Picture, frame: int, mesh: NDArray[np.float64]) -> bool:
        """Confirm the face by the detector every few seconds, and count the faces; it may miss that of a wide shot."""
        if frame < self._next_check:
            return True
        self._next_check = frame + _CHECK_EVERY
        faces = self._landmarker.faces(picture)
        self.choice.num_faces = max(self.choice.num_faces, len(faces))
        return not faces or any(overlap(f.box, _box_of(mesh)) > 0.1 for f in faces)

    def _lose(self) -> None:
        self._window = None

    def _search(self, picture: Picture, frame: int) -> NDArray[np.float64] | None:
        mesh = self._take(picture, frame, self._landmarker.faces(picture))
        if mesh is None and frame >= self._next_tiles:
            self._next_tiles = frame + self._tiles_after
            self._tiles_after = min(max(2 * self._tiles_after, FRAMES_PER_S), _TILES_AT_MOST_EVERY)
            mesh = self._take(picture, frame, self._landmarker.small_faces(picture))
        return mesh

    def _take(self, picture: Picture, frame: int, faces: list[Face]) -> NDArray[np.float64] | None:
        """Choose the first of the acceptable faces on which mesh and detector agree."""
        self.choice.num_faces = max(self.choice.num_faces, len(faces))
        for face, rule in self._acceptable(picture, frame, faces):
            mesh = self._mesh_of(picture, face)
            if mesh is not None:
                self.choice.num_resets += self._box is not None
                if rule != "same":
                    self.choice.rule = rule
                    self.other_faces = [_place(other.box, picture) for other in faces if other is not face]
                self._after_cut = False
                self._next_check = frame + _CHECK_EVERY
                self._move_window(mesh)
                return mesh
        return None

    def _acceptable(self, picture: Picture, frame: int, faces: list[Face]) -> list[tuple[Face, str]]:
        """Return the faces that may be chosen in order of preference, each with its rule."""
        box = self._box
        if box is not None:
            least = _STILL_THERE if self._after_cut else _SAME_FACE / 2
            same = sorted(
                (f for f in faces if overlap(f.box, box) > least), key=lambda f: -overlap(f.box, box)
            )
            if same or not (self._after_cut or frame - self._last_seen > _FORGET_AFTER):
                return [(f, "same") for f in same]
        if self.face_at is not None:
            return self._near(picture, faces, self.face_at)
        return [(f, "largest" if len(faces) > 1 else "only") for f in faces]

    def _near(self, picture: Picture, faces: list[Face], at: tuple[float, float]) -> list[tuple[Face, str]]:
        place = np.array([at[0] * picture.width, at[1] * picture.height])

        def distance(face: Face) -> float:
            """Return the distance in widths of the face."""
            return float(np.hypot(*(_centre(face.box) - place)) / (face.box[2] - face.box[0]))

        near = [f for f in faces if distance(f) < _NEAR_FACE_AT]
        return [(f, "nearest" if len(faces) > 1 else "only") for f in sorted(near, key=distance)]

    def _mesh_of(self, picture: Picture, face: Face) -> NDArray[np.float64] | None:
        for share in (_FACE_IN_WINDOW, _RETRY_FACE_IN_WINDOW):
            self._mesh.forget()
            window = _window(_centre(face.box), float(face.box[2] - face.box[0]) / share, face.tilt_rad)
            mesh = self._mesh.points(picture, window)
            if mesh is not None and overlap(_box_of(mesh), face.box) > _SAME_FACE:
                self._window = window
                return mesh
        return None

    def _move_window(self, mesh: NDArray[np.float64]) -> None:
        """Centre the window on the face again when that has moved or grown."""
        assert self._window is not None
        box = _box_of(mesh)
        width, centre = float(box[2] - box[0]), _centre(box)
        scale = size_ratio(self._window)
        at = self._window[:, :2] @ centre + self._window[:, 2]
        grown = scale * width / (_FACE_IN_WINDOW * WINDOW_PX)
        moved = np.abs(at - (WINDOW_PX - 1) / 2).max() / WINDOW_PX
        if moved > _DRIFT or not 1 / _GROWTH < grown < _GROWTH:
            eyes = mesh[263, :2] - mesh[33, :2]
            self._window = _window(centre, width / _FACE_IN_WINDOW, float(np.arctan2(eyes[1], eyes[0])))


def _window(centre: Points, side: float, tilt_rad: float) -> NDArray[np.float64]:
    """Return the matrix to the window of the mesh that shows `side` pixels around `centre`, rotated upright."""
    along = np.array([np.cos(tilt_rad), np.sin(tilt_rad)]) * side / 2
    middle = (WINDOW_PX - 1) / 2
    target = np.array([(middle - WINDOW_PX / 2, middle), (middle + WINDOW_PX / 2, middle)])
    return similarity(np.stack([centre - along, centre + along]), target)


def _head_window(picture: Picture, mesh: NDArray[np.float64]) -> HeadWindow:
    anchors = mesh[list(ANCHORS), :2]
    return HeadWindow(picture, anchors.mean(axis=0), max(1.0, float(np.hypot(*(anchors[3] - anchors[0])))))


def _box_of(mesh: NDArray[np.float64]) -> Box:
    return np.concatenate([mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)])


def _place(box: Box, picture: Picture) -> tuple[float, float]:
    x, y = _centre(box)
    return float(x / picture.width), float(y / picture.height)


def _centre(box: Box) -> Points:
    return (box[:2] + box[2:]) / 2


def face_size(mesh: NDArray[np.float64]) -> float:
    """Return the size of a face: the square root of the area of its box, in pixels of the upright picture."""
    return float(np.sqrt(area(_box_of(mesh))))


def yaw_deg(mesh: NDArray[np.float64]) -> float:
    """Return how far the head is turned to the side, degrees, by the depth of the outer corners of the eyes.

    0 faces the camera; above 0 the left eye of the face is farther away.
    """
    eyes = mesh[263] - mesh[33]
    return float(np.degrees(np.arctan2(eyes[2], np.hypot(eyes[0], eyes[1]))))
