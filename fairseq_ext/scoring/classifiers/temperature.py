"""Probabilities that mean what they say: one temperature per classifier (Guo et al. 2017, section 4.2).

It is fitted on training utterances whose speakers were left out, and changes no prediction.

Legend: N utterances, C classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...optional import import_optional
from .types import Floats, Ints

# Of the logarithm of the temperature: margins of a support vector machine want about 1 / 4, an overfitted network 5.
_BOUNDS = (np.log(0.02), np.log(50.0))
_LEAST = -30.0  # a log-probability of a class that was never trained on


def log_probabilities(scores: Floats, temperature: float) -> Floats:
    """Return the logarithm of the softmax of scores (N, C) over a temperature."""
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    largest = scaled.max(1, keepdims=True)
    return np.asarray(
        scaled - largest - np.log(np.exp(scaled - largest).sum(1, keepdims=True)), dtype=np.float32
    )


def fit_temperature(targets: Ints, scores: Floats) -> float:
    """Return the temperature at which the log-likelihood of the classes (N,) is the highest; 1 without any scores."""
    known = ~np.isnan(scores).any(1)
    if not known.any():
        return 1.0
    rows, of = scores[known], targets[known]

    def loss(log_temperature: float) -> float:
        found: NDArray[np.float32] = log_probabilities(rows, float(np.exp(log_temperature)))
        return -float(np.maximum(found[np.arange(len(of)), of], _LEAST).mean())

    found = import_optional("scipy.optimize").minimize_scalar(loss, bounds=_BOUNDS, method="bounded")
    return float(np.exp(found.x))
