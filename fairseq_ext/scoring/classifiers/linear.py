"""Logistic regression on embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...optional import import_optional
from .types import Arrays, ClassifierType, Floats, Ints, Parameters, class_weights

# Inverse strengths of the L2 penalty, from little more than class means to almost no penalty.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# Layers are compared at this strength, and it is the one where there is nothing to choose by.
DEFAULT_STRENGTH = 0.01
_MAX_ITERATIONS = 500


class LogisticModel:
    """A linear map to log-probabilities: arrays `weight` (C, R) and `bias` (C,), minus infinity for absent classes."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def scores(self, vectors: Floats) -> Floats:
        """Return logits (M, C)."""
        return np.asarray(vectors @ self.arrays["weight"].T + self.arrays["bias"], dtype=np.float32)


def _estimator(strength: float, *, warm_start: bool = False) -> Any:
    return import_optional("sklearn.linear_model").LogisticRegression(
        C=strength, max_iter=_MAX_ITERATIONS, tol=1e-3, warm_start=warm_start
    )


def _fitted(estimator: Any, vectors: Floats, targets: Ints, num_classes: int) -> LogisticModel:
    with warnings.catch_warnings():
        # With a weak penalty on separable data the optimum is never reached; the last iterate is good enough.
        warnings.simplefilter("ignore", import_optional("sklearn.exceptions").ConvergenceWarning)
        estimator.fit(vectors, targets, sample_weight=class_weights(targets))
    weight = np.zeros((num_classes, vectors.shape[1]), dtype=np.float32)
    bias = np.full(num_classes, -np.inf, dtype=np.float32)
    found = estimator.coef_, estimator.intercept_
    if len(found[0]) == 1:  # of two classes there is one logit, that of the second
        found = np.concatenate([0 * found[0], found[0]]), np.concatenate([0 * found[1], found[1]])
    weight[estimator.classes_], bias[estimator.classes_] = found
    return LogisticModel({"weight": weight, "bias": bias})


def fit(
    vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int = 0
) -> LogisticModel:
    """Fit a logistic regression with the inverse penalty `strength`; the seed changes nothing."""
    del seed
    return _fitted(_estimator(parameters["strength"]), vectors, targets, num_classes)


def path(
    vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int = 0
) -> Iterator[tuple[Parameters, Floats]]:
    """Fit all strengths, each from the solution of the one before."""
    del seed
    estimator = _estimator(STRENGTHS[0], warm_start=True)
    for strength in STRENGTHS:
        model = _fitted(estimator.set_params(C=strength), vectors, targets, num_classes)
        yield {"strength": strength}, model.scores(held_out)


LOGISTIC = ClassifierType(
    "logistic", {"strength": DEFAULT_STRENGTH}, fit, path, LogisticModel, {"weight": 2, "bias": 1}
)
