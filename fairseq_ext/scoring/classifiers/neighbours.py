"""The nearest neighbours of an embedding, by cosine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .types import Arrays, ClassifierType, Floats, Ints, Parameters, class_weights

NUMBERS = (40, 20, 10, 5)  # the smoothest first
# Of a neighbour of every class, so that no probability is 0.
_PRIOR = 0.5


class NeighbourModel:
    """Training vectors and how many of them vote, each with the weight of its class.

    Arrays `vectors` (N, R) of length 1, `targets` (N,), `about` (2,): number of neighbours and of classes.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def scores(self, vectors: Floats, number: int = 0) -> Floats:
        """Return log-probabilities (M, C), by `number` of neighbours; 0 = as many as it was fitted with."""
        targets, (most, num_classes) = self.arrays["targets"], self.arrays["about"]
        similarity = _unit(vectors) @ self.arrays["vectors"].T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : number or most]
        one_hot = np.eye(num_classes)[targets] * class_weights(targets)[:, None]
        votes = one_hot[nearest].sum(1) + _PRIOR * one_hot.any(0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(votes / votes.sum(1, keepdims=True)), dtype=np.float32)


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def fit(
    vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int = 0
) -> NeighbourModel:
    """Keep the training vectors; `neighbours` of them vote. The seed changes nothing."""
    del seed
    about = np.array([min(int(parameters["neighbours"]), len(vectors)), num_classes])
    return NeighbourModel({"vectors": _unit(vectors), "targets": np.asarray(targets), "about": about})


def path(
    vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int = 0
) -> Iterator[tuple[Parameters, Floats]]:
    """Score by each number of neighbours."""
    model = fit(vectors, targets, num_classes, {"neighbours": max(NUMBERS)}, seed)
    for number in NUMBERS:
        yield {"neighbours": number}, model.scores(held_out, number)


KNN = ClassifierType(
    "knn", {"neighbours": 10}, fit, path, NeighbourModel, {"vectors": 2, "targets": 1, "about": 1}
)
