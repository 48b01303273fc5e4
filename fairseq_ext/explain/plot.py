"""Figures: maps over the log-mel spectrogram, with the CTC alignment and the true boundaries; hit rates.

Legend: S samples, T frames of the spectrogram, F mel bands, M frames of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..modules.spectral import MelSpectrogram, power_to_db
from ..optional import import_optional
from ..report.plots import COLOURS, INK, QUIET, canvas, line_sample, style
from .maps import AttributionMap
from .pointing_game import ALIGNMENT
from .pointing_score import PointingScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

import_optional("matplotlib.patches")  # makes mpl.patches and mpl.colors
mpl = import_optional("matplotlib")

NAMES = {
    "hirescam": "HiRes-CAM",
    "gradcam": "Grad-CAM",
    "occlusion": "Occlusion",
    "integrated_gradients": "Integrated gradients",
    "integrated_gradients_layer": "Integrated gradients, layer",
    "alignment": "CTC alignment alone",
}
# Dynamic range of the spectrogram, below its loudest point: shows speech and hides the room.
RANGE_DB = 60.0
TICKS_HZ = (250, 1000, 4000)
TRUE, HEAT = COLOURS[0], COLOURS[3]
DASHES: Any = {"linestyle": (0, (4, 2)), "linewidth": 1.4}
# From transparent to a strong colour: the spectrogram below stays readable.
HEATMAP = mpl.colors.LinearSegmentedColormap.from_list(
    "heat", [(*mpl.colors.to_rgb(HEAT), a) for a in (0.0, 0.85)]
)


@dataclass(frozen=True, slots=True)
class Label:
    """A text, such as a character or a word, over a span of time."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Spectrogram:
    """The log-mel spectrogram of a clip, to draw maps over.

    Attributes:
        level_db: levels, (T, F), dB.
        hop_s: time between frames, s; frame 0 is centred at 0 s.
        centres_hz: middles of the bands, (F,), Hz.
        duration_s: duration of the clip, s.
    """

    level_db: NDArray[np.float32]
    hop_s: float
    centres_hz: NDArray[np.float64]
    duration_s: float

    @classmethod
    def of(cls, waveform: Tensor, mel: MelSpectrogram, sample_rate_hz: int) -> Spectrogram:
        """Compute the log-mel spectrogram of a clip (1, S), in the bands of the time-frequency map, if one is drawn."""
        level = power_to_db(mel(waveform.detach().float())[0][0]).cpu().numpy()
        centres = mel.get_buffer("edges_hz")[1:-1].cpu().numpy().astype(np.float64)
        return cls(level, mel.hop / sample_rate_hz, centres, waveform.shape[1] / sample_rate_hz)


def attribution_rows(
    clip: Spectrogram,
    maps: Sequence[AttributionMap],
    *,
    title: str,
    aligned: Sequence[Label] = (),
    spoken: Sequence[Label] = (),
    true_span_s: tuple[float, float] | None = None,
) -> Figure:
    """Draw an utterance: its words and symbols, its log-mel, and below each method's map over the log-mel.

    Each map is scaled to its peak, since units differ by method; negative values are not drawn.

    Args:
        clip: spectrogram of the utterance.
        maps: maps, one row each, and another row for a time-frequency map.
        title: heading of the figure.
        aligned: labels of the CTC alignment, such as characters on their frames.
        spoken: labels at the true boundaries, where they are known.
        true_span_s: true start and end of the target, marked in every row, s; None = unknown.
    """
    lanes = [(name, labels) for name, labels in (("spoken", spoken), ("aligned", aligned)) if labels]
    rows: list[tuple[AttributionMap, bool]] = [(m, False) for m in maps]
    rows += [(m, True) for m in maps if m.time_frequency is not None]
    heights = [0.32 * max(1, len(lanes)), 1.5, *[1.0] * len(rows)]
    width = float(np.clip(3.2 * clip.duration_s, 8.0, 16.0))
    height = sum(heights) + 0.42 * len(rows) + 1.0
    with style():
        figure, axes = canvas(
            len(heights), 1, width, height, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        _lanes(axes[0], lanes, true_span_s, width)
        _log_mel(axes[1], clip, "magma")
        axes[1].set_title("log-mel", fontsize=9, fontweight="normal")
        for place, (found, in_bands) in zip(axes[2:], rows, strict=True):
            _log_mel(place, clip, "Greys")
            if in_bands:
                _bands(place, clip, found)
            else:
                _over_time(place, clip, found, true_span_s)
        for place in axes[1:]:
            colour = "white" if place is axes[1] else TRUE
            for edge in true_span_s or ():
                place.axvline(edge, color=colour, **DASHES)
        axes[-1].set(xlabel="time, s", xlim=(0, clip.duration_s))
        _legend(figure, bool(true_span_s))
        return figure


def _lanes(
    axes: Axes,
    lanes: Sequence[tuple[str, Sequence[Label]]],
    true_span_s: tuple[float, float] | None,
    width: float,
) -> None:
    """Draw labels as boxes with text, one lane per type of label; `width` is that of the figure in inches."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    axes.set_yticks(range(len(lanes)), [name for name, _ in lanes])
    axes.set_ylim(max(1, len(lanes)) - 0.5, -0.5)
    for row, (name, labels) in enumerate(lanes):
        # Letters of a fast sentence would overlap.
        size_pt = 9 if len(labels) < 6 * width else 7
        colour = TRUE if name == "spoken" else QUIET
        for label in labels:
            size = label.end_s - label.start_s
            box: Any = {"height": 0.8, "color": colour, "linewidth": 0.8, "edgecolor": colour}
            axes.barh(row, size, left=label.start_s, alpha=0.18, **box)
            middle = label.start_s + size / 2
            axes.text(middle, row, label.text, ha="center", va="center", fontsize=size_pt, clip_on=True)
    if true_span_s and any(name == "spoken" for name, _ in lanes):
        start, end = true_span_s
        axes.barh(0, end - start, left=start, height=0.8, fill=False, edgecolor=TRUE, linewidth=1.6)


def _log_mel(axes: Axes, clip: Spectrogram, colours: str) -> None:
    top = float(clip.level_db.max())
    left, right = -clip.hop_s / 2, (len(clip.level_db) - 0.5) * clip.hop_s
    num_bands = len(clip.centres_hz)
    axes.imshow(
        clip.level_db.T,
        origin="lower",
        aspect="auto",
        extent=(left, right, -0.5, num_bands - 0.5),
        cmap=colours,
        vmin=top - RANGE_DB,
        # Grey stays pale, so that the map stands out.
        vmax=top if colours == "magma" else top + RANGE_DB,
    )
    ticks = [hz for hz in TICKS_HZ if clip.centres_hz[0] <= hz <= clip.centres_hz[-1]]
    axes.set_yticks(np.interp(ticks, clip.centres_hz, np.arange(num_bands)), [f"{hz:g}" for hz in ticks])
    axes.set(ylabel="Hz", ylim=(-0.5, num_bands - 0.5))
    axes.grid(visible=False)


def _over_time(
    axes: Axes, clip: Spectrogram, found: AttributionMap, true_span_s: tuple[float, float] | None
) -> None:
    """Draw the map as colour over the whole height, as a curve, and its peak."""
    # 1e-30: a map without positive values stays 0.
    values = found.positive / max(float(found.positive.max()), 1e-30)
    num_bands, size = len(clip.centres_hz), len(values)
    left = found.grid.first_centre_s - found.grid.step_s / 2
    extent = (left, left + size * found.grid.step_s, -0.5, num_bands - 0.5)
    axes.imshow(values[None], aspect="auto", extent=extent, cmap=HEATMAP, vmin=0, vmax=1)
    centres = found.grid.centres_s(size)
    axes.plot(centres, -0.5 + values * 0.94 * num_bands, color=HEAT, linewidth=1.4)
    axes.set_title(_heading(found, true_span_s), fontsize=9, fontweight="normal")
    if found.peak_s is not None:
        axes.plot([found.peak_s], [0.92 * num_bands], "v", color=INK, markersize=6)


def _heading(found: AttributionMap, true_span_s: tuple[float, float] | None) -> str:
    name = NAMES.get(found.method, found.method)
    if found.peak_s is None:
        return f"{name}: nothing supports it"
    if true_span_s is None:
        return f"{name}: peak at {found.peak_s:.2f} s"
    start, end = true_span_s
    centres = found.grid.centres_s(len(found.values))
    inside = found.positive[(centres >= start) & (centres <= end)].sum() / found.positive.sum()
    where = "inside" if start <= found.peak_s <= end else "outside"
    return f"{name}: peak at {found.peak_s:.2f} s, {where}; {inside:.0%} of the map inside"


def _bands(axes: Axes, clip: Spectrogram, found: AttributionMap) -> None:
    """Draw the map over time and frequency, on the frames of the spectrogram."""
    split = found.time_frequency
    if split is None or split.shape != clip.level_db.shape:
        raise ValueError(
            f"{found.method} of {found.target!r}: expected a time-frequency map of the spectrogram's shape "
            f"{clip.level_db.shape}, found {None if split is None else split.shape}; use the same mel bands"
        )
    values = np.maximum(split, 0) / max(float(split.max()), 1e-30)
    left, right = -clip.hop_s / 2, (len(values) - 0.5) * clip.hop_s
    extent = (left, right, -0.5, len(clip.centres_hz) - 0.5)
    axes.imshow(values.T, origin="lower", aspect="auto", extent=extent, cmap=HEATMAP, vmin=0, vmax=1)
    name = NAMES.get(found.method, found.method)
    axes.set_title(f"{name}, over time and frequency", fontsize=9, fontweight="normal")


def _legend(figure: Figure, has_span: bool) -> None:
    handles = [
        mpl.patches.Patch(color=HEAT, alpha=0.6, label="supports the target, share of the row's peak"),
        line_sample(color=INK, marker="v", linestyle="", label="peak"),
    ]
    if has_span:
        handles.append(line_sample(color=TRUE, label="true boundaries of the target", **DASHES))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)


def hit_rates(scores: Mapping[str, PointingScore], title: str = "Pointing game") -> Figure:
    """Draw how often each method's peak lies where its target was spoken, against chance, from top to bottom.

    Bars have 95% intervals; the mean share of the map inside is a marker, chance a line.

    Raises:
        ValueError: there are no scores, or they are of different cases.
    """
    numbers = sorted({score.num_cases for score in scores.values()})
    if len(numbers) != 1:
        raise ValueError(
            f"hit rates: expected scores of the same cases, found {', '.join(map(str, numbers)) or 'none'} cases; "
            "play the game on the same utterances"
        )
    first = next(iter(scores.values()))
    with style():
        figure, (axes,) = canvas(1, 1, 8.0, 1.7 + 0.5 * len(scores))
        for row, score in enumerate(scores.values()):
            rate = score.hit_rate
            axes.barh(row, 100 * rate.value, 0.6, color=COLOURS[5], alpha=0.75)
            axes.hlines(row - 0.1, 100 * rate.low, 100 * rate.high, color=INK, linewidth=1.6)
            axes.plot([100 * score.mass_inside.value], [row + 0.15], "D", color=HEAT, markersize=6)
            axes.text(
                109, row, f"{100 * rate.value:.1f}", va="center", ha="right", fontsize=9, fontweight="bold"
            )
        # The chance level of the table in the report; maps with another frame rate have a slightly different one.
        chance = 100 * scores.get(ALIGNMENT, first).chance
        axes.axvline(chance, color=QUIET, **DASHES)
        axes.set_yticks(range(len(scores)), [NAMES.get(name, name) for name in scores])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(
            title=title,
            xlabel=f"peak inside the true span ({1000 * first.tolerance_s:g} ms of tolerance), "
            f"% of {first.num_cases} cases",
            xlim=(0, 110),
            xticks=range(0, 101, 20),
        )
        figure.legend(handles=_rate_handles(chance), loc="outside lower center", ncols=4, fontsize=9)
        return figure


def _rate_handles(chance: float) -> list[Any]:
    return [
        mpl.patches.Patch(color=COLOURS[5], alpha=0.75, label="hit rate"),
        line_sample(color=INK, linewidth=1.6, label="95% interval"),
        line_sample(color=HEAT, marker="D", linestyle="", label="share of the map inside"),
        line_sample(color=QUIET, label=f"chance, {chance:.1f}%", **DASHES),
    ]
