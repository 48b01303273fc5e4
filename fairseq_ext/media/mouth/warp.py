"""Cut pieces out of pictures: rotation, scale, shift, square pixels and brightness range in one pass over the piece."""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...optional import import_optional
from ..picture import Picture
from .template import compose

_MAX_OVERSAMPLING = 4


@cache
def opencv() -> Any:
    """Import OpenCV with one thread: one process per core is faster.

    Raises:
        ImportError: with what to install.
    """
    cv2 = import_optional("cv2")
    cv2.setNumThreads(1)
    return cv2


@cache
def fade(side_px: int) -> Any:
    """Return weights that fade towards the border, which phase correlation would otherwise correlate with itself."""
    cv2 = opencv()
    return cv2.createHanningWindow((side_px, side_px), cv2.CV_32F)


def warp(
    picture: Picture, matrix: NDArray[np.float64], size: tuple[int, int], *, max_shrink: float = 1.5
) -> NDArray[np.uint8]:
    """Cut a piece out of a picture, (height, width) uint8 in the brightness range of the source.

    Outside the picture the border is repeated. Where the piece is much smaller than its source it is drawn larger and
    averaged, so that fine detail does not flicker.

    Args:
        matrix: (2, 3), from the upright picture to the piece, in pixels.
        size: (width, height) of the piece.
        max_shrink: factor by which the piece may be smaller than its source before that; a larger factor is faster and
            good enough to find a face.
    """
    cv2 = opencv()
    direct = compose(matrix, picture.to_display)
    times = min(math.ceil(1 / size_ratio(direct) / max_shrink), _MAX_OVERSAMPLING)
    if times > 1:
        direct = direct * times
        direct[:, 2] += (times - 1) / 2  # pixel centres are at whole numbers
    large = (size[0] * times, size[1] * times)
    piece = cv2.warpAffine(
        picture.luma, direct, large, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if times > 1:
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    result: NDArray[np.uint8] = piece
    return result


def size_ratio(matrix: NDArray[np.float64]) -> float:
    """Return the factor by which a (2, 3) matrix scales lengths: the root of its determinant."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def to_full_range(piece: NDArray[np.uint8], picture: Picture) -> NDArray[np.uint8]:
    """Expand brightness, (height, width) uint8, from 16..235 to 0..255 where the source has that range."""
    return piece if picture.full_range else _expansion()[piece]


@cache
def _expansion() -> NDArray[np.uint8]:
    """Return the table of ITU-R BT.601: 219 steps from 16 on."""
    levels = (np.arange(256) - 16) * (255 / 219)
    table: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return table


def thumbnail(picture: Picture, width: int) -> NDArray[np.uint8]:
    """Draw the whole upright picture, (height, width) uint8, full range; one narrower than `width` is not enlarged."""
    scale = min(1.0, width / picture.width)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return to_full_range(warp(picture, scaling(scale), size), picture)


def scaling(scale: float, x: float = 0.0, y: float = 0.0) -> NDArray[np.float64]:
    """Return the (2, 3) matrix that cuts at (x, y), the left and upper edge in the source, and scales.

    `scale` is the number of pixels of the piece per pixel of the source.
    """
    half = (scale - 1) / 2  # pixel centres are at whole numbers
    return np.array([[scale, 0, half - scale * x], [0, scale, half - scale * y]])
