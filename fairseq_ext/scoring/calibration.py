"""Calibration: whether a classifier that says 80 % is right in 80 % of these cases.

Legend: N utterances, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 10


def calibration(
    targets: NDArray[np.int64], scores: NDArray[np.float32], num_bins: int = NUM_BINS
) -> dict[str, Any]:
    """Compare the probability of each prediction with how often such predictions are right (Guo et al. 2017, eq. 3).

    Args:
        targets: true classes, (N,).
        scores: log-probabilities or logits, (N, C).
        num_bins: bins of equal width between 0 and 1; a bin holds its upper bound.

    Returns:
        `ece`, the expected calibration error: the mean gap, weighted by the utterances of a bin; and `bins`, those with
        utterances: `low`, `high`, `n`, mean `confidence`, and `accuracy`.
    """
    confidence = _largest_probability(scores)
    right = scores.argmax(1) == targets
    number = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    bins = [
        {
            "low": b / num_bins,
            "high": (b + 1) / num_bins,
            "n": int((number == b).sum()),
            "confidence": float(confidence[number == b].mean()),
            "accuracy": float(right[number == b].mean()),
        }
        for b in sorted(set(number.tolist()))
    ]
    gaps = sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins)
    return {"ece": float(gaps / len(targets)), "bins": bins}


def _largest_probability(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(1, keepdims=True)
    return np.asarray(1 / np.exp(shifted).sum(1), dtype=np.float64)
