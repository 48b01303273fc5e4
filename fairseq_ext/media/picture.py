"""Decoded pictures: brightness without a copy, and the matrix to the upright picture with square pixels.

Shapes: `luma` is (H, W) uint8, as the decoder left it. Points are (x, y) in pixels of the upright picture with square
pixels ("display"), pixel centres at whole numbers; `to_display` is the (2, 3) matrix from luma pixels to these. It is
merged into the one warp that cuts the crop, so that a rotated phone video or 720x576 anamorphic PAL costs nothing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EIGHT_BIT_LUMA = frozenset({
    "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv411p", "yuv410p", "yuv440p", "yuvj440p",
    "yuva420p", "nv12", "nv21", "nv16", "gray",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Attributes:
        time_s: time at which it is shown, s from the start of the file.
        duration_s: duration by the frame rate of the file, s.
        luma: (H, W) uint8.
        to_display: (2, 3) matrix from luma pixels to pixels of the upright picture.
        width: width of the upright picture, px.
        height: height of the upright picture, px.
        full_range: whether black is 0 and white 255, instead of 16 and 235.
    """

    time_s: float
    duration_s: float
    luma: NDArray[np.uint8]
    to_display: NDArray[np.float64]
    width: int
    height: int
    full_range: bool


def display_matrix(
    width: int, height: int, rotation_deg: float, pixel_aspect: float
) -> tuple[NDArray[np.float64], int, int]:
    """Return the matrix from the pixels of a stored picture to those of the upright one.

    Args:
        width: stored width, px.
        height: stored height, px.
        rotation_deg: counter-clockwise rotation that makes it upright, rounded to a multiple of 90 degrees.
        pixel_aspect: width of a stored pixel divided by its height.

    Returns:
        The (2, 3) matrix, and width and height of the upright picture in pixels.
    """
    wide = round(width * pixel_aspect)
    shift = (pixel_aspect - 1) / 2  # pixel centres are at whole numbers
    x, y = np.array([pixel_aspect, 0, shift]), np.array([0, 1.0, 0])
    last_x, last_y = np.array([0, 0, wide - 1.0]), np.array([0, 0, height - 1.0])
    match round(rotation_deg / 90) % 4:
        case 0:
            return np.stack([x, y]), wide, height
        case 1:
            return np.stack([y, last_x - x]), height, wide
        case 2:
            return np.stack([last_x - x, last_y - y]), wide, height
        case _:
            return np.stack([last_y - y, x]), height, wide


def to_picture(frame: Any, stream: Any, start_s: float, last_s: float) -> Picture | None:
    """Convert a decoded frame to a picture; None when it is not later than the last one."""
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    if frame.time is None:
        time_s = 0.0 if math.isinf(last_s) else last_s + 1 / rate
    else:
        time_s = frame.time - start_s
    if time_s <= last_s:
        return None
    luma, full_range = _luma(frame)
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    to_display, width, height = display_matrix(frame.width, frame.height, frame.rotation, aspect)
    return Picture(time_s, 1 / rate, luma, to_display, width, height, full_range)


def _luma(frame: Any) -> tuple[NDArray[np.uint8], bool]:
    """Return the Y plane of formats with 8 bits; other formats are converted to full-range grey."""
    if frame.format.name not in _EIGHT_BIT_LUMA:
        grey = frame.reformat(format="gray")
        return _plane(grey), True
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj") or frame.format.name == "gray"
    return _plane(frame), bool(full)


def _plane(frame: Any) -> NDArray[np.uint8]:
    """Return the first plane without the padding of its rows."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * frame.height].reshape(
        frame.height, plane.line_size
    )
    return rows[:, : frame.width]
