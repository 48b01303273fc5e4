"""Intervals of verification: a bootstrap of the test speakers, with all their recordings.

A pair counts as often as both its speakers are drawn, one within a speaker as often as that speaker.

Shapes: N recordings, T trials.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from . import verification
from .verification import Floats, Ranking, Trials

# Priors of a target at which the cost of detection is reported: VoxSRC 2020's, and NIST's since 2012.
P_TARGETS = (0.05, 0.01)
NUM_RESAMPLES = 1000
NUM_BINS = 2000  # of the scores in resamples; the figures themselves use every score
UNITS = ("eer", *(f"min_dcf_{p}" for p in P_TARGETS))


def draws(voices: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return how often each speaker is drawn in each resample, (resamples, speakers)."""
    count = int(voices.max()) + 1
    rng = np.random.default_rng(seed)
    return np.stack(
        [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(NUM_RESAMPLES)]
    )


def of_pairs(
    ranking: Ranking, trials: Trials, voices: NDArray[np.int64], drawn: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Return the figures `UNITS` of trials with their intervals.

    Args:
        ranking: of the trials.
        trials: the trials.
        voices: numbers of the speakers of the recordings, (N,).
        drawn: how often each speaker is drawn in each resample.
    """
    first, second = voices[trials.first], voices[trials.second]
    bins = ranking.bins(NUM_BINS)
    # Trials of two speakers have one weight: they are added up by pair of speakers and bin, once for all resamples.
    pairs, pair = np.unique(
        np.minimum(first, second) * drawn.shape[1] + np.maximum(first, second), return_inverse=True
    )
    one, other = np.divmod(pairs, drawn.shape[1])
    rows = []
    tables = [_table(pair, bins, len(pairs), trials.targets == kind) for kind in (False, True)]
    for counts in drawn:
        weights = counts[one] * np.where(one == other, 1, counts[other])
        others, targets = (np.cumsum(weights @ table) for table in tables)
        # All targets may be of speakers that were not drawn.
        if others[-1] and targets[-1]:
            rows.append(_pair_figures(verification.error_rates(others, targets)))
    value, columns = _pair_figures(ranking.errors()), np.array(rows).T
    return {name: _interval(value[i], columns[i] if rows else columns) for i, name in enumerate(UNITS)}


def _table(
    pair: NDArray[np.int64], bins: NDArray[np.int64], num_pairs: int, chosen: NDArray[np.bool_]
) -> Any:
    """Count chosen trials by pair of speakers and bin, a sparse (pairs, bins)."""
    shape = (num_pairs, int(bins.max()) + 1)
    entries = (np.ones(int(chosen.sum())), (pair[chosen], bins[chosen]))
    return import_optional("scipy.sparse").csr_array(entries, shape=shape)


def _pair_figures(errors: verification.Errors) -> list[float]:
    return [errors.eer(), *(errors.min_dcf(p) for p in P_TARGETS)]


def of_recordings(values: Floats, voices: NDArray[np.int64], drawn: NDArray[np.int64]) -> dict[str, float]:
    """Return the mean over recordings, whose neighbours stay those of the whole test in each resample."""
    weights = drawn[:, voices]
    totals = weights.sum(1)
    means = (weights * values).sum(1)[totals > 0] / totals[totals > 0]
    return _interval(float(values.mean()) if len(values) else 0.0, means)


def _interval(value: float, resampled: Floats) -> dict[str, float]:
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (value, value)
    return {"value": float(value), "low": float(low), "high": float(high)}
