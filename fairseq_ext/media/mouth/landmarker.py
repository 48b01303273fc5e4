"""Faces and their landmarks by MediaPipe: a detector for whole pictures and a mesh that follows one face.

Shapes: meshes are (468, 3) float64, x and y in pixels of the upright picture, z in the same unit, growing away from the
camera. Boxes are (4,): left, upper, right, lower edge in the same pixels.

MediaPipe's models come with its wheels up to version 0.10.21; nothing is downloaded. The mesh remembers the
position of the face between calls, so each tracked face needs a mesh of its own. A black picture clears it: its output
is then that of a new mesh, at a tenth of the time (measured).
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...optional import import_optional
from ..picture import Picture
from .template import Points, apply, invert
from .warp import opencv, scaling, size_ratio, warp

Box = NDArray[np.float64]

WINDOW_PX = 256  # side of the input of the mesh
_DETECTOR_PX = 384  # longer side of the picture given to the detector, twice its network input
_MAX_SHRINK = 4.0  # a window shrunk by more is averaged first; MediaPipe itself never averages
_MIN_SCORE = 0.5  # MediaPipe's default, for detector and mesh
_SAME_FACE = 0.3  # overlap above which two boxes are of one face
_TILES_PX = (720, 360)  # tried in turn on wide shots; 360 finds faces of 40 px in 1280x720


@dataclass(frozen=True, slots=True)
class Face:
    """A face that the detector found, with its box, (4,), and `score` from 0 to 1.

    `tilt_rad` is the angle of the line through the eyes, clockwise on the screen.
    """

    box: Box
    score: float
    tilt_rad: float


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / (area(a) + area(b) - shared))


def area(box: Box) -> float:
    """Return the area of a box."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


class Landmarker:
    """The models of one process, loaded when first used."""

    def __init__(self) -> None:
        self._detector: Any = None
        self._meshes: list[Any] = []  # idle ones

    def borrow(self) -> "Mesh":
        """Return a mesh that remembers no face; `Mesh.close` gives it back."""
        model = self._meshes.pop() if self._meshes else _load("face_mesh")
        return Mesh(model, self._meshes)

    def faces(self, picture: Picture) -> list[Face]:
        """Detect the faces of a picture that are not small in it, largest first."""
        longer = max(picture.width, picture.height)
        return self._faces_in(
            picture, 0.0, 0.0, picture.width, picture.height, min(1.0, _DETECTOR_PX / longer)
        )

    def small_faces(self, picture: Picture) -> list[Face]:
        """Find the faces of a wide shot, in overlapping tiles: slow (a tenth of a second at 720p).

        Returns those of the coarsest tiles that have any, largest first.
        """
        for tile in _TILES_PX:
            if tile >= max(picture.width, picture.height):
                continue
            found = [
                face
                for x in _offsets(picture.width, tile)
                for y in _offsets(picture.height, tile)
                for face in self._tile(picture, x, y, tile)
            ]
            if found:
                return _distinct(found)
        return []

    def _tile(self, picture: Picture, x: int, y: int, tile: int) -> list[Face]:
        width, height = min(tile, picture.width), min(tile, picture.height)
        return self._faces_in(picture, x, y, width, height, _DETECTOR_PX / tile)

    def _faces_in(
        self, picture: Picture, x: float, y: float, width: int, height: int, scale: float
    ) -> list[Face]:
        if self._detector is None:
            self._detector = _load("face_detection")
        matrix = scaling(scale, x, y)
        piece = warp(picture, matrix, (max(1, round(width * scale)), max(1, round(height * scale))))
        found = self._detector.process(_as_rgb(piece)).detections or []
        size, back = np.array(piece.shape[::-1]), invert(matrix)
        return _distinct([_face(detection, size, back) for detection in found])


class Mesh:
    """A mesh that follows one face from call to call."""

    def __init__(self, model: Any, home: list[Any]) -> None:
        self._model, self._home = model, home
        self._used = True  # an idle model may remember a face

    def points(self, picture: Picture, to_window: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Find the (468, 3) mesh of the face in a window; None where it shows no face.

        `to_window` is the (2, 3) matrix from the upright picture to the window of `WINDOW_PX`.
        """
        self._used = True
        window = warp(picture, to_window, (WINDOW_PX, WINDOW_PX), max_shrink=_MAX_SHRINK)
        found = self._model.process(_as_rgb(window)).multi_face_landmarks
        if not found:
            return None
        mesh = np.array(_coordinates(found[0]), np.float64)[:468] * WINDOW_PX
        back = invert(to_window)
        mesh[:, :2] = apply(back, mesh[:, :2] - 0.5)  # pixel centres are at whole numbers
        mesh[:, 2] *= size_ratio(back)
        return mesh

    def forget(self) -> None:
        """Clear the memory of the face."""
        if self._used:
            self._model.process(np.zeros((64, 64, 3), np.uint8))
        self._used = False

    def close(self) -> None:
        """Return the model to the idle ones."""
        self._home.append(self._model)


# The protocol-buffer message of 468 points is 468 times: tag and length (2 bytes, 0x0a 0x0f), then x, y, z, each a tag
# and 4 bytes, little endian. Parsing the bytes takes a tenth of the time of reading the attributes of every point.
_POINT = np.dtype({"names": ["x", "y", "z"], "formats": ["<f4"] * 3, "offsets": [3, 8, 13], "itemsize": 17})


def _coordinates(landmarks: Any) -> NDArray[np.float32]:
    raw = landmarks.SerializeToString()
    if len(raw) == 17 * len(landmarks.landmark):
        table = np.frombuffer(raw, _POINT)
        return np.stack([table["x"], table["y"], table["z"]], axis=1)
    return np.array([(p.x, p.y, p.z) for p in landmarks.landmark], np.float32)


def _face(detection: Any, size: NDArray[np.int64], back: NDArray[np.float64]) -> Face:
    location = detection.location_data
    box = location.relative_bounding_box
    corners: Points = np.array([(box.xmin, box.ymin), (box.xmin + box.width, box.ymin + box.height)])
    corners = apply(back, corners * size - 0.5)
    right, left = (np.array([p.x, p.y]) * size for p in location.relative_keypoints[:2])
    tilt = np.arctan2(left[1] - right[1], left[0] - right[0])
    return Face(corners.reshape(4), float(detection.score[0]), float(tilt))


def _distinct(faces: list[Face]) -> list[Face]:
    """Keep the most certain of overlapping faces; largest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if all(overlap(face.box, other.box) < _SAME_FACE for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda f: -area(f.box))


def _offsets(length: int, tile: int) -> list[int]:
    """Return the offsets of tiles that overlap by at least half, the last one flush with the end."""
    if length <= tile:
        return [0]
    num = -(-(length - tile) * 2 // tile)
    return [round(i * (length - tile) / num) for i in range(num + 1)]


def _as_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2 = opencv()
    rgb: NDArray[np.uint8] = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return rgb


def import_models() -> tuple[Any, Any]:
    """Import MediaPipe's `face_detection` and `face_mesh`.

    Raises:
        ImportError: if they are not installed; later versions than 0.10.21 do not bundle the models.
    """
    with _quiet():
        return (
            import_optional("mediapipe.python.solutions.face_detection"),
            import_optional("mediapipe.python.solutions.face_mesh"),
        )


def _load(name: str) -> Any:
    """Load a model and run it once, without the messages that it prints while it starts."""
    face_detection, face_mesh = import_models()
    with _quiet():
        if name == "face_mesh":
            model = face_mesh.FaceMesh(
                max_num_faces=1, refine_landmarks=False,
                min_detection_confidence=_MIN_SCORE, min_tracking_confidence=_MIN_SCORE,
            )  # fmt: skip
        else:
            model = face_detection.FaceDetection(model_selection=1, min_detection_confidence=_MIN_SCORE)
        model.process(np.zeros((64, 64, 3), np.uint8))
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what C++ code prints to standard error; Python exceptions still propagate."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    # protobuf warns at the first use of each message type.
    warnings.filterwarnings("ignore", message="SymbolDatabase.GetPrototype", category=UserWarning)
    sys.stderr.flush()
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
