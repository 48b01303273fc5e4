"""Figures in one style: quiet axes, colours that colour-blind readers can tell apart, units on every axis.

Functions return matplotlib figures; whoever calls them saves or embeds them. Figures are made without pyplot,
so nothing is kept in global state and no display is needed.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito's palette (jfly.uni-koeln.de/color), without yellow, which is faint on white; then darker
# mixes, so that ten classes stay apart. Classes differ by marker as well.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"),
    *("#56B4E9", "#5B3A8C", "#8C6D1F", "#4D4D4D", "#A8324A"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# A figure of 10 inches is as wide as the page's text.
PAGE_DPI = 100
INK, QUIET, GRID = "#1f2933", "#5f6c7b", "#e3e8ee"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "image.cmap": "viridis",
}


def png(figure: Figure) -> bytes:
    """Draws a figure, half as fine again as a page at `PAGE_DPI` shows it.

    Args:
        figure: the figure.

    Returns:
        A PNG file; equal figures give equal bytes.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=1.5 * PAGE_DPI, metadata={"Software": ""})
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """Turns a file into text that a page can hold.

    Args:
        content: the file.
        media_type: such as `image/png`.

    Returns:
        A `data:` URI.
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _figure(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def learning_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss and accuracy over the updates.

    Args:
        logs: system -> lines of its training log, as `provenance.read_log` returns them.

    Returns:
        The figure: training loss on the left, validation accuracy on the right where it was logged.
    """
    with mpl.rc_context(STYLE):
        figure, (loss, accuracy) = _figure(1, 2, 9.6, 3.6)
        for i, (name, lines) in enumerate(logs.items()):
            colour = COLOURS[i % len(COLOURS)]
            _curve(loss, lines, "train_", "loss", color=colour, label=name)
            _curve(loss, lines, "valid_", "loss", color=colour, linestyle=(0, (2, 2)))
            _curve(accuracy, lines, "train_", "accuracy", color=colour, alpha=0.45, linewidth=1)
            _curve(accuracy, lines, "valid_", "accuracy", color=colour, linestyle=(0, (2, 2)))
        loss.set(title="Loss (solid: training, dotted: validation)", xlabel="updates", ylabel="loss")
        accuracy.set(
            title="Accuracy (pale: training, dotted: validation)", xlabel="updates", ylabel="accuracy, %"
        )
        figure.legend(
            *loss.get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(logs) or 1)
        )
        return figure


def _curve(axes: Axes, lines: Sequence[Mapping[str, Any]], prefix: str, name: str, **style: Any) -> None:
    points = [
        (line[f"{prefix}num_updates"], line[f"{prefix}{name}"])
        for line in lines
        if isinstance(line.get(f"{prefix}{name}"), float) and f"{prefix}num_updates" in line
    ]
    if points:
        marker = "o" if len(points) < 5 else ""  # a line through one point is not seen
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, **style)


def confusion(counts: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """A confusion matrix, coloured by the share of each true class.

    Args:
        counts: (C, C), rows are true classes.
        labels: C names.
        title: heading.

    Returns:
        The figure.
    """
    table = np.asarray(counts)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = max(3.6, 0.42 * len(labels) + 1.4)
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(1, 1, size + 0.5, size)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set(title=title, xlabel="answered", ylabel="spoken")
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        for (row, column), count in np.ndenumerate(table):
            if count:
                colour = "white" if shares[row, column] > 0.65 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        return figure


def scatter(panels: Mapping[str, NDArray[np.float32]], groups: Mapping[str, Sequence[str]]) -> Figure:
    """Projections of embeddings, one row per projection and one column per colouring.

    Args:
        panels: projection -> positions, (N, 2).
        groups: colouring, such as `digit` or `speaker` -> N names.

    Returns:
        The figure.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _figure(len(panels), len(groups), 5.0 * len(groups), 4.3 * len(panels))
        pairs = [(p, g) for p in panels for g in groups]
        for place, (projection, grouping) in zip(axes, pairs, strict=True):
            _points(place, panels[projection], groups[grouping])
            place.set_title(f"{projection}, by {grouping}")
        return figure


def _points(axes: Axes, positions: NDArray[np.float32], names: Sequence[str]) -> None:
    array = np.asarray(names)
    for i, name in enumerate(sorted(set(names))):
        mine = positions[array == name]
        shape: Any = {"c": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        axes.scatter(mine[:, 0], mine[:, 1], s=16, alpha=0.8, linewidths=0, label=name, **shape)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2, borderpad=0, fontsize=9)


def spectrogram_grid(views: Mapping[str, NDArray[np.float32]], hop_ms: float, columns: int = 4) -> Figure:
    """Log-mel features side by side, all on one time and colour scale.

    Args:
        views: name -> features, (T, F).
        hop_ms: step between frames.
        columns: panels in a row.

    Returns:
        The figure.
    """
    rows = math.ceil(len(views) / columns)
    longest = max(len(view) for view in views.values())
    every = np.concatenate([view.ravel() for view in views.values()])
    low, high = np.percentile(every, [1, 99.5])
    with mpl.rc_context(STYLE):
        figure, axes = _figure(rows, columns, 2.5 * columns, 1.75 * rows + 0.3, sharex=True, sharey=True)
        for place, (name, view) in zip(axes, views.items(), strict=False):
            extent = (0.0, len(view) * hop_ms / 1000, 0.0, float(view.shape[1]))
            colours = {"vmin": low, "vmax": high, "cmap": "magma"}
            place.imshow(view.T, origin="lower", aspect="auto", extent=extent, **colours)
            place.set_title(name, fontsize=9, fontweight="normal")
            place.grid(visible=False)
            place.set_facecolor("#f4f6f8")
        axes[0].set_xlim(0, longest * hop_ms / 1000)
        for place in axes[len(views) :]:
            place.set_visible(False)
        figure.supxlabel("time, s", fontsize=9)
        figure.supylabel("mel band", fontsize=9)
        return figure


def efficiency(curves: Mapping[str, Mapping[int, Mapping[str, float]]]) -> Figure:
    """Accuracy against the number of labelled recordings, with intervals.

    Args:
        curves: system -> labelled recordings per class and speaker -> `mean`, `low`, `high`, as fractions.

    Returns:
        The figure.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(1, 1, 8.0, 4.2 + 0.12 * len(curves))
        for i, (name, points) in enumerate(curves.items()):
            counts = sorted(points)
            columns = [[100 * points[n][key] for n in counts] for key in ("mean", "low", "high")]
            colour = COLOURS[i % len(COLOURS)]
            # Side by side, not on top of each other: intervals of different systems stay readable.
            shifted = [n * 1.04 ** (i - (len(curves) - 1) / 2) for n in counts]
            axes.vlines(shifted, columns[1], columns[2], color=colour, alpha=0.5, linewidth=2)
            axes.plot(shifted, columns[0], color=colour, marker=MARKERS[i % len(MARKERS)], label=name)
        ticks = sorted({n for points in curves.values() for n in points})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.minorticks_off()
        axes.set(
            title="Unseen speakers: accuracy with few labels",
            xlabel="labelled recordings per class and speaker",
            ylabel="accuracy, %",
        )
        figure.legend(loc="outside lower center", ncols=2)
        return figure


def bars(values: Mapping[str, Mapping[str, float]], title: str, unit: str) -> Figure:
    """Horizontal bars by group, the lowest of each system marked.

    Args:
        values: system -> group (such as a speaker) -> fraction.
        title: heading.
        unit: label of the value axis.

    Returns:
        The figure.
    """
    groups = sorted({group for scores in values.values() for group in scores})
    height = 0.8 / max(len(values), 1)
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(1, 1, 7.2, 0.9 + 0.32 * len(groups) * max(1.3, len(values)))
        for i, (name, scores) in enumerate(values.items()):
            lowest = min(scores, key=lambda group: scores[group])
            for at, group in enumerate(groups):
                if group in scores:
                    place = at + (i - (len(values) - 1) / 2) * height
                    axes.barh(place, 100 * scores[group], height * 0.9, color=COLOURS[i % len(COLOURS)])
                    _value(axes, place, 100 * scores[group], group == lowest)
            axes.plot([], [], color=COLOURS[i % len(COLOURS)], linewidth=6, label=name)
        axes.set_yticks(range(len(groups)), groups)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(title=title, xlabel=unit, xlim=(0, 108))
        if len(values) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return figure


def _value(axes: Axes, place: float, value: float, is_lowest: bool) -> None:
    text = f"{value:.1f} lowest" if is_lowest else f"{value:.1f}"
    axes.text(value + 0.8, place, text, va="center", fontsize=8, fontweight="bold" if is_lowest else "normal")
