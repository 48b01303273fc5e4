"""Classifiers fitted with what was chosen: a single one, or several whose log-probabilities are averaged.

Legend: M utterances, D embedding width, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .centroids import CentroidModel
from .choice import Choice
from .ensemble import EnsembleChoice
from .scaling import Scaling
from .temperature import log_probabilities
from .training_set import Feature, TrainingSet
from .types import ClassifierType, Floats, Model, Parameters

SCALING_ARRAYS = {"mean": 1, "weight": 1, "rotation": 2}  # with their dimensions
# What returns the embeddings (M, D) of a feature.
Columns = Callable[[Feature], Floats]


@dataclass(frozen=True)
class Member:
    """A classifier of one feature, fitted on all training utterances."""

    feature: Feature
    classifier: ClassifierType
    parameters: Parameters
    temperature: float
    scaling: Scaling
    model: Model

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything that was fitted, by name."""
        found = {name: getattr(self.scaling, name) for name in SCALING_ARRAYS}
        scaling = {name: array for name, array in found.items() if array is not None}
        return {**scaling, **{f"model/{name}": array for name, array in self.model.arrays.items()}}

    def log_probs(self, columns: Columns) -> Floats:
        """Return calibrated log-probabilities (M, C)."""
        return log_probabilities(self.model.scores(self.scaling(columns(self.feature))), self.temperature)


@dataclass(frozen=True)
class EmbeddingClassifier:
    """One or several classifiers of the same classes.

    Attributes:
        labels: names of the classes, (C,).
        members: the classifiers.
        temperature: by which the mean of several is divided; 1 for a single one.
    """

    labels: tuple[str, ...]
    members: tuple[Member, ...]
    temperature: float = 1.0

    def log_probs(self, columns: Columns) -> Floats:
        """Return log-probabilities (M, C) of the utterances whose embeddings `columns` returns."""
        return log_probabilities(mean_scores([m.log_probs(columns) for m in self.members]), self.temperature)

    @property
    def metric(self) -> str:
        """What `distances` are, see `CentroidModel.metric`; empty for classifiers that have none."""
        model = self.members[0].model
        return model.metric if len(self.members) == 1 and isinstance(model, CentroidModel) else ""

    def distances(self, columns: Columns) -> Floats:
        """Return distances (M, C) from the centroids of the classes.

        Raises:
            TypeError: the classifier has no centroids.
        """
        (member,) = self.members
        if not isinstance(member.model, CentroidModel):
            raise TypeError(f"classifier {member.classifier.name} has no centroids")
        return member.model.distances(member.scaling(columns(member.feature)))

    @property
    def num_parameters(self) -> int:
        """Return the count of numbers in the scalings and models."""
        return sum(array.size for m in self.members for array in m.arrays().values())


def mean_scores(scores: Sequence[Floats]) -> Floats:
    """Return the mean of several log-probabilities (M, C)."""
    return np.asarray(np.mean(scores, axis=0), dtype=np.float32)


def fit_single(training: TrainingSet, choice: Choice, labels: tuple[str, ...]) -> EmbeddingClassifier:
    """Fit one classifier on all training utterances."""
    return EmbeddingClassifier(labels, (fit_member(training, choice),))


def fit_ensemble(
    training: TrainingSet, choice: EnsembleChoice, labels: tuple[str, ...]
) -> EmbeddingClassifier:
    """Fit the members on all training utterances; one that was chosen several times is fitted once."""
    fitted = {id(member): fit_member(training, member) for member in choice.members}
    members = tuple(fitted[id(member)] for member in choice.members)
    return EmbeddingClassifier(labels, members, choice.temperature)


def fit_member(training: TrainingSet, choice: Choice) -> Member:
    """Fit on all training utterances what was chosen on those left out."""
    scaling, vectors = training.scaled(choice.feature, choice.classifier.reads)
    model = choice.classifier.fit(
        vectors, training.targets, training.num_classes, choice.parameters, training.seed
    )
    return Member(choice.feature, choice.classifier, choice.parameters, choice.temperature, scaling, model)
