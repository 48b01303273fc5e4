"""Paint the static layers of a speaker: head without eyes and mouth, relief of the face, neck and shoulders.

Shapes: S pixels of the square head layer, which covers -EXTENT to EXTENT in head units (`look.py`).

The face is shaded as a relief under one light: its height is an ellipsoid with bumps for nose, brows, cheekbones,
lips and chin, so that light from any side gives the shadows by which detectors recognise a face.
"""

from dataclasses import dataclass

import numpy as np

from ...optional import import_optional
from .canvas import Canvas, Floats, Image, smooth_noise
from .look import Light, Look

__all__ = ["EXTENT", "Head", "make_body", "make_head"]

EXTENT = 1.15
BODY = (-1.9, 0.30, 1.9)  # left, top and right of the body's layer


@dataclass(frozen=True, slots=True)
class Head:
    """Layers of one speaker in one light."""

    look: Look  # looks of the speaker
    light: Light  # light of the scene
    texture: Image  # (S, S, 4) uint8, the head with closed skin where eyes and mouth go
    depth: Floats  # (S, S) how far each point stands out, in head units; 0 at the ears
    jaw: Floats  # (S, S) how much of the jaw's movement each point follows, 0-1
    shade: Floats  # (S, S) brightness that the light gives, 1 where it falls straight on
    pixels_per_unit: float  # resolution


def make_head(look: Look, light: Light, size: int) -> Head:
    """Paint the layers of a head of `size` = S pixels."""
    canvas = Canvas(-EXTENT, -EXTENT, EXTENT, EXTENT, size / (2 * EXTENT))
    rng = np.random.default_rng([look.seed, 17])
    face = canvas.outline(_face_outline(look), 0.006)
    height = _height(canvas, look)
    shade = _shade(canvas, height, light)
    _paint_back_hair(canvas, look, light, rng)
    _paint_ears(canvas, look, light)
    _paint_skin(canvas, look, light, face, shade, rng)
    _paint_features(canvas, look, face, rng)
    _paint_front_hair(canvas, look, light, face, rng)
    _paint_brows(canvas, look, rng)
    _paint_glasses(canvas, look)
    canvas.scale(np.full((1, 1, 3), np.asarray(light.cast, np.float32) * light.gain))
    depth, jaw = _depth(canvas, look, height), _jaw(canvas, look)
    return Head(look, light, canvas.image(), depth, jaw, shade, canvas.pixels_per_unit)


def _face_outline(look: Look) -> Floats:
    """Return the corners of the face's outline, (N, 2)."""
    top, chin = -0.76, look.chin_y
    above, below = np.linspace(0, np.pi / 2, 40), np.linspace(0, np.pi / 2, 60)
    y = np.concatenate([top * np.cos(above), chin * np.sin(below)])
    upper = (1 - (np.abs(y) / -top) ** 2.6).clip(0) ** 0.5
    lower = (1 - (np.abs(y) / chin) ** look.jaw_power).clip(0) ** 0.56
    # Cheekbones: widest a little below the eyes.
    width = look.face_width * np.where(y < 0, upper, lower) * (1 + 0.02 * np.exp(-(((y - 0.12) / 0.12) ** 2)))
    right = np.stack([width, y], 1)
    return np.concatenate([right, right[::-1] * (-1, 1)]).astype(np.float32)


def _height(canvas: Canvas, look: Look) -> Floats:
    """Return the relief of the face in head units."""
    x, y = canvas.x, canvas.y
    radius = (x / (look.face_width * 1.12)) ** 2 + ((y + 0.02) / 0.88) ** 2
    height = 0.50 * np.sqrt(np.clip(1 - radius, 0.0, 1.0)).astype(np.float32)
    nose = look.nose_depth
    for at in np.linspace(0.0, 1.0, 7):  # the bridge, rising to the tip
        ridge_y = -0.04 + at * (look.nose_y + 0.0)
        height += nose * (0.018 + 0.03 * at) * canvas.blob(0, ridge_y, 0.026 + 0.016 * at, 0.04)
    height += nose * 0.05 * canvas.blob(0, look.nose_y - 0.045, 0.045, 0.04)
    for side in (-1, 1):
        height += 0.055 * canvas.blob(side * look.nose_width * 0.72, look.nose_y - 0.025, 0.028, 0.032)
        height -= 0.055 * canvas.blob(side * look.eye_x, -0.005, 0.10, 0.055)
        height += 0.020 * canvas.blob(side * look.eye_x, 0.005, 0.06, 0.032)  # the eyeball
        height += 0.030 * canvas.blob(side * look.eye_x * 0.9, look.brow_y, 0.12, 0.04)
        height += 0.035 * canvas.blob(side * 0.27, 0.17, 0.11, 0.09)
        height -= (0.004 + 0.012 * look.wrinkles) * canvas.blob(side * look.eye_x, 0.075, 0.07, 0.014)
        height -= _fold(canvas, look, side)
    height += 0.045 * canvas.blob(0, look.mouth_y, 0.15, 0.10)
    height += 0.050 * canvas.blob(0, look.chin_y - 0.10, 0.10, 0.06)
    height -= 0.022 * canvas.blob(0, look.mouth_y + 0.105, 0.09, 0.026)
    height -= 0.010 * canvas.blob(0, look.nose_y + 0.065, 0.014, 0.04)
    return np.asarray(height, np.float32)


def _depth(canvas: Canvas, look: Look, height: Floats) -> Floats:
    """Smooth the relief for the warp, in which it must not jump at the outline."""
    cv2 = import_optional("cv2")
    inside = 1 - (canvas.x / (look.face_width * 1.12)) ** 2 - ((canvas.y + 0.02) / 0.88) ** 2
    flat = height * np.clip(inside / 0.35, 0, 1)
    return np.asarray(cv2.GaussianBlur(flat, (0, 0), 0.035 * canvas.pixels_per_unit), np.float32)


def _fold(canvas: Canvas, look: Look, side: int) -> Floats:
    """Return the relief of the fold from nose to mouth."""
    fold = np.zeros_like(canvas.alpha)
    for at in np.linspace(0, 1, 7):
        x = look.nose_width + 0.015 + at * (look.mouth_width + 0.035 - look.nose_width)
        y = look.nose_y - 0.04 + at * (look.mouth_y - look.nose_y + 0.02)
        fold += (0.003 + 0.008 * look.wrinkles) * canvas.blob(side * x, y, 0.016, 0.025)
    return fold


def _shade(canvas: Canvas, height: Floats, light: Light) -> Floats:
    """Return the brightness of the relief by Lambert's law, with some gloss."""
    down, across = np.gradient(height, 1 / canvas.pixels_per_unit)
    normal = np.stack([-across, -down, np.ones_like(height)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    facing = np.clip(normal @ np.asarray(light.direction, np.float32), 0, None)
    halfway = np.add(light.direction, (0, 0, 1), dtype=np.float32)
    gloss = np.clip(normal @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 24
    shade = light.ambient + (1 - light.ambient) * facing / max(light.direction[2], 0.6) + 0.07 * gloss
    return np.asarray(shade, np.float32)


def _paint_back_hair(canvas: Canvas, look: Look, light: Light, rng: np.random.Generator) -> None:
    """Paint the hair behind the face."""
    if look.hair_style == "bald":
        return
    turn = np.linspace(0, 2 * np.pi, 90)
    swell = {"short": 0.045, "parted": 0.075, "long": 0.09, "curly": 0.13}[look.hair_style]
    ragged = 0.012 if look.hair_style != "curly" else 0.028
    radius = 1 + ragged * np.interp(turn, np.linspace(0, 2 * np.pi, 46), rng.standard_normal(46))
    width, top = look.face_width + swell, 0.74 + swell
    points = np.stack([width * np.cos(turn) * radius, -0.08 + (top - 0.04) * np.sin(turn) * radius], 1)
    if look.hair_style == "short":
        points[:, 1] = np.minimum(points[:, 1], 0.02)
    if look.hair_style in ("parted", "curly"):
        points[:, 1] = np.minimum(points[:, 1], 0.24)
    mask = canvas.outline(points.astype(np.float32), 0.01)
    if look.hair_style == "long":
        right = [(width * 1.10, 0.4), (width * 1.06, 0.85), (width * 0.92, 1.03), (0.30, 1.06)]
        fall = [(-width, -0.3), (width, -0.3), *right, *((-x, y) for x, y in right[::-1])]
        throat = [(-0.22, 0.3), (0.22, 0.3), (0.34, EXTENT), (-0.34, EXTENT)]
        strands = canvas.outline(fall, 0.02) * (1 - canvas.outline(throat, 0.02))
        mask = np.maximum(mask * (1 - canvas.outline(throat, 0.02)), strands)
    canvas.fill(mask, _hair_colours(canvas, look, light, rng) * 0.85)


def _hair_colours(canvas: Canvas, look: Look, light: Light, rng: np.random.Generator) -> Floats:
    """Return colours of strands, (S, S, 3): noise that is long downwards and short across, under the light."""
    scale = canvas.pixels_per_unit / 100
    shape = canvas.alpha.shape
    cells = (5.0, 5.0) if look.hair_style == "curly" else (40.0, 2.2)
    strands = smooth_noise(shape, (cells[0] * scale, cells[1] * scale), rng)
    side = 1 + 0.35 * light.direction[0] * canvas.x - 0.25 * light.direction[1] * -canvas.y
    gleam = 0.14 * canvas.blob(0.15, -0.62, 0.3, 0.12)
    bright = np.clip((light.ambient + 0.55) * side + 0.10 * strands + gleam, 0.3, 1.7)
    return np.asarray(np.asarray(look.hair, np.float32) * bright[..., None])


def _paint_ears(canvas: Canvas, look: Look, light: Light) -> None:
    skin = np.asarray(look.skin, np.float32)
    for side in (-1, 1):
        facing = np.clip(0.55 + 0.6 * side * light.direction[0], 0.1, 1.2)
        bright = light.ambient + (1 - light.ambient) * facing
        at = side * (look.face_width + 0.012)
        canvas.fill(canvas.ellipse(at, 0.07, 0.055, 0.125, 0.006), skin * bright * (0.95, 0.92, 1.0))
        canvas.tint(canvas.ellipse(at + side * 0.012, 0.06, 0.026, 0.08, 0.012), skin * bright * 0.66, 0.7)


def _paint_skin(
    canvas: Canvas, look: Look, light: Light, face: Floats, shade: Floats, rng: np.random.Generator
) -> None:
    """Paint skin with its redder and darker parts, pores and blotches, under the light."""
    shape, scale = canvas.alpha.shape, canvas.pixels_per_unit / 100
    skin = np.broadcast_to(np.asarray(look.skin, np.float32), (*shape, 3)).copy()
    blotches = smooth_noise(shape, (14 * scale, 14 * scale), rng) * 0.022
    pores = smooth_noise(shape, (1.6 * scale, 1.6 * scale), rng) * 0.018
    skin *= (1 + blotches + pores)[..., None]
    cheeks = canvas.blob(-0.25, 0.2, 0.09, 0.08) + canvas.blob(0.25, 0.2, 0.09, 0.08)
    red = 0.45 * cheeks + 0.5 * canvas.blob(0, look.nose_y - 0.04, 0.06, 0.05)
    skin *= 1 - red[..., None] * (0.16, 0.13, 0.0)
    sockets = canvas.blob(-look.eye_x, -0.02, 0.085, 0.05) + canvas.blob(look.eye_x, -0.02, 0.085, 0.05)
    skin *= 1 - sockets[..., None] * np.asarray((0.14, 0.18, 0.14), np.float32)
    canvas.fill(face, skin * shade[..., None])


def _paint_features(canvas: Canvas, look: Look, face: Floats, rng: np.random.Generator) -> None:
    """Paint nostrils, their shadow, the shade below the lip, beard and stubble."""
    for side in (-1, 1):
        nostril = canvas.ellipse(side * look.nose_width * 0.42, look.nose_y + 0.002, 0.024, 0.012, 0.007)
        canvas.tint(nostril, np.multiply(look.skin, 0.16), 0.85)
        wing = canvas.blob(side * look.nose_width * 1.02, look.nose_y - 0.02, 0.008, 0.022)
        canvas.scale(1 - 0.28 * wing)
    canvas.scale(1 - 0.20 * canvas.blob(0, look.nose_y + 0.028, 0.06, 0.014))
    canvas.scale(1 - 0.13 * canvas.blob(0, look.mouth_y + look.lower_lip + 0.03, 0.09, 0.016))
    if max(look.beard, look.moustache) <= 0:
        return
    grain = 1 + 0.35 * smooth_noise(canvas.alpha.shape, (3.0, 1.3), rng)
    jaw = (1 / (1 + np.exp(-(canvas.y - 0.30 - 0.55 * (0.40 - np.abs(canvas.x)).clip(0)) / 0.025))) * face
    mouth = canvas.ellipse(0, look.mouth_y, look.mouth_width * 1.22, 0.075, 0.02)
    upper = canvas.blob(0, (look.nose_y + look.mouth_y) / 2 + 0.01, look.mouth_width * 0.62, 0.032)
    canvas.tint(np.clip(jaw * (1 - mouth) * grain, 0, 1), np.multiply(look.hair, 0.7), look.beard)
    canvas.tint(np.clip(upper * grain, 0, 1), np.multiply(look.hair, 0.7), look.moustache)


def _paint_front_hair(
    canvas: Canvas, look: Look, light: Light, face: Floats, rng: np.random.Generator
) -> None:
    """Paint hair over the forehead and the temples."""
    if look.hair_style == "bald":
        canvas.scale(1 - 0.04 * canvas.blob(0, -0.62, 0.4, 0.1))
        return
    x = canvas.x / look.face_width
    leans = {"parted": 0.10 * np.tanh(4 * (x - 0.3)), "long": 0.05 * np.cos(9 * (x - 0.1))}
    lean = leans.get(look.hair_style, 0.0 * x)
    line = look.hairline_y + 0.13 * x**2 + 0.9 * np.clip(np.abs(x) - 0.80, 0, None) ** 1.0 + lean
    ragged = 0.012 * smooth_noise((1, canvas.alpha.shape[1]), (1, 0.03 * canvas.pixels_per_unit), rng)
    above = 1 / (1 + np.exp(np.clip((canvas.y - line - ragged) / 0.014, -40, 40)))
    covered = np.maximum(face, canvas.alpha / (1 + np.exp((canvas.y + 0.1) / 0.05)))
    hair = np.asarray(above * covered, np.float32)
    canvas.tint(hair, _hair_colours(canvas, look, light, rng))
    shadow = np.exp(-(((canvas.y - line - 0.035) / 0.03) ** 2)) * face * (1 - above)
    canvas.scale(1 - 0.16 * shadow)


def _paint_brows(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Paint the brows: arched strokes, thicker towards the nose, with the grain of hair."""
    grain = 1 + 0.25 * smooth_noise(canvas.alpha.shape, (2.0, 1.2), rng)
    for side in (-1, 1):
        at = np.linspace(0, 1, 14)
        x = side * (look.eye_x - 0.115 + at * 0.25)
        y = look.brow_y - 0.006 - 0.028 * np.sin(np.pi * np.clip(at * 1.05, 0, 1) ** 1.4) + 0.016 * at
        half = look.brow_thickness * (1 - 0.72 * at**1.6) * (0.75 + 0.25 * np.sin(np.pi * at))
        points = np.concatenate([np.stack([x, y - half], 1), np.stack([x, y + half], 1)[::-1]])
        mask = canvas.outline(points.astype(np.float32), 0.008)
        canvas.tint(np.clip(mask * grain, 0, 1), look.brow, 0.85)


def _paint_glasses(canvas: Canvas, look: Look) -> None:
    """Paint the frame of glasses; the lenses are clear."""
    if look.glasses == "none":
        return
    thick = {"thin": 0.009, "thick": 0.022, "round": 0.010}[look.glasses]
    power, wide, high = (2.0, 0.145, 0.140) if look.glasses == "round" else (3.6, 0.158, 0.105)
    turn = np.linspace(0, 2 * np.pi, 72)
    ring_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power)
    ring_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power)
    frame = np.zeros_like(canvas.alpha)
    for side in (-1, 1):
        ring = (
            np.stack([side * look.eye_x + (wide + grow) * ring_x, 0.018 + (high + grow) * ring_y], 1)
            for grow in (thick / 2, -thick / 2)
        )
        outer, inner = (canvas.outline(points.astype(np.float32), 0.003) for points in ring)
        frame = np.maximum(frame, outer - inner)
        hinge = [(side * (look.eye_x + wide), -0.03), (side * (look.face_width + 0.01), -0.02)]
        frame = np.maximum(frame, canvas.outline(_bar(hinge, thick), 0.003))
    gap = look.eye_x - wide
    bridge = canvas.outline(_bar([(-gap, -0.02), (0, -0.032), (gap, -0.02)], thick), 0.003)
    canvas.tint(np.maximum(frame, bridge), look.glasses_colour, 0.95)


def _bar(upper: list[tuple[float, float]], thick: float) -> list[tuple[float, float]]:
    """Return the outline of a bar below its upper edge."""
    return upper + [(x, y + thick) for x, y in upper[::-1]]


def _jaw(canvas: Canvas, look: Look) -> Floats:
    """Return how much each point follows the jaw: those below the mouth, less towards the joints."""
    down = np.clip((canvas.y - look.mouth_y + 0.03) / 0.12, 0, 1)
    fade = 1 - np.clip((canvas.y - look.chin_y - 0.10) / (EXTENT - look.chin_y - 0.14), 0, 1)
    across = np.clip((look.face_width * 1.02 - np.abs(canvas.x)) / (look.face_width * 0.72), 0, 1)
    return np.asarray(_smooth(down) * _smooth(fade) * _smooth(across), np.float32)


def _smooth(share: Floats) -> Floats:
    """Map 0-1 to 0-1 without a kink at either end (smoothstep)."""
    return np.asarray(share * share * (3 - 2 * share))


def make_body(look: Look, light: Light, pixels_per_unit: float, bottom: float) -> Image:
    """Paint neck and shoulders: (H, W, 4) uint8, covering `BODY` down to the bottom.

    Args:
        look: looks of the speaker.
        light: light of the scene.
        pixels_per_unit: resolution.
        bottom: lower end of the layer in head units; 1 or more.
    """
    canvas = Canvas(*BODY, max(bottom, 1.0), pixels_per_unit)
    rng = np.random.default_rng([look.seed, 19])
    slope, neck = 1.28 + 0.1 * rng.standard_normal(), look.face_width * 0.66
    side = 1 + 0.28 * light.direction[0] * canvas.x / 0.6
    bright = (light.ambient + 0.5 * (1 - light.ambient)) * np.clip(side, 0.5, 1.5)
    shoulders = [(neck, 0.98), (neck + 0.25, 1.06), (1.15, slope), (1.42, slope + 0.3)]
    shoulders += [(1.55, 2.4), (1.6, 9.0)]
    outline = shoulders + [(-x, y) for x, y in shoulders[::-1]]
    cloth = 1 + 0.05 * smooth_noise(canvas.alpha.shape, (0.25 * pixels_per_unit, 0.12 * pixels_per_unit), rng)
    right = [(neck, 0.32), (neck, 0.9), (neck + 0.16, 1.06)]
    column = [*right, (0, 1.5), *((-x, y) for x, y in right[::-1])]
    clothes = np.asarray(look.clothes, np.float32) * (bright * cloth)[..., None]
    canvas.fill(canvas.outline(outline, 0.01), clothes)
    shadow = 1 - 0.42 * np.exp(-((np.clip(canvas.y - look.chin_y, 0, None) / 0.16) ** 2))
    tendons = 1 - 0.08 * (canvas.blob(0.1, 1.0, 0.03, 0.2) + canvas.blob(-0.1, 1.0, 0.03, 0.2))
    round_neck = 1 - 0.3 * np.clip(np.abs(canvas.x) / (neck * 1.1), 0, 1) ** 3
    skin = np.asarray(look.skin, np.float32) * (bright * shadow * tendons * round_neck)[..., None]
    canvas.fill(canvas.outline(column, 0.008), skin)
    canvas.scale(np.full((1, 1, 3), np.asarray(light.cast, np.float32) * light.gain))
    return canvas.image()
