"""A strip of pictures under the maps of a word, the maps over time, and a matrix of what the decoder reads.

Shapes: T frames, H, W sides of the crop, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...media.mouth.settings import FRAMES_PER_S
from ...optional import import_optional
from ...report.plots import COLOURS, INK, QUIET, style
from ..plot import HEAT, HEATMAP, NAMES, Label
from .saliency import SaliencyMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

NUM_PICTURES = 7
_CONTEXT_FRAMES = 5  # shown before and after the target
_COLOURS = (HEAT, COLOURS[0], COLOURS[2], COLOURS[4])


@dataclass(frozen=True)
class ReadFrames:
    """What the decoder reads: `weights` (L, T), of each of the tokens, whose rows sum to 1."""

    tokens: Sequence[str]
    weights: NDArray[np.float32]


def saliency_strip(
    pictures: NDArray[np.uint8],
    maps: Sequence[SaliencyMap],
    *,
    title: str,
    words: Sequence[Label],
    span: tuple[int, int],
    shares: Sequence[str] = (),
    read: ReadFrames | None = None,
) -> Figure:
    """Draw pictures around a target, below them each method's map over them, then the maps over time.

    Each map is scaled to its peak, since units differ by method; negative values are not drawn.

    Args:
        pictures: (T, H, W).
        maps: maps of one target, a row each.
        title: heading of the figure.
        words: words of the clip with their times.
        span: first frame of the target, and the frame after its last.
        shares: a line about each map, beside its name.
        read: what the decoder reads; None = there is no decoder.
    """
    figures = import_optional("matplotlib.figure", extra="analysis")
    tall = 0.45 + 0.22 * len(read.tokens) if read else 0.0
    heights = [1.25 * (1 + len(maps)) + 0.5, 2.1, *([tall + 0.7] if read else [])]
    with style():
        figure: Figure = figures.Figure(figsize=(11.5, sum(heights)), layout="constrained")
        parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        _strip(parts[0], pictures, maps, span, shares)
        _over_time(parts[1], len(pictures), maps, words, span)
        if read:
            _matrix(parts[2], read)
        return figure


def _strip(
    figure: SubFigure,
    pictures: NDArray[np.uint8],
    maps: Sequence[SaliencyMap],
    span: tuple[int, int],
    shares: Sequence[str],
) -> None:
    first = max(0, span[0] - _CONTEXT_FRAMES)
    last = min(len(pictures), span[1] + _CONTEXT_FRAMES) - 1
    numbers = np.unique(np.linspace(first, last, NUM_PICTURES).round().astype(int))
    axes: Any = figure.subplots(1 + len(maps), len(numbers), squeeze=False)
    heats = [None, *(found.smooth() for found in maps)]
    names = ["", *(NAMES[found.method] for found in maps)]
    lines = ["", *shares, *[""] * len(maps)]
    for row, (heat, name) in enumerate(zip(heats, names, strict=True)):
        for column, number in enumerate(numbers):
            place = axes[row, column]
            place.imshow(pictures[number], cmap="gray", vmin=0, vmax=255)
            if heat is not None:
                place.imshow(heat[number], cmap=HEATMAP, vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
            place.grid(visible=False)
            inside = span[0] <= number < span[1]
            place.spines[:].set(visible=True, color=COLOURS[0] if inside else "white", linewidth=2)
            if row == 0:
                place.set_title(f"{number / FRAMES_PER_S:.2f} s", fontsize=9, fontweight="normal")
        label = f"{name}\n{lines[row]}".strip()
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)


def _over_time(
    figure: SubFigure,
    num_frames: int,
    maps: Sequence[SaliencyMap],
    words: Sequence[Label],
    span: tuple[int, int],
) -> None:
    axes = figure.subplots()
    times_s = (np.arange(num_frames) + 0.5) / FRAMES_PER_S
    axes.axvspan(
        span[0] / FRAMES_PER_S, span[1] / FRAMES_PER_S, color=COLOURS[0], alpha=0.12, label="the target"
    )
    for found, colour in zip(maps, _COLOURS, strict=False):
        curve = found.positive.sum((1, 2))
        axes.plot(times_s, curve / max(float(curve.max()), 1e-30), color=colour, label=NAMES[found.method])
    for word in words:
        axes.text((word.start_s + word.end_s) / 2, 1.12, word.text, ha="center", va="center", fontsize=9)
        # A third of a frame less, so that words without a pause between them stay apart.
        edge = 1 / 6 / FRAMES_PER_S
        axes.hlines(1.04, word.start_s + edge, word.end_s - edge, color=QUIET, linewidth=3)
    axes.set(xlim=(0, num_frames / FRAMES_PER_S), ylim=(0, 1.22), yticks=[0, 1], xlabel="time, s")
    axes.set_ylabel("share of the peak")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)


def _matrix(figure: SubFigure, read: ReadFrames) -> None:
    axes = figure.subplots()
    num_tokens, num_frames = read.weights.shape
    axes.imshow(
        read.weights,
        aspect="auto",
        cmap="Blues",
        extent=(0, num_frames / FRAMES_PER_S, num_tokens - 0.5, -0.5),
    )
    axes.set_yticks(range(num_tokens), read.tokens, color=INK)
    axes.grid(visible=False)
    axes.set(
        xlabel="time, s", title="Frames that the decoder reads for each token, mean over layers and heads"
    )
