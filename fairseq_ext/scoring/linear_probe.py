"""Linear probe: a logistic regression over embeddings, with speakers kept apart.

Legend: N utterances, C classes, D embedding width.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from ..splits import assert_disjoint

# Inverse strengths of the L2 penalty, from little more than class means to almost no penalty.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# With a single training speaker none can be left out to choose by; strong, as D is large and N small.
DEFAULT_STRENGTH = 0.03
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """The predictions of a fitted probe on the test utterances.

    Attributes:
        scores: log-probability per class, (N, C) float32.
        strength: the chosen inverse penalty.
        inner_accuracy: mean accuracy on the left-out training speaker, per strength; empty with one speaker.
        candidate: number of the embedding that was chosen; 0 where there is one.
        candidate_accuracy: mean accuracy on the left-out training speaker, of each embedding at the default strength;
            empty with one embedding or one speaker.
        leaky: whether speakers were allowed in both training and test.
    """

    scores: NDArray[np.float32]
    strength: float
    inner_accuracy: dict[float, float]
    leaky: bool
    candidate: int = 0
    candidate_accuracy: Mapping[int, float] = field(default_factory=dict)


def without_offsets(
    embedding: NDArray[np.float32],
    targets: NDArray[np.int64],
    speakers: Sequence[str] | NDArray[np.str_],
) -> NDArray[np.float32]:
    """Subtract each speaker's mean deviation from the class means, so that a probe learns classes and not speakers.

    Takes and returns labelled embeddings, (N, D), unchanged for a single speaker.
    """
    beside_class = embedding - _means(embedding, targets)
    return (embedding - _means(beside_class, speakers)).astype(np.float32)


def _means(embedding: NDArray[Any], groups: Sequence[str] | NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each row's group, (N, D)."""
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((number.max(initial=-1) + 1, embedding.shape[1]))
    np.add.at(sums, number, embedding)
    return (sums / np.bincount(number)[:, None])[number]


def centred(embedding: NDArray[np.float32], speakers: Sequence[str]) -> NDArray[np.float32]:
    """Subtract from each embedding (N, D) the mean of its speaker's, as in cepstral mean normalisation.

    No label is used, but all recordings of a speaker must be given together, and their classes be about balanced.
    """
    return (embedding - _means(embedding, speakers)).astype(np.float32)


def _fitted(embedding: NDArray[np.float32], targets: NDArray[np.int64], strength: float) -> Any:
    pipeline = import_optional("sklearn.pipeline").make_pipeline(
        import_optional("sklearn.preprocessing").StandardScaler(),
        import_optional("sklearn.linear_model").LogisticRegression(C=strength, max_iter=MAX_ITERATIONS),
    )
    with warnings.catch_warnings():
        # With a weak penalty on separable data the optimum is never reached; the last iterate is good enough.
        warnings.simplefilter("ignore", import_optional("sklearn.exceptions").ConvergenceWarning)
        return pipeline.fit(embedding, targets)


def choose_strength(
    embedding: NDArray[np.float32],
    targets: NDArray[np.int64],
    speakers: Sequence[str],
    strengths: Sequence[float] = STRENGTHS,
) -> dict[float, float]:
    """Return each penalty's mean accuracy on training speakers left out one at a time; empty with only one speaker."""
    names = np.asarray(speakers)
    folds = [names == speaker for speaker in sorted(set(speakers))]
    if len(folds) < 2:
        return {}
    accuracies = [_fold_accuracies(embedding, targets, names, out, strengths) for out in folds]
    return {
        strength: float(np.mean(of_folds))
        for strength, of_folds in zip(strengths, zip(*accuracies, strict=True), strict=True)
    }


def choose_embedding(
    candidates: Sequence[NDArray[np.float32]], targets: NDArray[np.int64], speakers: Sequence[str]
) -> dict[int, float]:
    """Return what `choose_strength` does, at the default penalty, for each of several embeddings (N, D)."""
    if len(candidates) < 2 or len(set(speakers)) < 2:
        return {}
    return {
        number: choose_strength(embedding, targets, speakers, (DEFAULT_STRENGTH,))[DEFAULT_STRENGTH]
        for number, embedding in enumerate(candidates)
    }


def split_columns(embedding: NDArray[np.float32], widths: Sequence[int]) -> list[NDArray[np.float32]]:
    """Split embeddings (N, sum of widths) that stand side by side."""
    return np.split(embedding, np.cumsum(widths)[:-1], 1)


def _fold_accuracies(
    embedding: NDArray[np.float32],
    targets: NDArray[np.int64],
    speakers: NDArray[np.str_],
    out: NDArray[np.bool_],
    strengths: Sequence[float],
) -> list[float]:
    """Return the accuracy of each penalty on the speaker left out."""
    learnt = without_offsets(embedding[~out], targets[~out], speakers[~out])
    models = (_fitted(learnt, targets[~out], strength) for strength in strengths)
    return [float((model.predict(embedding[out]) == targets[out]).mean()) for model in models]


def linear_probe(
    train_embedding: NDArray[np.float32],
    train_targets: NDArray[np.int64],
    train_speakers: Sequence[str],
    test_embedding: NDArray[np.float32],
    test_speakers: Sequence[str],
    *,
    num_classes: int,
    widths: Sequence[int] = (),
    leaky_control: bool = False,
) -> Probe:
    """Fit a standardised logistic regression on (N_train, D) and predict the classes of the test utterances, (N, D).

    With `widths`, several embeddings stand side by side, such as those of several layers; the probe reads the one that
    is best at the default penalty with one training speaker left out at a time; then comes the choice of the penalty.
    Nothing of the test speakers is used: the scaling is that of the training embeddings without their speakers'
    offsets (`without_offsets`), and the penalty is chosen by leaving out one training speaker at a time. Classes absent
    from the training set score minus infinity. With `leaky_control` speakers may be in both; the result is marked.

    Raises:
        ValueError: a speaker is in both, or the training has fewer than two classes.
    """
    if not leaky_control:
        assert_disjoint({"train": train_speakers, "test": test_speakers})
    if len(set(train_targets.tolist())) < 2:
        raise ValueError(
            "linear_probe: expected at least 2 classes in training, found 1; take more utterances"
        )
    # Many small fits: threads would wait for each other (60 times slower on a busy machine).
    with import_optional("threadpoolctl").threadpool_limits(1):
        widths = widths or (train_embedding.shape[1],)
        candidates = split_columns(train_embedding, widths)
        accuracies = choose_embedding(candidates, train_targets, train_speakers)
        # With a single training speaker the last one, as there is none to choose by.
        chosen = max(accuracies, key=lambda key: accuracies[key]) if accuracies else len(widths) - 1
        train_embedding, test_embedding = candidates[chosen], split_columns(test_embedding, widths)[chosen]
        inner = choose_strength(train_embedding, train_targets, train_speakers)
        # Of equal strengths the strongest penalty: `max` keeps the first.
        strength = max(inner, key=lambda key: inner[key]) if inner else DEFAULT_STRENGTH
        learnt = without_offsets(train_embedding, train_targets, train_speakers)
        model = _fitted(learnt, train_targets, strength)
    scores = np.full((len(test_embedding), num_classes), -np.inf, dtype=np.float32)
    # The model has columns for the classes in its training set only.
    scores[:, model.classes_] = model.predict_log_proba(test_embedding)
    return Probe(scores, strength, inner, leaky_control, chosen, accuracies)
