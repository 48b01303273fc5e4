"""The reference face, and the similarity transform that maps a face onto it.

Shapes: points are (N, 2) float, (x, y) in pixels; matrices (2, 3) float64. Indices are those of MediaPipe's mesh of 468
points.
"""

import numpy as np
from numpy.typing import NDArray

from .settings import SIZE_PX

Points = NDArray[np.float64]

# Points that speech does not move: the corners of the eyes, outer and inner, and the base of the nose.
ANCHORS = (33, 133, 362, 263, 2)
# Both edges of both lips.
LIPS = (
    0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270, 291,
    308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415,
)  # fmt: skip
KEPT = (*ANCHORS, *LIPS)

# Mean positions of the anchors, relative to the middle between the outer corners of the eyes, in units of the distance
# between these corners. Our measurement: the mean over the 375 frames of five speakers of the GRID corpus (bbaf2n,
# brbk7n, lbax4n, lbbc2a, lrwp9a), each frame rotated so that the outer corners are level, mirrored halves averaged. The
# standard deviation between speakers is below 0.03.
_TEMPLATE = np.array([(-0.5, 0.0), (-0.194, 0.019), (0.194, 0.019), (0.5, 0.0), (0.0, 0.545)])
# The same mean has the mouth's corners 0.56 apart, its centre 0.82 and the chin 1.32 below the eyes, and is 1.52 wide:
# 80 px between the outer corners show it from the middle of the nose to below the chin, the mouth 44 px wide.
EYES_PX = 80.0


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """Fit rotation, scale and shift by least squares (Umeyama 1991, IEEE TPAMI 13(4); in 2D, without reflection).

    With the (N, 2) points as complex numbers about their means the turn and scale are one complex factor. Returns the
    (2, 3) matrix from source to target.
    """
    p, q = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    p_mean, q_mean = p.sum() / len(p), q.sum() / len(q)
    p, q = p - p_mean, q - q_mean
    factor = np.vdot(p, q) / np.vdot(p, p).real
    shift = q_mean - factor * p_mean
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def crop_matrix(anchors: Points, mouth: Points, scale: float = 1.0) -> NDArray[np.float64]:
    """Return the (2, 3) matrix to the crop that makes a face upright, scales it to the template and centres the mouth.

    It fits the (5, 2) points `ANCHORS` of the face; a scale above 1 shows less around the mouth.
    """
    matrix = similarity(anchors, _TEMPLATE * (EYES_PX * scale))
    matrix[:, 2] = (SIZE_PX - 1) / 2 - matrix[:, :2] @ mouth
    return matrix


def compose(second: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix of `first`, then `second`."""
    merged = second[:, :2] @ first
    merged[:, 2] += second[:, 2]
    return merged


def apply(matrix: NDArray[np.float64], points: Points) -> Points:
    """Apply a (2, 3) matrix to (..., 2) points."""
    moved: Points = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a (2, 3) matrix."""
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])
