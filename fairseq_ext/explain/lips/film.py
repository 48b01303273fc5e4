"""A film of a clip: the mouth, a map over it, and the text below, as it is read.

Shapes: T frames, H, W sides of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...media.film import caption, write_film
from ...media.mouth.settings import FRAMES_PER_S
from ...media.mouth.warp import opencv
from ...optional import import_optional
from ..plot import HEAT, NAMES, Label
from .saliency import SaliencyMap

_SIDE_PX, _BAR_PX = 288, 44
_STRENGTH = 0.85  # of the colour at the peak


def coloured(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a map (H, W), 0 to 1, over a grey picture (H, W): (H, W, 3), red, green, blue."""
    colour = np.array(import_optional("matplotlib.colors").to_rgb(HEAT)) * 255
    share = (_STRENGTH * heat)[..., None]
    mixed: NDArray[np.uint8] = np.rint(picture[..., None] * (1 - share) + colour * share).astype(np.uint8)
    return mixed


def write_map_film(
    path: Path,
    pictures: NDArray[np.uint8],
    maps: Sequence[SaliencyMap],
    words: Sequence[Label],
    sound: NDArray[np.int16] | None = None,
) -> None:
    """Write the mouth, and beside it each map over it, with the words below.

    Args:
        path: file to write, .mp4.
        pictures: (T, H, W).
        maps: maps of one target.
        words: words with their times in the clip.
        sound: sound of the clip, (S,) int16 at 16 kHz.
    """
    cv2 = opencv()
    heats = [found.smooth() for found in maps]
    names = ["", *(NAMES[found.method] for found in maps)]
    head = np.hstack([caption(_SIDE_PX, _BAR_PX, name) for name in names])
    with write_film(path, sound) as film:
        for number, picture in enumerate(pictures):
            still = np.repeat(picture[..., None], 3, 2)
            sides = [still, *(coloured(picture, heat[number]) for heat in heats)]
            large = [cv2.resize(side, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC) for side in sides]
            foot = caption(head.shape[1], _BAR_PX, _said(words, number / FRAMES_PER_S))
            bars = [np.repeat(bar[..., None], 3, 2) for bar in (head, foot)]
            film.add(np.vstack([bars[0], np.hstack(large), bars[1]]))


def _said(words: Sequence[Label], time_s: float) -> str:
    """Return the words that have begun."""
    return " ".join(word.text for word in words if word.start_s <= time_s)
