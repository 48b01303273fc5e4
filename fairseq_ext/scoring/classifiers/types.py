"""The kinds of classifiers on embeddings: what each is fitted by, and the settings that are chosen among.

A path fits all settings of a classifier on one set of vectors and scores held-out vectors by each: one fit serves
several settings where they are stages of it, such as the epochs of a network or the trees of an ensemble.

Legend: N training utterances, M others, R columns of the vectors, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .scaling import VectorKind

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Parameters = Mapping[str, float | int]
Arrays = Mapping[str, NDArray[Any]]


class Model(Protocol):
    """A fitted classifier, all of which is in its arrays."""

    @property
    def arrays(self) -> Arrays:
        """Arrays that another one is made of."""

    def scores(self, vectors: Floats) -> Floats:
        """Return a score per class, (M, C), higher is likelier; minus infinity for classes absent from the training."""


class FitPath(Protocol):
    """A function that fits every setting and scores held-out vectors by it."""

    def __call__(
        self, vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int
    ) -> Iterator[tuple[Parameters, Floats]]:
        """Yield each setting, the simplest first, with the scores (M, C) of the held-out vectors."""


class Fit(Protocol):
    """A function that fits one setting."""

    def __call__(
        self, vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int
    ) -> Model:
        """Fit on vectors (N, R) of classes (N,)."""


@dataclass(frozen=True)
class ClassifierType:
    """A kind of classifier.

    Attributes:
        name: name on the command line.
        default: settings where no training speaker can be left out to choose by.
        fit: fits one setting.
        path: fits and scores all settings.
        model: makes a fitted classifier of its arrays.
        dimensions: number of dimensions of each array.
        reads: what it reads, see `Scaling`: trees split columns, centroids need the norm of the embedding.
    """

    name: str
    default: Parameters
    fit: Fit
    path: FitPath
    model: Callable[[Arrays], Model]
    dimensions: Mapping[str, int]
    reads: VectorKind = "components"


def all_classes(scores: NDArray[np.floating], present: Ints, num_classes: int) -> Floats:
    """Widen scores (M, classes of the training) to all classes, (M, C), minus infinity for the absent ones."""
    widened = np.full((len(scores), num_classes), -np.inf, dtype=np.float32)
    widened[:, present] = scores
    return widened


def class_weights(targets: Ints) -> Floats:
    """Return weights (N,), of mean 1, by which every class counts the same, as in macro recall."""
    counts = np.bincount(targets)
    return np.asarray(len(targets) / (np.count_nonzero(counts) * counts[targets]), dtype=np.float32)
