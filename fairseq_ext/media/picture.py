"""Decoded pictures: brightness without a copy, and the matrix to the upright picture with square pixels.

Shapes: `luma` is (H, W) uint8, as the decoder left it. Points are (x, y) in pixels of the upright picture with square
pixels ("display"), pixel centres at whole numbers; `to_display` is the (2, 3) matrix from luma pixels to these. It is
merged into the one warp that cuts the crop, so that a rotated phone video or 720x576 anamorphic PAL costs nothing.
"""

import struct
from dataclasses import dataclass
from functools import cache
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
        time_s: time at which it is shown, from the start of the file.
        duration_s: duration by the frame rate of the file.
        luma: (H, W) uint8.
        to_display: (2, 3) matrix from luma pixels to pixels of the upright picture, of `width` and `height`.
        full_range: whether black is 0 and white 255, instead of 16 and 235.
    """

    time_s: float
    duration_s: float
    luma: NDArray[np.uint8]
    to_display: NDArray[np.float64]
    width: int
    height: int
    full_range: bool


@cache
def display_matrix(
    width: int, height: int, rotation_deg: float, pixel_aspect: float, *, mirrored: bool = False
) -> tuple[NDArray[np.float64], int, int]:
    """Return the (2, 3) matrix from the pixels of a stored picture to those of the upright one, and its size in pixels.

    Args:
        rotation_deg: counter-clockwise rotation that makes it upright, rounded to a multiple of 90 degrees.
        pixel_aspect: width of a stored pixel divided by its height.
        mirrored: whether left and right are exchanged before the rotation.
    """
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[round(rotation_deg / 90) % 4]
    turn = np.array([[cos, sin], [-sin, cos]]) @ np.diag([-1 if mirrored else 1, 1])
    stored = np.array([round(width * pixel_aspect), height])
    shown = np.abs(turn) @ stored
    centre = np.array([(pixel_aspect - 1) / 2, 0.0])  # pixel centres are at whole numbers
    shift = turn @ centre + np.where(turn.sum(axis=1) < 0, shown - 1, 0)
    return np.column_stack([turn * [pixel_aspect, 1], shift]), int(shown[0]), int(shown[1])


class PictureReader:
    """A converter of the decoded frames of one stream to pictures with the time at which they are shown."""

    def __init__(self, stream: Any, start_s: float, container_name: str) -> None:
        """Start before the first frame.

        Args:
            stream: video stream of PyAV.
            start_s: time stamp of the start of the file, s.
            container_name: format of the file. ASF states when pictures are decoded, AVI counts them in that order;
                what FFmpeg then gives as times of display is a guess that goes back and forth with B-frames. Decoders
                return pictures in the order of display, each with the stamp of the packet that completed it.
        """
        self._stream, self._start_s, self._container_name = stream, start_s, container_name
        self._rate = float(stream.average_rate or stream.guessed_rate or 25)
        self._aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        self._first_dts: int | None = None
        self._last_s = -1 / self._rate

    def read(self, frame: Any) -> Picture:
        """Convert a frame; one without a time stamp follows the last by a period."""
        time_s = self._time_s(frame)
        self._last_s = self._last_s + 1 / self._rate if time_s is None else time_s
        luma, full_range = _luma(frame)
        mirrored = _is_mirrored(frame)
        to_display, width, height = display_matrix(
            frame.width, frame.height, frame.rotation + 180 * mirrored, self._aspect, mirrored=mirrored
        )
        return Picture(self._last_s, 1 / self._rate, luma, to_display, width, height, full_range)

    def _time_s(self, frame: Any) -> float | None:
        if self._container_name not in {"asf", "avi"}:
            return None if frame.time is None else frame.time - self._start_s
        if frame.dts is None:  # the last ones, which no packet completed
            return None
        if self._first_dts is None:
            self._first_dts = frame.dts
        if self._container_name == "avi":  # it counts from 0, without the delay of reordering
            return float((frame.dts - self._first_dts) * self._stream.time_base)
        return float(frame.dts * self._stream.time_base) - self._start_s


def _is_mirrored(frame: Any) -> bool:
    """Return whether the display matrix (a, b, u, c, d, v, x, y, w of ISO 14496-12) mirrors, which phones' front
    cameras write; PyAV returns its rotation only, that of the first row, which is half a turn off where it mirrors."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False
    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
    return bool(a * d < b * c)


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
