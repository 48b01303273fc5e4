"""Draw figures in one style: quiet axes, colours that colour-blind readers can tell apart, units on every axis.

Functions return matplotlib figures, which the caller saves or embeds. Figures are made without pyplot, so nothing is
kept in global state and no display is needed; matplotlib is imported when the first is drawn.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "image.cmap": "viridis",
}


def style() -> Any:
    """Return a context manager that sets `STYLE`, to draw in."""
    return import_optional("matplotlib", extra="analysis").rc_context(STYLE)


def line_sample(**options: Any) -> Any:
    """Make a `Line2D` without points for a legend."""
    return import_optional("matplotlib.lines", extra="analysis").Line2D([], [], **options)


def png(figure: Figure) -> bytes:
    """Draw a figure as PNG, half as fine again as a page at `PAGE_DPI` shows it; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # Software would be the version of matplotlib, and change the bytes with it.
    with style():
        figure.savefig(buffer, format="png", dpi=1.5 * PAGE_DPI, metadata={"Software": ""})
    return buffer.getvalue()


def canvas(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Any]]:
    """Make an empty figure, width and height in inches, and its panels; draw on it inside `style()`."""
    figure = import_optional("matplotlib.figure", extra="analysis").Figure(
        figsize=(width, height), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


@dataclass(frozen=True)
class Panel:
    """One metric of a training log: its name in the log, the title above its curve and the label of its axis."""

    metric: str
    title: str
    label: str


LOSS_AND_ACCURACY = (Panel("loss", "Loss", "loss"), Panel("accuracy", "Accuracy", "accuracy, %"))
# Splits of a log, and the style of their lines.
SIDES: Mapping[str, Any] = {"train": "-", "valid": (0, (2, 2))}
# With fewer epochs the lines within them make the smoother curve.
_FEW_EPOCHS = 5


def learning_curves(
    logs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], panels: Sequence[Panel] = LOSS_AND_ACCURACY
) -> Figure:
    """Draw metrics over the updates, solid in training and dotted in validation; those that no log holds are left out.

    `logs` has a log per training (one, or one per fold) of each system, as `provenance.read_log` returns it.
    """
    every = [lines for trainings in logs.values() for lines in trainings]
    shown = [p for p in panels if any(_points(lines, side, p.metric) for lines in every for side in SIDES)]
    shown = shown or list(panels[:1])
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    with style():
        figure, axes = canvas(rows, columns, max(4.8, 3.2 * columns), 2.9 * rows + 0.7)
        for place, panel in zip(axes, shown, strict=False):
            for i, trainings in enumerate(logs.values()):
                line = {"color": COLOURS[i % len(COLOURS)], "linewidth": 1.5 if len(trainings) < 3 else 0.8}
                for lines in trainings:
                    for side, dashes in SIDES.items():
                        _curve(place, _points(lines, side, panel.metric), {**line, "linestyle": dashes})
            place.set(title=panel.title, xlabel="updates", ylabel=panel.label)
        for place in axes[len(shown) :]:
            place.set_visible(False)
        _legend(figure, list(logs), columns)
        return figure


def _points(lines: Sequence[Mapping[str, Any]], side: str, metric: str) -> list[tuple[float, float]]:
    """Return updates and values: of the epochs, or in training of the lines within them where epochs are few."""
    epochs = _column(lines, f"{side}_", metric)
    within = _column(lines, "", metric) if side == "train" and len(epochs) < _FEW_EPOCHS else []
    return within if len(within) > len(epochs) else epochs


def _column(lines: Sequence[Mapping[str, Any]], prefix: str, metric: str) -> list[tuple[float, float]]:
    return [
        (line[f"{prefix}num_updates"], line[f"{prefix}{metric}"])
        for line in lines
        if isinstance(line.get(f"{prefix}{metric}"), float) and f"{prefix}num_updates" in line
    ]


def _curve(axes: Axes, points: Sequence[tuple[float, float]], line: Mapping[str, Any]) -> None:
    if points:
        marker = "o" if len(points) < 5 else ""  # a line through one point is not seen
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, **line)


def _legend(figure: Figure, names: Sequence[str], columns: int) -> None:
    systems = [
        line_sample(color=COLOURS[i % len(COLOURS)], linewidth=4, label=name) for i, name in enumerate(names)
    ]
    titles = {"train": "training", "valid": "validation"}
    sides = [line_sample(color=QUIET, linestyle=SIDES[side], label=titles[side]) for side in SIDES]
    legend_below(figure, [*systems, *sides], columns + 1)


def legend_below(figure: Figure, handles: Sequence[Any], max_columns: int) -> None:
    """Put a legend below the panels, in as many columns as the figure is wide enough for."""
    for ncols in range(max_columns, 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
        if ncols == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


# Letters that fit under a cell.
_LONG_LABEL = 5


def confusion(counts: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix, (C, C), rows are true classes, coloured by the share of each true class."""
    table = np.asarray(counts)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = max(3.6, 0.42 * len(labels) + 1.4)
    with style():
        figure, (axes,) = canvas(1, 1, size + 0.5, size)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set(title=title, xlabel="predicted", ylabel="true")
        turned = {"rotation": 40, "ha": "right"} if max(map(len, labels), default=0) > _LONG_LABEL else {}
        axes.set_xticks(range(len(labels)), labels, **turned)
        axes.set_yticks(range(len(labels)), labels)
        for (row, column), count in np.ndenumerate(table):
            if count:
                colour = "white" if shares[row, column] > 0.65 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        return figure


def scatter(panels: Mapping[str, NDArray[np.float32]], groups: Mapping[str, Sequence[str]]) -> Figure:
    """Draw projections (N, 2), a row each, coloured by the N names of each group, such as `class`, in columns."""
    pairs = {f"{p}, by {g}": (panels[p], groups[g]) for p in panels for g in groups}
    return clouds(pairs, columns=len(groups), each_legend=True)


def clouds(
    panels: Mapping[str, tuple[NDArray[np.float32], Sequence[str]]],
    *,
    columns: int = 3,
    each_legend: bool = False,
) -> Figure:
    """Draw clouds of points (N, 2), coloured by N names, a panel each; `each_legend` where panels' names differ."""
    columns = min(columns, len(panels))
    if not each_legend and len(panels) == 4:  # a square leaves no panel alone in its row
        columns = 2
    rows = math.ceil(len(panels) / columns)
    names = sorted({name for _, of_panel in panels.values() for name in of_panel})
    width, height = (5.0, 4.3) if each_legend else (3.3, 3.2)
    with style():
        figure, axes = canvas(rows, columns, max(4.8, width * columns), height * rows)
        for place, (title, (positions, of_panel)) in zip(axes, panels.items(), strict=False):
            _cloud(place, positions, of_panel, sorted(set(of_panel)) if each_legend else names)
            place.set_title(title)
            if each_legend:
                place.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), **_TIGHT)
        for place in axes[len(panels) :]:
            place.set_visible(False)
        if not each_legend:
            handles = [line_sample(linestyle="", label=n, **_mark(i)) for i, n in enumerate(names)]
            figure.legend(handles=handles, loc="outside right center", **_TIGHT)
        return figure


_TIGHT: Any = {"handletextpad": 0.2, "borderpad": 0, "fontsize": 9}


def _mark(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def _cloud(
    axes: Axes, positions: NDArray[np.float32], of_points: Sequence[str], names: Sequence[str]
) -> None:
    array = np.asarray(of_points)
    for i, name in enumerate(names):
        mine = positions[array == name]
        if len(mine):
            axes.scatter(mine[:, 0], mine[:, 1], s=16, alpha=0.8, linewidths=0, label=name, **_mark(i))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def spectrogram_grid(views: Mapping[str, NDArray[np.float32]], hop_ms: float, columns: int = 4) -> Figure:
    """Draw log-mel features (T, F) side by side, all on one time and colour scale."""
    rows = math.ceil(len(views) / columns)
    longest = max(len(view) for view in views.values())
    every = np.concatenate([view.ravel() for view in views.values()])
    # Not minimum and maximum: a few extreme cells would take the whole colour scale.
    low, high = np.percentile(every, [1, 99.5])
    with style():
        figure, axes = canvas(rows, columns, 2.5 * columns, 1.75 * rows + 0.3, sharex=True, sharey=True)
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
