"""A canvas to paint static layers on, in head units: soft blobs, polygons, noise. Slow; used once per speaker.

Shapes: H, W pixels of the canvas; N points of an outline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...optional import import_optional
from .look import Colour

__all__ = ["Canvas", "Floats", "Image", "smooth_noise"]

Floats = npt.NDArray[np.floating[Any]]
Image = npt.NDArray[np.uint8]
_SHIFT = 4  # sub-pixel bits of OpenCV's polygons


class Canvas:
    """Colour and coverage of a rectangle in head units.

    Attributes:
        x: (W,) x of the columns' centres.
        y: (H, 1) y of the rows' centres.
        colour: (H, W, 3) blue, green, red, 0-255.
        alpha: (H, W) coverage, 0-1.
    """

    def __init__(self, left: float, top: float, right: float, bottom: float, pixels_per_unit: float) -> None:
        """Make an empty canvas of these bounds in head units."""
        width, height = round((right - left) * pixels_per_unit), round((bottom - top) * pixels_per_unit)
        self.pixels_per_unit = pixels_per_unit
        self.left, self.top = left, top
        self.x: Floats = left + (np.arange(width, dtype=np.float32) + 0.5) / pixels_per_unit
        self.y: Floats = (top + (np.arange(height, dtype=np.float32) + 0.5) / pixels_per_unit)[:, None]
        self.colour: Floats = np.zeros((height, width, 3), np.float32)
        self.alpha: Floats = np.zeros((height, width), np.float32)

    def pixels(self, points: Sequence[tuple[float, float]] | Floats) -> npt.NDArray[np.int32]:
        """Convert points in head units to OpenCV's fixed-point pixels, (N, 1, 2)."""
        at = (np.asarray(points, np.float32) - (self.left, self.top)) * self.pixels_per_unit - 0.5
        return np.asarray(np.rint(at * (1 << _SHIFT)), np.int32)[:, None]

    def outline(self, points: Sequence[tuple[float, float]] | Floats, soft: float = 0.0) -> Floats:
        """Draw the mask (H, W), 0-1, of a closed outline of N corners, its edge `soft` head units wide."""
        cv2 = import_optional("cv2")

        mask = np.zeros(self.alpha.shape, np.uint8)
        cv2.fillPoly(mask, [self.pixels(points)], 255, cv2.LINE_AA, _SHIFT)
        out = mask.astype(np.float32) / 255
        return np.asarray(
            cv2.GaussianBlur(out, (0, 0), soft * self.pixels_per_unit) if soft else out, np.float32
        )

    def blob(self, x: float, y: float, width: float, height: float) -> Floats:
        """Draw a Gaussian bump (H, W), 0-1, around (x, y); `width` and `height` are its standard deviations."""
        return np.exp(-(((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2) / 2)

    def ellipse(self, x: float, y: float, width: float, height: float, soft: float = 0.0) -> Floats:
        """Draw the mask of an ellipse with half axes `width` and `height`; see `outline`."""
        turn = np.linspace(0, 2 * np.pi, 64)
        return self.outline(
            np.stack([x + width * np.cos(turn), y + height * np.sin(turn)], 1).astype(np.float32), soft
        )

    def tint(self, mask: Floats, colour: Colour | Floats, strength: float = 1.0) -> None:
        """Mix a colour into the painting without changing its coverage."""
        share = (mask * strength)[..., None]
        self.colour += share * (np.asarray(colour, np.float32) - self.colour)

    def fill(self, mask: Floats, colour: Colour | Floats) -> None:
        """Paint a colour, also where nothing is painted yet."""
        empty = self.alpha < 1e-3
        self.colour[empty] = np.broadcast_to(np.asarray(colour, np.float32), self.colour.shape)[empty]
        self.tint(mask, colour)
        self.alpha = np.maximum(self.alpha, mask)

    def scale(self, factor: npt.NDArray[np.floating[Any]]) -> None:
        """Multiply the colours by (H, W) or (H, W, 1)."""
        self.colour *= factor if factor.ndim == 3 else factor[..., None]

    def image(self) -> Image:
        """Return the canvas as (H, W, 4) uint8: blue, green, red, coverage."""
        out = np.concatenate([self.colour, self.alpha[..., None] * 255], axis=2)
        return np.asarray(np.clip(np.rint(out), 0, 255), np.uint8)


def smooth_noise(shape: tuple[int, int], cells: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Draw noise (H, W) of mean 0 and deviation about 1 that changes over some pixels.

    Args:
        shape: (H, W) of the result.
        cells: pixels between independent values, down and across.
        rng: random generator of the noise.
    """
    cv2 = import_optional("cv2")

    coarse = [max(2, round(size / cell)) for size, cell in zip(shape, cells, strict=True)]
    noise = rng.standard_normal(coarse).astype(np.float32)
    return np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
