"""Draw the moving parts of a face into each frame: blinking eyes, lips with teeth and tongue, the jaw.

Shapes: S pixels of the square head layer; K points of a curve; M = 5 mouth parameters (`visemes.PARAMETERS`).
Lengths are in head units (`look.py`). Curves are drawn with sub-pixel corners and smooth edges.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ...optional import import_optional
from .canvas import Floats, Image
from .head import EXTENT, Head

__all__ = ["JAW_DROP", "MOST_OPEN", "draw_eyes", "draw_mouth", "drop_jaw"]

MOST_OPEN = 0.19  # gap between the lips at opening 1
JAW_DROP = 0.12  # how far the chin sinks at opening 1
_EARLY = 0.45  # lips part sooner than the jaw drops; with it, MediaPipe's lip gap grows in proportion to the opening
_SHIFT = 5
_T: Floats = np.linspace(-1, 1, 25, dtype=np.float32)
_BOW: Floats = np.exp(-((_T / 0.16) ** 2)) * 0.22  # the dip in the middle of the upper lip

Colour = tuple[float, ...]


def drop_jaw(image: Image, head: Head, opening: float) -> None:
    """Move the lower part of the face down, in place: `image`, (S, S, 4) uint8, is a copy of the head's texture."""
    cv2 = import_optional("cv2")
    if opening <= 0.02:
        return
    top = int((head.look.mouth_y - 0.06 + EXTENT) * head.pixels_per_unit)
    grid = np.asarray(np.indices(head.jaw[top:].shape), np.float32)
    grid[0] -= head.jaw[top:] * np.float32(opening * JAW_DROP * head.pixels_per_unit)
    image[top:] = cv2.remap(image[top:], grid[1], grid[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def draw_mouth(image: Image, head: Head, mouth: npt.NDArray[np.float32]) -> None:
    """Draw the lips of parameters `mouth` (M,), with teeth and tongue, in place on a layer whose jaw has moved."""
    cv2 = import_optional("cv2")
    look = head.look
    opening, width, teeth, tongue, tuck = (float(value) for value in mouth)
    opened, pressed = max(opening, 0.0), max(-opening, 0.0)
    gap = opened * (1 + _EARLY * (1 - opened)) * MOST_OPEN + 0.018 * tuck
    rounded, spread = max(-width, 0.0), max(width, 0.0)
    half = look.mouth_width * (1 + 0.17 * spread - 0.34 * rounded - 0.05 * max(opening, 0.0))
    x = half * _T
    arch = np.sqrt(np.clip(1 - (_T / 0.93) ** 2, 0, None)) * (1 - 0.25 * np.abs(_T))
    line = look.mouth_y + 0.010 * _T**2 * (1 - 1.6 * spread) - 0.004
    inner_top = line - 0.16 * gap * arch
    inner_bottom = line + 0.84 * gap * arch
    full = (1 - _T**2) ** 0.62
    top_thick = look.upper_lip * (1 + 0.22 * rounded - 0.16 * spread - 2.6 * pressed) * (full - _BOW)
    bottom_thick = (
        look.lower_lip
        * (1 + 0.22 * rounded - 0.14 * spread - 2.6 * pressed - 0.55 * tuck)
        * (1 - np.abs(_T) ** 2.3)
    )
    light = _local_light(head, 0.0, look.mouth_y - 0.05)
    lip = np.asarray(look.lip) * light
    if gap > 0.001:
        _inside(image, head, x, inner_top, inner_bottom, teeth, tongue, light)
    _fill(image, head, x, inner_top - top_thick, inner_top, lip * 0.86)
    _fill(image, head, x, inner_bottom, inner_bottom + bottom_thick, lip * 1.04)
    centre = slice(7, 18)
    shine = inner_bottom[centre] + 0.42 * bottom_thick[centre]
    bow = 0.16 * bottom_thick[centre] * (1 - (_T[centre] / 0.45) ** 2).clip(0)
    _fill(image, head, x[centre], shine - bow, shine + bow, np.minimum(lip * 1.22 + 8, 255))
    dark = lip * (0.42 if gap < 0.006 else 0.55)
    width_px = max(1, round(0.009 * head.pixels_per_unit))
    seam = _points(head, x * 0.98, inner_top)
    cv2.polylines(image, [seam], False, _colour(dark), width_px, cv2.LINE_AA, _SHIFT)
    _soften(image, head, look.mouth_width * 1.5, look.mouth_y - 0.09, look.mouth_y + 0.27)


def _inside(
    image: Image,
    head: Head,
    x: Floats,
    top: Floats,
    bottom: Floats,
    teeth: float,
    tongue: float,
    light: Floats,
) -> None:
    """Draw the inside of the mouth: dark, with tongue and upper teeth."""
    _fill(image, head, x, top, bottom, np.asarray((22, 16, 46)) * light)
    gap = bottom - top
    if tongue > 0.03:
        rise = 0.75 * tongue * gap * np.clip(1 - (_T / 0.75) ** 2, 0, None)
        _fill(image, head, x, bottom - rise, bottom, np.asarray((92, 84, 178)) * light)
    if teeth > 0.03:
        tall = 0.036 * teeth * np.clip(1 - (_T / 0.9) ** 4, 0, None)
        tall = np.minimum(tall, (0.40 + 0.52 * teeth**4) * gap)
        white = np.asarray((205, 222, 230)) * light
        _fill(image, head, x, top, top + tall, white * 0.96)


def draw_eyes(image: Image, head: Head, openness: float, gaze: tuple[float, float]) -> None:
    """Draw both eyes, in place.

    Args:
        image: (S, S, 4) uint8, a copy of the head's texture.
        head: the head.
        openness: 0 closed to 1 open.
        gaze: direction of the eyes, right and down, about -1 to 1.
    """
    for side in (-1, 1):
        _draw_eye(image, head, side, openness, gaze)


def _draw_eye(image: Image, head: Head, side: int, openness: float, gaze: tuple[float, float]) -> None:
    cv2 = import_optional("cv2")
    look = head.look
    x = look.eye_x + look.eye_width * _T  # of the right one in the picture; the left is its mirror
    tilt = -look.eye_slant * _T
    full = np.clip(1 - np.abs(_T) ** 2.2, 0, None) ** 0.85
    upper_open = tilt - 1.12 * look.eye_height * full - 0.006 * full * _T
    lower = tilt + 0.80 * look.eye_height * full
    upper = openness * upper_open + (1 - openness) * (lower - 0.004)
    light = _local_light(head, side * look.eye_x, look.brow_y / 2)
    skin = np.asarray(look.skin) * light * (0.84, 0.82, 0.88)
    at = side * x
    _fill(image, head, at, upper_open - 0.014, lower + 0.004, skin)
    if openness > 0.12:
        _fill(image, head, at, upper, lower, np.asarray((214, 222, 226)) * np.minimum(light, 1.08))
        _draw_iris(image, head, side, upper, lower, gaze, light)
    lash = np.asarray((26, 24, 28)) * (0.6 if look.make_up > 0.5 else 1.0)
    thick = max(1, round((0.010 + 0.008 * look.make_up) * head.pixels_per_unit))
    cv2.polylines(image, [_points(head, at, upper)], False, _colour(lash), thick, cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, [_points(head, at, lower)], False, _colour(skin * 0.72), 1, cv2.LINE_AA, _SHIFT)
    crease = _points(head, at, upper_open - 0.024)
    cv2.polylines(image, [crease], False, _colour(skin * 0.74), 1, cv2.LINE_AA, _SHIFT)


def _draw_iris(
    image: Image,
    head: Head,
    side: int,
    upper: Floats,
    lower: Floats,
    gaze: tuple[float, float],
    light: Floats,
) -> None:
    """Draw iris, pupil and a glint within the opening of the lids."""
    cv2 = import_optional("cv2")
    look = head.look
    left, top = _to_pixels(head, side * look.eye_x - look.eye_width * 1.1, -0.07).astype(int)
    right, bottom = _to_pixels(head, side * look.eye_x + look.eye_width * 1.1, 0.07).astype(int)
    eye = image[top:bottom, left:right]
    iris = np.ascontiguousarray(eye)
    centre = _to_pixels(head, side * look.eye_x + 0.030 * gaze[0], -0.004 + 0.014 * gaze[1]) - (left, top)
    at = tuple(round(float(v) * (1 << _SHIFT)) for v in centre)
    scale = head.pixels_per_unit * (1 << _SHIFT)
    radius = 0.040
    rings: tuple[tuple[float, npt.NDArray[Any]], ...] = (
        (radius, np.asarray(look.iris) * 0.45),
        (radius * 0.86, np.asarray(look.iris) * 1.05 * light),
        (radius * 0.42, np.asarray((12, 10, 10))),
    )
    for size, colour in rings:
        cv2.circle(iris, at, int(size * scale), _colour(colour), -1, cv2.LINE_AA, _SHIFT)
    glint = (int(at[0] + 0.014 * scale * np.sign(head.light.direction[0] or 1)), int(at[1] - 0.014 * scale))
    cv2.circle(iris, glint, int(0.008 * scale), (250, 250, 250, 255), -1, cv2.LINE_AA, _SHIFT)
    mask = np.zeros(iris.shape[:2], np.uint8)
    x = side * (look.eye_x + look.eye_width * _T)
    points = _points(head, np.concatenate([x, x[::-1]]), np.concatenate([upper, lower[::-1]]))
    points -= np.array([left, top], np.int32) << _SHIFT
    cv2.fillPoly(mask, [points], 255, cv2.LINE_8, _SHIFT)
    cv2.copyTo(iris, mask, eye)


def _to_pixels(head: Head, x: float, y: float) -> npt.NDArray[np.float64]:
    return (np.array([x, y]) + EXTENT) * head.pixels_per_unit - 0.5


def _points(head: Head, x: Floats, y: Floats) -> npt.NDArray[np.int32]:
    """Return OpenCV's fixed-point pixels of a curve, (K, 1, 2)."""
    at = (np.stack([x, y], 1) + EXTENT) * head.pixels_per_unit - 0.5
    return np.asarray(np.rint(at * (1 << _SHIFT)), np.int32)[:, None]


def _fill(image: Image, head: Head, x: Floats, top: Floats, bottom: Floats, colour: npt.NDArray[Any]) -> None:
    """Fill between two curves over x."""
    cv2 = import_optional("cv2")
    points = _points(head, np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]]))
    cv2.fillPoly(image, [points], _colour(colour), cv2.LINE_AA, _SHIFT)


def _colour(colour: npt.NDArray[Any]) -> Colour:
    """Return a colour for OpenCV, opaque."""
    return (*(float(min(max(value, 0.0), 255.0)) for value in colour), 255.0)


def _local_light(head: Head, x: float, y: float) -> Floats:
    """Return the light's factors of blue, green and red at a point of the face."""
    column, row = _to_pixels(head, x, y).astype(int)
    around = max(2, int(0.04 * head.pixels_per_unit))
    shade = head.shade[row - around : row + around, column - around : column + around].mean()
    return np.asarray(head.light.cast, np.float32) * (head.light.gain * float(shade))


def _soften(image: Image, head: Head, half_width: float, top: float, bottom: float) -> None:
    """Blur a part slightly, so that drawn edges look like those of a camera."""
    cv2 = import_optional("cv2")
    left, first = _to_pixels(head, -half_width, top).astype(int)
    right, last = _to_pixels(head, half_width, bottom).astype(int)
    part = image[first:last, left:right]
    part[:] = cv2.GaussianBlur(part, (3, 3), 0.004 * head.pixels_per_unit + 0.2)
