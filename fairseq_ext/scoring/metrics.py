"""Scores of a classifier, all derived from its confusion matrix.

Legend: N utterances, C classes; a confusion matrix counts [true class, predicted class].

Macro averages run over the classes that occur among the targets: a class nobody asked for neither helps nor
hurts. A class that is never predicted has precision 0. Both are what scikit-learn computes with
`labels=<classes among the targets>, zero_division=0`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..text.scoring import bootstrap_interval

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NUM_RESAMPLES = 1000
METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
INTERVALS_OVER = ("recordings", "speakers")


def confusion_matrix(targets: Ints, predictions: Ints, num_classes: int) -> Ints:
    """Counts how often each class was taken for each other.

    Args:
        targets: true class per utterance, (N,).
        predictions: predicted class per utterance, (N,).
        num_classes: C.

    Returns:
        Counts, (C, C): rows are true classes, columns predicted ones.

    Raises:
        ValueError: the lengths differ, or a class lies outside 0..C-1.
    """
    targets, predictions = np.asarray(targets, np.int64), np.asarray(predictions, np.int64)
    if targets.shape != predictions.shape or targets.ndim != 1:
        raise ValueError(
            f"confusion_matrix: expected two equal rows of classes, found shapes {targets.shape} and "
            f"{predictions.shape}; score the same utterances"
        )
    both = np.concatenate([targets, predictions])
    if both.size and (both.min() < 0 or both.max() >= num_classes):
        raise ValueError(
            f"confusion_matrix: expected classes 0..{num_classes - 1}, found {both.min()}..{both.max()}; "
            "use the labels stored with the checkpoint"
        )
    counts = np.bincount(targets * num_classes + predictions, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Divides, with 0 where there is nothing to divide by."""
    out: Floats = np.zeros(np.broadcast(numerator, denominator).shape)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def class_scores(confusion: NDArray[np.int64]) -> dict[str, Floats]:
    """Precision, recall and F1 of each class.

    Args:
        confusion: counts, (..., C, C); leading axes are kept.

    Returns:
        `precision`, `recall`, `f1` and `n` (utterances of the class), each (..., C).
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # (..., C)
    asked, answered = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return {
        "precision": _ratio(hits, answered),
        "recall": _ratio(hits, asked),
        "f1": _ratio(2 * hits, asked + answered),
        "n": asked.astype(np.float64),
    }


def overall_scores(confusion: NDArray[np.int64]) -> dict[str, Floats]:
    """Accuracy and the macro averages.

    Args:
        confusion: counts, (..., C, C).

    Returns:
        `accuracy`, `macro_precision`, `macro_recall`, `macro_f1`, each with the leading shape (...).
    """
    per_class = class_scores(confusion)
    asked = per_class["n"] > 0  # (..., C)
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    scores = {"accuracy": _ratio(hits, confusion.sum(axis=(-2, -1)))}
    for name in ("precision", "recall", "f1"):
        scores[f"macro_{name}"] = _ratio((per_class[name] * asked).sum(axis=-1), asked.sum(axis=-1))
    return scores


def with_intervals(
    targets: Ints,
    predictions: Ints,
    num_classes: int,
    *,
    speakers: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """The overall scores with their percentile bootstrap intervals.

    The interval says how much the score would move with other recordings of the same speakers or, when whole
    speakers are drawn, with other speakers. It does not cover other training seeds.

    Args:
        targets: true class, (N,).
        predictions: predicted class, (N,).
        num_classes: C.
        speakers: N names: draw speakers, with all their recordings. None = draw recordings, for a test set of so
            few speakers that drawing them says nothing.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        Per metric `value`, `low` and `high` (95 % interval), as fractions.

    Raises:
        ValueError: there is nothing to score.
    """
    if not len(targets):
        raise ValueError("with_intervals: expected at least one utterance, found none; check the split")
    confusion_matrix(targets, predictions, num_classes)  # refuses what cannot be scored
    cells = np.asarray(targets) * num_classes + np.asarray(predictions)

    @cache  # the four metrics are asked for the same resamples in turn
    def scores_of(counts: bytes) -> dict[str, Floats]:
        return overall_scores(np.frombuffer(counts, np.int64).reshape(num_classes, num_classes))

    def statistic(metric: str, rows: NDArray[np.int64]) -> float:
        return float(scores_of(np.bincount(cells[rows], minlength=num_classes**2).tobytes())[metric])

    result = {}
    for metric in METRICS:
        found = bootstrap_interval(
            partial(statistic, metric), len(cells), num_resamples=num_resamples, seed=seed, groups=speakers
        )
        result[metric] = {"value": found.value, "low": found.low, "high": found.high}
    return result


def per_class(confusion: Ints, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and count by label.

    Args:
        confusion: counts, (C, C).
        labels: C names.

    Returns:
        label -> {precision, recall, f1, n}.
    """
    scores = class_scores(confusion)
    return {
        label: {name: float(scores[name][i]) for name in ("precision", "recall", "f1")}
        | {"n": int(scores["n"][i])}
        for i, label in enumerate(labels)
    }


def per_group(
    targets: Ints, predictions: Ints, groups: Sequence[str], num_classes: int
) -> dict[str, dict[str, float]]:
    """Accuracy and macro-F1 of each group of utterances, most often one speaker's.

    Args:
        targets: (N,).
        predictions: (N,).
        groups: N names, one per utterance.
        num_classes: C.

    Returns:
        group -> {accuracy, macro_f1, n}, in alphabetical order.
    """
    names = np.asarray(groups)
    result: dict[str, dict[str, float]] = {}
    for group in sorted(set(groups)):
        mine = names == group
        scores = overall_scores(confusion_matrix(targets[mine], predictions[mine], num_classes))
        result[group] = {key: float(scores[key]) for key in ("accuracy", "macro_f1")} | {"n": int(mine.sum())}
    return result


def score(
    targets: Ints,
    predictions: Ints,
    speakers: Sequence[str],
    labels: Sequence[str],
    *,
    over: str = "recordings",
    seed: int = 0,
) -> Mapping[str, Any]:
    """Everything that metrics.json says about how well a system did.

    Args:
        targets: true class, (N,).
        predictions: predicted class, (N,).
        speakers: N names.
        labels: C names.
        over: what the intervals draw, one of `INTERVALS_OVER`.
        seed: of the bootstrap.

    Returns:
        `n`, `metrics` (with intervals), `intervals_over`, `per_class`, `per_speaker`, `confusion`, `labels`.

    Raises:
        ValueError: an unknown choice of what is drawn.
    """
    if over not in INTERVALS_OVER:
        raise ValueError(f"score: expected intervals over one of {INTERVALS_OVER}, found {over!r}; name one")
    drawn = speakers if over == "speakers" else None
    confusion = confusion_matrix(targets, predictions, len(labels))
    return {
        "n": len(targets),
        "metrics": with_intervals(targets, predictions, len(labels), speakers=drawn, seed=seed),
        "intervals_over": over,
        "per_class": per_class(confusion, labels),
        "per_speaker": per_group(targets, predictions, speakers, len(labels)),
        "confusion": confusion.tolist(),
        "labels": list(labels),
    }
