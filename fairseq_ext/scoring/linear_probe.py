"""Linear probe: what a frozen network's embeddings tell a logistic regression about unseen speakers.

Legend: N utterances, C classes, D embedding width.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from ..splits import assert_disjoint

# Inverse strengths of the L2 penalty, from almost a class mean to almost none.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# With one training speaker nobody can be left out to choose by; strong, as embeddings are wide and rows few.
DEFAULT_STRENGTH = 0.03
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """A fitted probe's answers on the test utterances.

    Attributes:
        scores: log-probability per class, (N, C) float32.
        strength: the inverse penalty that was chosen.
        inner_accuracy: mean accuracy on the left-out training speaker, per strength; empty with one speaker.
        leaky: True when speakers were allowed in both training and test.
    """

    scores: NDArray[np.float32]
    strength: float
    inner_accuracy: dict[float, float]
    leaky: bool


def without_offsets(
    embedding: NDArray[np.float32],
    targets: NDArray[np.int64],
    speakers: Sequence[str] | NDArray[np.str_],
) -> NDArray[np.float32]:
    """Takes off what a speaker adds to the mean of each class, so that a probe does not learn who says what how.

    Args:
        embedding: labelled embeddings, (N, D).
        targets: (N,).
        speakers: N names.

    Returns:
        (N, D); unchanged for a single speaker.
    """
    beside_class = embedding - _means(embedding, targets)
    return (embedding - _means(beside_class, speakers)).astype(np.float32)


def _means(embedding: NDArray[Any], groups: Sequence[str] | NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each row's group, (N, D)."""
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((number.max(initial=-1) + 1, embedding.shape[1]))
    np.add.at(sums, number, embedding)
    return (sums / np.bincount(number)[:, None])[number]


def centred(embedding: NDArray[np.float32], speakers: Sequence[str]) -> NDArray[np.float32]:
    """Subtracts from each embedding the mean of its speaker's, as cepstral means of a speaker are subtracted.

    No label is read, but a speaker's recordings must be there together, and say about the same things.

    Args:
        embedding: (N, D).
        speakers: N names.

    Returns:
        (N, D).
    """
    return (embedding - _means(embedding, speakers)).astype(np.float32)


def _fitted(embedding: NDArray[np.float32], targets: NDArray[np.int64], strength: float) -> Any:
    pipeline = import_optional("sklearn.pipeline").make_pipeline(
        import_optional("sklearn.preprocessing").StandardScaler(),
        import_optional("sklearn.linear_model").LogisticRegression(C=strength, max_iter=MAX_ITERATIONS),
    )
    with warnings.catch_warnings():
        # Weak penalties on separable data approach their optimum for ever; where they stop is good enough.
        warnings.simplefilter("ignore", import_optional("sklearn.exceptions").ConvergenceWarning)
        return pipeline.fit(embedding, targets)


def choose_strength(
    embedding: NDArray[np.float32], targets: NDArray[np.int64], speakers: Sequence[str]
) -> dict[float, float]:
    """Scores each penalty on training speakers left out one at a time.

    Args:
        embedding: training embeddings, (N, D).
        targets: (N,).
        speakers: N names.

    Returns:
        strength -> mean accuracy on the speaker left out; empty when there is only one speaker.
    """
    names = np.asarray(speakers)
    folds = [names == speaker for speaker in sorted(set(speakers))]
    if len(folds) < 2:
        return {}
    accuracies = [_fold_accuracies(embedding, targets, names, out) for out in folds]
    return {
        strength: float(np.mean(of_folds))
        for strength, of_folds in zip(STRENGTHS, zip(*accuracies, strict=True), strict=True)
    }


def _fold_accuracies(
    embedding: NDArray[np.float32],
    targets: NDArray[np.int64],
    speakers: NDArray[np.str_],
    out: NDArray[np.bool_],
) -> list[float]:
    """Of each penalty, on the speaker left out."""
    learnt = without_offsets(embedding[~out], targets[~out], speakers[~out])
    models = (_fitted(learnt, targets[~out], strength) for strength in STRENGTHS)
    return [float((model.predict(embedding[out]) == targets[out]).mean()) for model in models]


def linear_probe(
    train_embedding: NDArray[np.float32],
    train_targets: NDArray[np.int64],
    train_speakers: Sequence[str],
    test_embedding: NDArray[np.float32],
    test_speakers: Sequence[str],
    *,
    num_classes: int,
    leaky_control: bool = False,
) -> Probe:
    """Fits a standardised logistic regression and answers for the test utterances.

    Nothing of the test speakers is used: the scaling comes from the training embeddings, less what each training
    speaker adds (`without_offsets`), and the penalty is chosen by leaving out one training speaker at a time.

    Args:
        train_embedding: (N_train, D).
        train_targets: (N_train,).
        train_speakers: N_train names.
        test_embedding: (N, D).
        test_speakers: N names.
        num_classes: C.
        leaky_control: allow the same speakers on both sides; the result is a control and marked as such.

    Returns:
        The answers; classes absent from the training set score minus infinity.

    Raises:
        ValueError: a speaker is on both sides, or fewer than two classes to tell apart.
    """
    if not leaky_control:
        assert_disjoint({"train": train_speakers, "test": test_speakers})
    if len(set(train_targets.tolist())) < 2:
        raise ValueError(
            "linear_probe: expected at least 2 classes in training, found 1; take more utterances"
        )
    # Many small fits: threads would wait for each other (60 times slower on a busy machine).
    with import_optional("threadpoolctl").threadpool_limits(1):
        inner = choose_strength(train_embedding, train_targets, train_speakers)
        # Of equal strengths the strongest penalty: `max` keeps the first.
        strength = max(inner, key=lambda key: inner[key]) if inner else DEFAULT_STRENGTH
        learnt = without_offsets(train_embedding, train_targets, train_speakers)
        model = _fitted(learnt, train_targets, strength)
    scores = np.full((len(test_embedding), num_classes), -np.inf, dtype=np.float32)
    scores[:, model.classes_] = model.predict_log_proba(test_embedding)
    return Probe(scores=scores, strength=strength, inner_accuracy=inner, leaky=leaky_control)
