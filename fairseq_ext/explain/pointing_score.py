"""The pointing game: does a map's peak lie where the word was spoken (Zhang et al. 2016, in time)?

The game: "Top-down neural attention by excitation backprop" (arXiv 1608.00507).
Legend: N cases (one map and one true span each), T frames of a map.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..text.scoring import Interval, bootstrap_intervals
from .maps import AttributionMap

Span = tuple[float, float]  # start and end, s


@dataclass(frozen=True, slots=True)
class PointingScore:
    """The score of a method.

    Attributes:
        hit_rate: share of the cases whose peak lies in the true span, with its interval.
        mass_inside: mean share of the positive values within the true span, with its interval; 0 for a flat map.
        chance: expected hit rate of a point drawn evenly from the map's frames; also the mass of an even map.
        tolerance_s: widening of each span at either side, s.
        num_cases: number of cases, N.
        num_flat: number of cases whose map has no positive value; they count as misses.
    """

    hit_rate: Interval
    mass_inside: Interval
    chance: float
    tolerance_s: float
    num_cases: int
    num_flat: int


def pointing_game(
    maps: Sequence[AttributionMap],
    spans_s: Sequence[Span],
    *,
    tolerance_s: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> PointingScore:
    """Score N maps of one method against true spans.

    Args:
        maps: N maps of one method.
        spans_s: N true spans (start, end), s.
        tolerance_s: widening of each span at either side, s; half a frame allows for the grid.
        seed: seed of the intervals.
        groups: utterance or speaker of each case, resampled as a whole, since its cases are not independent.

    Raises:
        ValueError: no cases, unequal numbers, an empty span, or a negative tolerance.
    """
    if len(maps) != len(spans_s) or not maps or tolerance_s < 0:
        raise ValueError(
            f"pointing game: expected as many maps as spans, 1 or more, and tolerance_s >= 0, found {len(maps)}, "
            f"{len(spans_s)} and {tolerance_s}; give each map the span of its target"
        )
    inside = [_inside(m, span, tolerance_s) for m, span in zip(maps, spans_s, strict=True)]
    flat = np.array([m.peak_s is None for m in maps])
    hits = np.array([_peaks_in(m, where) for m, where in zip(maps, inside, strict=True)])
    mass = np.array([_share(m.positive, where) for m, where in zip(maps, inside, strict=True)])

    figures = np.stack([hits, mass])  # (2, N)
    hit_rate, mass_inside = bootstrap_intervals(
        lambda i: figures[:, i].mean(1).tolist(), len(maps), seed=seed, groups=groups
    )
    return PointingScore(
        hit_rate=hit_rate,
        mass_inside=mass_inside,
        chance=float(np.mean([where.mean() for where in inside])),
        tolerance_s=tolerance_s,
        num_cases=len(maps),
        num_flat=int(flat.sum()),
    )


def is_hit(found: AttributionMap, span_s: Span, tolerance_s: float) -> bool:
    """Return whether a map's peak lies in the true span, widened at either side; not without positive values."""
    return _peaks_in(found, _inside(found, span_s, tolerance_s))


def _peaks_in(found: AttributionMap, inside: NDArray[np.bool_]) -> bool:
    return found.peak_s is not None and bool(inside[found.values.argmax()])


def _inside(found: AttributionMap, span_s: Span, tolerance_s: float) -> NDArray[np.bool_]:
    """Return whether the middle of each frame lies in the span, (T,)."""
    start, end = span_s
    if not 0 <= start < end:
        raise ValueError(
            f"pointing game, {found.target!r}: expected 0 <= start < end, found {start} s and {end} s; correct "
            "the boundaries"
        )
    centres = found.grid.centres_s(len(found.values))
    return (centres >= start - tolerance_s) & (centres <= end + tolerance_s)


def _share(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    total = float(values.sum())
    return float(values[inside].sum()) / total if total > 0 else 0.0
