"""Render talking heads frame by frame: people before a background, light, camera.

Shapes: T frames of H x W pixels; S pixels of the square head layer; G points of the coarse grid.

Per frame only lids, lips and jaw are drawn; turn, nod and place are one warp of the head's layer by a coarse
grid of source points: similarity, foreshortening, and parallax by depth (the nose moves more than the ears).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...optional import import_optional
from .canvas import Floats, Image, smooth_noise
from .features import draw_eyes, draw_mouth, drop_jaw
from .head import BODY, EXTENT, Head, make_body, make_head
from .look import Light, Look, draw_light
from .motion import Motion, draw_motion
from .visemes import PARAMETERS

__all__ = ["Actor", "Shot", "render", "render_slide"]

_CELL_PX = 8  # cell of the coarse grid
_MOST_BLOBS = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in the picture."""

    look: Look  # looks of the person
    x: float  # x of the bridge of the nose, share of the width
    y: float  # y of the bridge of the nose, share of the height
    unit_px: float  # pixels per head unit; the face is about 0.94 units wide
    mouth: npt.NDArray[np.float32] | None = None  # (T, 5) parameters of `visemes`; None: silent and closed
    liveliness: float = 1.0  # how much the head moves, 1 usual


@dataclass(frozen=True, slots=True)
class Shot:
    """One camera position."""

    width: int  # W
    height: int  # H
    fps: float  # frames per second
    num_frames: int  # T
    actors: tuple[Actor, ...]  # from far to near
    seed: int  # random seed of light, background, movements and camera noise


@dataclass(slots=True)
class _Set:
    """The static parts of a shot: the plate (background and bodies), and blobs that move in the background."""

    plate: Image  # (H, W, 3)
    bodies: Floats  # (H, W) coverage by bodies
    blobs: list["_Blob"]


@dataclass(frozen=True, slots=True)
class _Blob:
    colour: npt.NDArray[np.uint8]
    mask: Floats
    x: Floats
    y: Floats


def render(shot: Shot) -> Iterator[Image]:
    """Render a shot; equal shots give equal frames.

    Yields:
        T frames, (H * 3 / 2, W) uint8: planes Y, U, V of 4:2:0 in limited range (BT.601).
    """
    cv2 = import_optional("cv2")
    cv2.setNumThreads(1)  # threads cost more than they do at this size, and every worker is one process
    rng = np.random.default_rng([shot.seed, 3])
    light = draw_light(rng)
    heads = [make_head(actor.look, light, _layer_size(actor.unit_px)) for actor in shot.actors]
    motions = [draw_motion(shot.num_frames, shot.fps, actor.liveliness, rng) for actor in shot.actors]
    scenery = _make_set(shot, light, rng)
    grain = _Grain(shot, rng)
    for index in range(shot.num_frames):
        frame = scenery.plate.copy()
        for blob in scenery.blobs:
            _draw_blob(frame, scenery.bodies, blob, index)
        for actor, head, motion in zip(shot.actors, heads, motions, strict=True):
            _draw_head(frame, actor, head, motion, index)
        yield grain.film(frame)


def render_slide(shot: Shot) -> Iterator[Image]:
    """Render a slide, as `render` does: bars on a bright ground, and nobody, whatever the shot's actors."""
    rng = np.random.default_rng([shot.seed, 5])
    frame = np.full((shot.height, shot.width, 3), rng.integers(200, 250, 3), np.uint8)
    left = int(0.12 * shot.width)
    for row in range(int(rng.integers(4, 8))):
        top, tall = int((0.2 + 0.09 * row) * shot.height), int(0.04 * shot.height)
        right = left + int(rng.uniform(0.2, 0.75) * shot.width)
        frame[top : top + tall, left:right] = rng.integers(20, 120, 3)
    grain = _Grain(shot, rng)
    for _ in range(shot.num_frames):
        yield grain.film(frame)


class _Grain:
    """A camera: conversion to 4:2:0, and noise, cut out of a larger sheet at another place in each frame."""

    def __init__(self, shot: Shot, rng: np.random.Generator) -> None:
        self.size = (shot.height, shot.width)
        self.rng = np.random.default_rng([shot.seed, 7])
        strength = rng.uniform(0.4, 2.4)
        sheet = self.rng.standard_normal((shot.height + 37, shot.width + 41)) * strength
        self.sheet = np.rint(sheet).astype(np.int16)

    def film(self, frame: Image) -> Image:
        cv2 = import_optional("cv2")
        planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8)
        top, left = self.rng.integers(0, 37), self.rng.integers(0, 41)
        height, width = self.size
        luma = planes[:height]
        cv2.add(luma, self.sheet[top : top + height, left : left + width], dst=luma, dtype=cv2.CV_8U)
        return planes


def _layer_size(unit_px: float) -> int:
    """Return the size of a head's layer, slightly finer than the picture, so that the warp does not blur."""
    return int(np.clip(round(2 * EXTENT * unit_px * 1.12), 96, 520))


def _make_set(shot: Shot, light: Light, rng: np.random.Generator) -> _Set:
    plate, bodies = _background(shot, light, rng), np.zeros((shot.height, shot.width), np.float32)
    for actor in shot.actors:
        body = make_body(actor.look, light, actor.unit_px, (1 - actor.y) * shot.height / actor.unit_px)
        left = round(actor.x * shot.width + BODY[0] * actor.unit_px)
        top = round(actor.y * shot.height + BODY[1] * actor.unit_px)
        _paste(plate, bodies, body, left, top)
    num_blobs = int(rng.integers(0, _MOST_BLOBS + 1)) if rng.uniform() < 0.5 else 0
    return _Set(plate, bodies, [_make_blob(shot, rng) for _ in range(num_blobs)])


def _background(shot: Shot, light: Light, rng: np.random.Generator) -> Image:
    """Draw a background: a gradient with soft shapes, out of focus."""
    cv2 = import_optional("cv2")
    small = (max(18, shot.height // 8), max(32, shot.width // 8))
    corners = rng.uniform(40, 200) + rng.normal(0, 14, 3)
    corners = corners + rng.normal(0, 18, (2, 2, 1)) + rng.normal(0, 5, (2, 2, 3))
    picture = cv2.resize(corners.astype(np.float32), small[::-1], interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(0, 9))):
        colour = tuple(float(v) for v in np.clip(rng.uniform(20, 230) + rng.normal(0, 20, 3), 5, 250))
        at = (int(rng.uniform(0, small[1])), int(rng.uniform(0, small[0])))
        to = (at[0] + int(rng.uniform(2, small[1] / 3)), at[1] + int(rng.uniform(2, small[0] / 2)))
        if rng.uniform() < 0.6:
            cv2.rectangle(picture, at, to, colour, -1)
        else:
            cv2.circle(picture, at, max(2, (to[0] - at[0]) // 2), colour, -1)
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.6, 2.5)))
    full = cv2.resize(picture, (shot.width, shot.height), interpolation=cv2.INTER_CUBIC)
    stains = 2.5 * smooth_noise((shot.height, shot.width), (shot.height / 12, shot.width / 12), rng)
    lit = (np.asarray(full, np.float32) + stains[..., None]) * np.asarray(light.cast, np.float32)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _paste(plate: Image, cover: Floats, layer: Image, left: int, top: int) -> None:
    """Paste a layer into the plate, cropped at its edges."""
    first_row, first_column = max(0, -top), max(0, -left)
    last_row = min(layer.shape[0], plate.shape[0] - top)
    last_column = min(layer.shape[1], plate.shape[1] - left)
    if last_row <= first_row or last_column <= first_column:
        return
    part = layer[first_row:last_row, first_column:last_column]
    rows = slice(top + first_row, top + last_row)
    columns = slice(left + first_column, left + last_column)
    alpha = part[..., 3].astype(np.float32) / 255
    _blend(plate, rows, columns, part[..., :3], alpha)
    cover[rows, columns] = np.maximum(cover[rows, columns], alpha)


def _blend(frame: Image, rows: slice, columns: slice, colour: npt.NDArray[Any], alpha: Floats) -> None:
    cv2 = import_optional("cv2")
    part = frame[rows, columns]
    colours = np.ascontiguousarray(colour), np.ascontiguousarray(part)
    frame[rows, columns] = cv2.blendLinear(*colours, alpha, 1 - alpha)


def _make_blob(shot: Shot, rng: np.random.Generator) -> _Blob:
    """Draw a shape that passes behind the people, out of focus."""
    radius = int(rng.uniform(0.05, 0.16) * shot.height)
    grid = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32) / max(radius, 1)
    mask = np.clip(1.6 * (1 - np.sqrt((grid**2).sum(axis=0))), 0, 1) * rng.uniform(0.4, 0.9)
    colour = np.broadcast_to(rng.integers(20, 235, 3).astype(np.uint8), (*mask.shape, 3))
    seconds = np.arange(shot.num_frames) / shot.fps
    paths = [rng.uniform(0, 1) + rng.uniform(-0.15, 0.15) * seconds for _ in range(2)]
    x, y = (((path % 1.4) - 0.2) * size for path, size in zip(paths, (shot.width, shot.height), strict=True))
    return _Blob(
        np.ascontiguousarray(colour), mask.astype(np.float32), x.astype(np.float32), y.astype(np.float32)
    )


def _draw_blob(frame: Image, bodies: Floats, blob: _Blob, index: int) -> None:
    size = blob.mask.shape[0]
    left, top = int(blob.x[index]) - size // 2, int(blob.y[index]) - size // 2
    rows = slice(max(0, top), min(frame.shape[0], top + size))
    columns = slice(max(0, left), min(frame.shape[1], left + size))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    _blend(frame, rows, columns, blob.colour[inside], blob.mask[inside] * (1 - bodies[rows, columns]))


def _draw_head(frame: Image, actor: Actor, head: Head, motion: Motion, index: int) -> None:
    """Draw a head into the frame: its features on its layer, then the warped layer."""
    cv2 = import_optional("cv2")
    mouth = np.zeros(len(PARAMETERS), np.float32) if actor.mouth is None else actor.mouth[index]
    layer = head.texture.copy()
    drop_jaw(layer, head, float(mouth[0]))
    draw_mouth(layer, head, mouth)
    gaze = (float(motion.gaze_right[index]), float(motion.gaze_down[index]))
    draw_eyes(layer, head, float(motion.lids[index]), gaze)
    unit_px = actor.unit_px * float(motion.scale[index])
    x = actor.x * frame.shape[1] + float(motion.right[index]) * actor.unit_px
    y = actor.y * frame.shape[0] + float(motion.down[index]) * actor.unit_px
    reach = EXTENT * unit_px * 1.12
    rows = slice(max(0, int(y - reach)), min(frame.shape[0], int(y + reach) + 1))
    columns = slice(max(0, int(x - reach)), min(frame.shape[1], int(x + reach) + 1))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    turn = (float(motion.roll[index]), float(motion.yaw[index]), float(motion.pitch[index]))
    source = _source_map(head, rows, columns, (x, y), unit_px, turn)
    x, y = source[..., 0], source[..., 1]
    warped = cv2.remap(layer, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    alpha = cv2.extractChannel(warped, 3).astype(np.float32) / 255
    _blend(frame, rows, columns, cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR), alpha)


def _source_map(
    head: Head,
    rows: slice,
    columns: slice,
    centre: tuple[float, float],
    unit_px: float,
    turn: tuple[float, float, float],
) -> Floats:
    """Return the point of the head's layer for each pixel of the picture, (rows, columns, 2)."""
    cv2 = import_optional("cv2")
    height, width = rows.stop - rows.start, columns.stop - columns.start
    # One cell more on every side, since resizing repeats the outermost half cell.
    grid = (-(-height // _CELL_PX) + 2, -(-width // _CELL_PX) + 2)
    middles = [(np.arange(size, dtype=np.float32) - 1) * _CELL_PX + (_CELL_PX - 1) / 2 for size in grid]
    down, right = middles[0][:, None] + rows.start - centre[1], middles[1] + columns.start - centre[0]
    roll, yaw, pitch = turn
    cos, sin = np.cos(roll) / unit_px, np.sin(roll) / unit_px
    x, y = right * cos + down * sin, down * cos - right * sin
    to_px, offset = head.pixels_per_unit, EXTENT * head.pixels_per_unit - 0.5
    at = [(place * to_px + offset).astype(np.float32) for place in (x, y)]
    depth = cv2.remap(head.depth, *at, cv2.INTER_LINEAR)
    x = (x - depth * np.sin(yaw)) / np.cos(yaw)
    y = (y - depth * np.sin(pitch)) / np.cos(pitch)
    coarse = (np.stack([x, y], axis=2) * to_px + offset).astype(np.float32)
    fine = cv2.resize(coarse, (grid[1] * _CELL_PX, grid[0] * _CELL_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[_CELL_PX : _CELL_PX + height, _CELL_PX : _CELL_PX + width], np.float32)
