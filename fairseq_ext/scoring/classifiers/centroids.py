"""The nearest class centroid, by cosine or by Euclidean distance of standardised values, whichever folds choose.

Embeddings that were trained by their cosine have norm 1, and standardising them would weigh columns that say little as
much as the others. Statistics of features have columns of all scales, which must be standardised.

Legend: M vectors, R columns, K classes of the training, C all classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scaling import Scaling
from .types import Arrays, ClassifierType, Floats, Ints, Parameters, all_classes

NAME = "centroid"
COSINE = "cosine"
# Norms of a unit-norm embedding differ from 1 by the rounding of float32, and of float16 where it was stored so.
_NORM_TOLERANCE = 1e-3


class CentroidModel:
    """Class means, and the variance of the training vectors around them.

    Arrays `centroids` (K, R), of norm 1 for cosines; `mean` and `weight` (R,): standardisation, for distances;
    `present` (K,): classes of the centroids; `about` (3,): number of all classes, 1 for cosines, and the variance.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    @property
    def metric(self) -> str:
        """What `distances` are: "cosine" (1 - cosine, 0 to 2), or "euclidean" (standardised values)."""
        return COSINE if self.arrays["about"][1] else "euclidean"

    def distances(self, vectors: Floats) -> Floats:
        """Return the distance to each class, (M, C); infinity for classes that were not trained."""
        squared = self._squared(vectors)
        found = squared / 2 if self.metric == COSINE else np.sqrt(squared)
        return -all_classes(-found, self.arrays["present"], int(self.arrays["about"][0]))

    def scores(self, vectors: Floats) -> Floats:
        """Return log-densities (M, C), up to a constant, of Gaussians of one variance around the centroids."""
        scores = -self._squared(vectors) / (2 * self.arrays["about"][2])
        return all_classes(scores, self.arrays["present"], int(self.arrays["about"][0]))

    def _squared(self, vectors: Floats) -> NDArray[np.float64]:
        """Return squared distances (M, K) in the space of the centroids; on the unit sphere, 2 - 2 cosine."""
        a = self.arrays
        placed = _unit(vectors) if self.metric == COSINE else (vectors - a["mean"]) * a["weight"]
        return _squared_distances(placed, a["centroids"])


def _squared_distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (M, K) squared distances of rows; differences first, which keeps small distances exact."""
    return np.stack([((a - row).astype(np.float64) ** 2).sum(1) for row in b], 1)


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def has_unit_norm(vectors: Floats) -> bool:
    """Return whether all vectors (M, R) have norm 1."""
    return bool(np.abs(np.linalg.norm(vectors, axis=1) - 1).max(initial=0.0) < _NORM_TOLERANCE)


def fit(
    vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int = 0
) -> CentroidModel:
    """Average each class; `cosine` is 1 or 0, and where it is not given, 1 for vectors of norm 1. No seed is needed."""
    del seed
    is_cosine = bool(parameters.get(COSINE, has_unit_norm(vectors)))
    scaling = Scaling.fit(vectors, "embedding" if is_cosine else "columns")
    placed = _unit(vectors) if is_cosine else scaling(vectors)
    present = np.unique(targets)
    centroids = np.stack([placed[targets == number].mean(0) for number in present])
    if is_cosine:
        centroids = _unit(centroids)
    own = centroids[np.searchsorted(present, targets)]
    # Of a Gaussian in as many dimensions as there are columns; the temperature corrects what they have in common.
    variance = max(float(((placed - own).astype(np.float64) ** 2).mean()), 1e-12)
    arrays: dict[str, NDArray[Any]] = {
        "centroids": centroids.astype(np.float32),
        "mean": scaling.mean,
        "weight": scaling.weight,
        "present": present.astype(np.int64),
        "about": np.array([num_classes, is_cosine, variance], dtype=np.float64),
    }
    return CentroidModel(arrays)


def path(
    vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int = 0
) -> Iterator[tuple[Parameters, Floats]]:
    """Score by both metrics, first by the one that the norm of the vectors suggests."""
    first = has_unit_norm(vectors)
    for is_cosine in (first, not first):
        parameters = {COSINE: int(is_cosine)}
        yield parameters, fit(vectors, targets, num_classes, parameters, seed).scores(held_out)


CENTROID = ClassifierType(
    NAME,
    {},
    fit,
    path,
    CentroidModel,
    {"centroids": 2, "mean": 1, "weight": 1, "present": 1, "about": 1},
    reads="embedding",
)
