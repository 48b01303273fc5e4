"""Picture of reconstructions: the features that an encoder was given, and below them what its heads make of its steps.

Shapes: T frames, D columns of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..features.voice_groups import FRAME_RATE_HZ, GROUPS
from .plots import canvas, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where colours end: one frame in a hundred lies beyond.
_SHARES = (1, 99)
_MAX_FRAMES = 20 * FRAME_RATE_HZ  # of a picture: more is not seen
_MOST_NAMED = 12  # columns of a group whose names fit beside it
UNIT = "standard deviations"


def picture(title: str, groups: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> bytes:
    """Draw features (T, D) beside their reconstructions (T, D), a row per group, as PNG.

    Args:
        title: title of the picture.
        groups: group -> features and reconstruction, in standard deviations from the mean of the training.
    """
    num_frames = min(_MAX_FRAMES, *(len(features) for features, _ in groups.values()))
    with style():
        figure, panels = canvas(len(groups), 2, 10, 0.6 + 2.2 * len(groups), sharex=True)
        for row, (name, pair) in enumerate(groups.items()):
            low, high = np.percentile(pair[0][:num_frames], _SHARES)
            for place, values, kind in zip(
                panels[2 * row :], pair, ("features", "reconstructed"), strict=False
            ):
                image = _draw(place, values[:num_frames], f"{name}, {kind}", (float(low), float(high)))
            figure.colorbar(image, ax=panels[2 * row : 2 * row + 2], label=UNIT)
            _name_columns(panels[2 * row], name, pair[0].shape[1])
        for place in panels[-2:]:
            place.set_xlabel("time, s")
        figure.suptitle(title)
        return png(figure)


def _name_columns(axes: Axes, group: str, num_columns: int) -> None:
    names = [column.name for column in GROUPS.get(group, ())]
    if len(names) == num_columns <= _MOST_NAMED:
        axes.set_yticks(range(num_columns), names, fontsize=7)
    else:
        axes.set_ylabel("column")


def _draw(axes: Axes, values: NDArray[Any], title: str, limits: tuple[float, float]) -> Any:
    axes.set_title(title)
    axes.grid(visible=False)
    return axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        vmin=limits[0],
        vmax=max(limits[1], limits[0] + 1e-6),
        extent=(0, len(values) / FRAME_RATE_HZ, -0.5, values.shape[1] - 0.5),
        interpolation="nearest",
    )
