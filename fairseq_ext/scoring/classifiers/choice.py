"""Choose the layer, the pooling and the settings of a classifier on training speakers that are left out in turn.

The layer is chosen first, by logistic regression at its default strength, then the pooling on it, then the settings of
the classifier: a tenth of the fits of a full grid. Everything is compared by macro recall over all left-out
utterances, which a thousand utterances give to within a point or two. So a layer is judged with its neighbours, which
say much the same, and of settings that are within half a point of the best the first, which is the simplest, wins.

Legend: N training utterances, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics import confusion_matrix, overall_scores
from .linear import LOGISTIC
from .scaling import VectorKind
from .temperature import fit_temperature
from .training_set import Feature, TrainingSet
from .types import ClassifierType, Floats, Ints, Parameters

# Differences of macro recall below this are noise.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Trial:
    """What was tried on the left-out training speakers, and its macro recall."""

    feature: Feature
    classifier: str
    parameters: Parameters
    macro_recall: float

    def as_json(self) -> dict[str, Any]:
        """Return the entry of metrics.json."""
        return {
            "layer": self.feature.layer,
            "pooling": self.feature.pooling,
            "classifier": self.classifier,
            "parameters": dict(self.parameters),
            "macro_recall": self.macro_recall,
        }


@dataclass(frozen=True)
class Choice:
    """What a classifier is fitted with.

    Attributes:
        feature: layer and pooling.
        classifier: kind of classifier.
        parameters: its settings.
        temperature: by which its scores are divided to be log-probabilities, see `temperature`.
        trials: everything that was compared; empty with a single training speaker, where nothing can be.
        left_out_scores: scores of the training utterances when left out, (N, C); NaN where an utterance never was.
    """

    feature: Feature
    classifier: ClassifierType
    parameters: Parameters
    temperature: float
    trials: tuple[Trial, ...]
    left_out_scores: Floats

    @property
    def macro_recall(self) -> float:
        """Macro recall on the left-out training utterances; NaN where there are none."""
        mine = [t.macro_recall for t in self.trials if self._is_chosen(t)]
        return mine[-1] if mine else float("nan")

    def _is_chosen(self, trial: Trial) -> bool:
        found = (trial.feature, trial.classifier, dict(trial.parameters))
        return found == (self.feature, self.classifier.name, dict(self.parameters))


def macro_recall(targets: Ints, scores: Floats) -> float:
    """Return the macro recall of scores (N, C); utterances without scores, NaN, do not count."""
    known = ~np.isnan(scores).any(1)
    if not known.any():
        return 0.0
    predicted = scores[known].argmax(1)
    return overall_scores(confusion_matrix(targets[known], predicted, scores.shape[1]))["macro_recall"]


def left_out_scores(
    training: TrainingSet, feature: Feature, classifier: ClassifierType, *, only_default: bool = False
) -> Iterator[tuple[Parameters, Floats]]:
    """Yield each setting with the scores (N, C) that it gives the training utterances when they are left out."""
    empty = np.full((len(training.targets), training.num_classes), np.nan, dtype=np.float32)
    found: dict[tuple[tuple[str, float], ...], Floats] = {}
    # The rotation serves the many fits of a path; for a single one it costs more than it saves.
    kind: VectorKind = "columns" if only_default and classifier.reads == "components" else classifier.reads
    for fold in training.inner(feature, kind):
        targets, rest = training.targets[~fold.is_held_out], (training.num_classes, training.seed)
        if only_default:
            model = classifier.fit(fold.vectors, targets, rest[0], classifier.default, rest[1])
            scored: Iterable[tuple[Parameters, Floats]] = [(classifier.default, model.scores(fold.held_out))]
        else:
            scored = classifier.path(fold.vectors, targets, fold.held_out, *rest)
        for parameters, scores in scored:
            key = tuple(parameters.items())
            found.setdefault(key, empty.copy())[fold.is_held_out] = scores
    for key, scores in found.items():
        yield dict(key), scores


def choose_feature(
    training: TrainingSet, layers: Sequence[int], poolings: Sequence[str]
) -> tuple[Feature, list[Trial]]:
    """Choose the layer by the first pooling, then the pooling on it; return the choice and what was compared.

    Where nothing can be left out it is the middle layer, which has most of what is not words, and the first pooling.
    """
    trials: list[Trial] = []
    best = Feature((layers[len(layers) // 2],), poolings[0])
    if len(layers) > 1:
        features = [Feature((layer,), poolings[0]) for layer in layers]
        if recalls := _recalls(features, training, trials):
            best = features[int(np.argmax(smoothed(recalls)))]
    if len(poolings) > 1:
        features = [Feature(best.layers, pooling) for pooling in poolings]
        if recalls := _recalls(features, training, trials):
            best = features[first_good(recalls)]
    return best, trials


def smoothed(recalls: Sequence[float]) -> Floats:
    """Return each layer's macro recall averaged with its neighbours', which count half; the ends repeat themselves."""
    ends = np.pad(np.asarray(recalls, dtype=np.float32), 1, mode="edge")
    return np.asarray(ends[:-2] / 4 + ends[1:-1] / 2 + ends[2:] / 4, dtype=np.float32)


def first_good(recalls: Sequence[float]) -> int:
    """Return the position of the first that is within `TOLERANCE` of the best."""
    return next(i for i, recall in enumerate(recalls) if recall >= max(recalls) - TOLERANCE)


def _recalls(features: Sequence[Feature], training: TrainingSet, trials: list[Trial]) -> list[float]:
    """Return the macro recall of features, none where nothing can be left out; add those that are new to the trials."""
    known = {trial.feature: trial for trial in trials}
    for feature in features:
        if feature in known:
            continue
        for parameters, scores in left_out_scores(training, feature, LOGISTIC, only_default=True):
            trial = Trial(feature, LOGISTIC.name, parameters, macro_recall(training.targets, scores))
            known[feature] = trial
            trials.append(trial)
    return [known[feature].macro_recall for feature in features if feature in known]


def choose_parameters(
    training: TrainingSet, feature: Feature, classifier: ClassifierType, earlier: Sequence[Trial] = ()
) -> Choice:
    """Choose the settings of a classifier on a feature; `earlier` are the trials that led to the feature."""
    found = list(left_out_scores(training, feature, classifier))
    if not found:
        nothing = np.full((len(training.targets), training.num_classes), np.nan, dtype=np.float32)
        return Choice(feature, classifier, classifier.default, 1.0, tuple(earlier), nothing)
    recalls = [macro_recall(training.targets, scores) for _, scores in found]
    tried = zip(found, recalls, strict=True)
    trials = [Trial(feature, classifier.name, parameters, recall) for (parameters, _), recall in tried]
    parameters, scores = found[first_good(recalls)]
    temperature = fit_temperature(training.targets, scores)
    return Choice(feature, classifier, parameters, temperature, (*earlier, *trials), scores)
