"""Draw bars and curves of scores with their intervals, in the style of `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from .plots import COLOURS, INK, MARKERS, canvas, legend_below, line_sample, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = Mapping[str, float]


def efficiency(
    panels: Mapping[str, Mapping[str, Mapping[float, Interval]]],
    *,
    xlabel: str = "labelled recordings per class and speaker",
    ylabel: str = "accuracy, %",
) -> Figure:
    """Draw a score against the amount of labels, with intervals, panels side by side with one scale.

    `panels` are heading -> system -> amount of labels -> `mean`, `low`, `high`, as fractions.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    width = 8.0 if len(panels) < 2 else 5.0 * len(panels)
    with style():
        figure, axes = canvas(1, len(panels), width, 4.2 + 0.12 * len(names), sharey=True)
        for place, (title, curves) in zip(axes, panels.items(), strict=True):
            for name, points in curves.items():
                _curve(place, points, names.index(name), len(names))
            ticks = sorted({n for points in curves.values() for n in points})
            place.set_xscale("log")
            place.set_xticks(ticks, [f"{n:.3g}" for n in ticks])
            place.minorticks_off()
            place.set(title=title, xlabel=xlabel)
        axes[0].set(ylabel=ylabel)
        handles = [
            line_sample(color=c, marker=m, label=n) for n, c, m in zip(names, COLOURS, MARKERS, strict=False)
        ]
        legend_below(figure, handles, 2)
        return figure


def _curve(axes: Axes, points: Mapping[float, Interval], i: int, count: int) -> None:
    """Draw system i of `count`, moved aside so that its intervals do not hide those of others."""
    amounts = sorted(points)
    # By a factor, since the axis is logarithmic.
    shifted = [n * 1.04 ** (i - (count - 1) / 2) for n in amounts]
    mean, low, high = ([100 * points[n][key] for n in amounts] for key in ("mean", "low", "high"))
    colour = COLOURS[i % len(COLOURS)]
    axes.vlines(shifted, low, high, color=colour, alpha=0.5, linewidth=2)
    axes.plot(shifted, mean, color=colour, marker=MARKERS[i % len(MARKERS)])


def lines(
    curves: Mapping[str, Mapping[float, float]], xlabel: str, ylabel: str, *, diagonal: bool = False
) -> Figure:
    """Draw a curve per name, of x -> y; `diagonal` adds the line on which both are equal."""
    with style():
        figure, (axes,) = canvas(1, 1, 8.0, 4.2 + 0.12 * len(curves))
        if diagonal:
            axes.axline((0, 0), slope=1, color=INK, linestyle="--", linewidth=1)
        for i, points in enumerate(curves.values()):
            mark: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            axes.plot(sorted(points), [points[x] for x in sorted(points)], **mark)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        handles = [
            line_sample(color=c, marker=m, label=n)
            for n, c, m in zip(curves, COLOURS * 3, MARKERS * 3, strict=False)
        ]
        legend_below(figure, handles, 2)
        return figure


# Error rates that a DET curve's axes name, %.
_DET_TICKS = (0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80)


def det(curves: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Draw detection error trade-off curves (Martin et al. 1997): name -> points (false alarm, miss), as fractions.

    Both axes are normal deviates, on which normal scores give straight lines.
    """
    deviate = NormalDist().inv_cdf
    shown = [points for curve in curves.values() for points in _inside(curve)]
    lowest = min((min(point) for point in shown), default=0.001)
    limits = [deviate(max(0.0005, 0.7 * lowest)), deviate(0.6)]
    with style():
        figure, (axes,) = canvas(1, 1, 5.6, 5.2 + 0.12 * len(curves))
        axes.axline((0, 0), slope=1, color=INK, linestyle="--", linewidth=1)
        for i, curve in enumerate(curves.values()):
            inside = _inside(curve)
            place = [[deviate(point[axis]) for point in inside] for axis in (0, 1)]
            axes.plot(*place, color=COLOURS[i % len(COLOURS)])
        ticks = [tick for tick in _DET_TICKS if limits[0] <= deviate(tick / 100) <= limits[1]]
        for axis, set_ticks in (("x", axes.set_xticks), ("y", axes.set_yticks)):
            set_ticks([deviate(tick / 100) for tick in ticks], [f"{tick:g}" for tick in ticks])
            axes.grid(visible=True, axis=axis)
        axes.set(xlabel="false alarms, %", ylabel="misses, %", xlim=limits, ylim=limits, aspect="equal")
        handles = [line_sample(color=c, label=name) for name, c in zip(curves, COLOURS * 3, strict=False)]
        legend_below(figure, handles, 2)
        return figure


def _inside(curve: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Select the points that have normal deviates."""
    return [point for point in curve if all(0 < rate < 1 for rate in point)]


def interval_bars(values: Mapping[str, Mapping[str, Interval]], title: str, unit: str) -> Figure:
    """Draw horizontal bars by group with their intervals, the highest of each system marked.

    `values` are system -> group, in the order of the figure -> `mean`, `low`, `high`, as fractions.
    """
    groups = list(dict.fromkeys(group for scores in values.values() for group in scores))
    height = 0.8 / max(len(values), 1)
    with style():
        figure, (axes,) = canvas(1, 1, 7.2, 1.1 + 0.3 * len(groups) * max(1.3, len(values)))
        for i, (name, scores) in enumerate(values.items()):
            highest = max(scores, key=lambda group: scores[group]["mean"])
            places = [groups.index(group) + (i - (len(values) - 1) / 2) * height for group in scores]
            mean, low, high = (
                [100 * found[key] for found in scores.values()] for key in ("mean", "low", "high")
            )
            axes.barh(places, mean, height * 0.9, color=COLOURS[i % len(COLOURS)], label=name)
            axes.hlines(places, low, high, color="white", linewidth=4)  # seen on dark bars too
            axes.hlines(places, low, high, color=INK, linewidth=1.5)
            for group, place, value, end in zip(scores, places, mean, high, strict=True):
                _value(axes, place, value, "highest" if group == highest and len(groups) > 1 else "", end)
        axes.set_yticks(range(len(groups)), groups)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        furthest = max(
            (100 * found["high"] for scores in values.values() for found in scores.values()), default=1
        )
        # A quarter more than the longest interval, for the values beside the bars.
        axes.set(title=title, xlabel=unit, xlim=(0, max(1.0, 1.25 * furthest)))
        if len(values) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return figure


def bars(values: Mapping[str, Mapping[str, float]], title: str, unit: str) -> Figure:
    """Draw horizontal bars by group, the lowest of each system marked, of system -> group -> fraction."""
    groups = sorted({group for scores in values.values() for group in scores})
    height = 0.8 / max(len(values), 1)
    with style():
        figure, (axes,) = canvas(1, 1, 7.2, 0.9 + 0.32 * len(groups) * max(1.3, len(values)))
        for i, (name, scores) in enumerate(values.items()):
            lowest = min(scores, key=lambda group: scores[group])
            for at, group in enumerate(groups):
                if group in scores:
                    place = at + (i - (len(values) - 1) / 2) * height
                    axes.barh(place, 100 * scores[group], height * 0.9, color=COLOURS[i % len(COLOURS)])
                    _value(axes, place, 100 * scores[group], "lowest" if group == lowest else "")
            # One entry of the legend per system, since its bars are drawn one by one.
            axes.plot([], [], color=COLOURS[i % len(COLOURS)], linewidth=6, label=name)
        axes.set_yticks(range(len(groups)), groups)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(title=title, xlabel=unit, xlim=(0, 108))
        if len(values) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return figure


def _value(axes: Axes, place: float, value: float, mark: str, end: float | None = None) -> None:
    """Write a bar's value beyond its end, with a word where it is the worst."""
    start = value if end is None else max(value, end)
    font: dict[str, Any] = {"va": "center", "fontsize": 8, "fontweight": "bold" if mark else "normal"}
    text = f"{value:.1f} {mark}".rstrip()
    axes.annotate(text, (start, place), xytext=(4, 0), textcoords="offset points", **font)


def noise_curves(
    panels: Mapping[str, Mapping[str, Mapping[float | str, Interval]]], level: Sequence[str]
) -> Figure:
    """Draw error rates over the ratio of speech to noise, the clean sound at the right end, with intervals.

    Args:
        panels: heading -> system -> ratio in dB, or the name of the clean sound -> `mean`, `low`, `high`, as fractions.
        level: systems that hear no noise: their rate on clean sound is drawn across.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    points = {x for curves in panels.values() for curve in curves.values() for x in curve}
    ratios = sorted(x for x in points if not isinstance(x, str))
    places: dict[float | str, float] = {x: float(x) for x in ratios}
    step = max(2.0, (ratios[-1] - ratios[0]) / max(1, len(ratios) - 1))
    places |= {x: ratios[-1] + step for x in points if isinstance(x, str)}
    width = 8.0 if len(panels) < 2 else 5.0 * len(panels)
    with style():
        figure, axes = canvas(1, len(panels), width, 4.2 + 0.12 * len(names), sharey=True)
        for panel, (title, curves) in zip(axes, panels.items(), strict=True):
            for name, curve in curves.items():
                i = names.index(name)
                shift = 0.03 * step * (i - (len(names) - 1) / 2)
                _over_noise(panel, curve, places, i, shift, is_level=name in level)
            panel.set_xticks(list(places.values()), [x if isinstance(x, str) else f"{x:g}" for x in places])
            panel.set(title=title, xlabel="ratio of speech to noise, dB")
        axes[0].set(ylabel="word error rate, %")
        axes[0].set_ylim(bottom=0)
        handles = [
            line_sample(color=c, marker=m, label=n, linestyle="--" if n in level else "-")
            for n, c, m in zip(names, COLOURS, MARKERS, strict=False)
        ]
        legend_below(figure, handles, 2)
        return figure


def _over_noise(
    axes: Axes,
    curve: Mapping[float | str, Interval],
    places: Mapping[float | str, float],
    i: int,
    shift: float,
    *,
    is_level: bool,
) -> None:
    """Draw system i, moved aside by `shift` dB so that its intervals do not hide those of others."""
    order = sorted(curve, key=places.__getitem__)
    xs = [places[x] + shift for x in order]
    mean, low, high = ([100 * curve[x][key] for x in order] for key in ("mean", "low", "high"))
    mark: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
    axes.vlines(xs, low, high, color=mark["color"], alpha=0.5, linewidth=2)
    if is_level:
        axes.hlines(mean[-1], min(places.values()), max(places.values()), color=mark["color"], linestyle="--")
    axes.plot(xs, mean, **mark)


# Of a matrix's tokens that have room for a number in each cell.
_FEW_TOKENS = 15


def confusion_shares(counts: NDArray[np.int64], spoken: Sequence[str], recognised: Sequence[str]) -> Figure:
    """Draw which token (rows) was recognised as which (columns), by the share of each row, with numbers where few.

    Colours follow the square root of the share, so that rare confusions are seen beside what is right.
    """
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_small = max(counts.shape) <= _FEW_TOKENS
    cell, font = (0.55, 9) if is_small else (0.148, 6.5)
    width, height = cell * len(recognised) + 2.2, cell * len(spoken) + 1.0
    norm = import_optional("matplotlib.colors", extra="analysis").PowerNorm(0.5, vmin=0, vmax=100)
    with style():
        figure, (axes,) = canvas(1, 1, width, height)
        image = axes.imshow(shares, cmap="Blues", norm=norm)
        axes.grid(visible=False)
        axes.set(xlabel="recognised", ylabel="spoken")
        axes.set_xticks(range(len(recognised)), recognised, rotation=90, fontsize=font)
        axes.set_yticks(range(len(spoken)), spoken, fontsize=font)
        if is_small:
            for (row, column), share in np.ndenumerate(shares):
                if counts[row, column]:
                    colour = "white" if share > 45 else INK
                    text = f"{share:.0f}" if share >= 0.5 else "<1"
                    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 5, 20, 50, 100])
        bar.set_label("% of the row", fontsize=9)
        return figure
