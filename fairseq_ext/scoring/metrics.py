"""Scores of a classifier: scikit-learn's, and their bootstrap intervals.

Legend: N utterances, C classes; a confusion matrix counts [true class, predicted class].

Macro averages run over the classes that occur among the targets, so that an absent class neither helps nor hurts. A
class that is never predicted has precision 0. Both are what scikit-learn computes with `labels=<classes among the
targets>, zero_division=0`.

The macro averages are computed here, from confusion matrices, because the bootstrap needs 1000 of them: that takes
0.1 s per system, and 6 s with a call of scikit-learn for each. A test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from ..text.scoring import bootstrap_intervals

Ints = NDArray[np.int64]

NUM_RESAMPLES = 1000
METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "weighted_f1")
GROUP_METRICS = ("accuracy", "macro_recall", "macro_f1")
INTERVALS_OVER = ("recordings", "speakers")


def confusion_matrix(targets: Ints, predictions: Ints, num_classes: int) -> Ints:
    """Count how often each class was predicted as each other, (C, C): rows are true classes, columns predicted ones.

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
    # scikit-learn's takes 50 times as long, which the scores of each of 144 speakers add up to a second.
    counts: Ints = np.bincount(targets * num_classes + predictions, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def overall_scores(confusion: Ints) -> dict[str, float]:
    """Compute the scores of `METRICS` from counts, (C, C), not all 0.

    Accuracy is also called weighted accuracy (WA), macro recall unweighted (UA) or unweighted average recall (UAR).
    `weighted_f1` weighs the F1 of each class by its utterances.
    """
    sizes = confusion.sum(axis=1)
    present = sizes > 0
    hits, true, predicted = (
        counts[present] for counts in (confusion.diagonal(), sizes, confusion.sum(axis=0))
    )
    f1 = 2 * hits / (true + predicted)
    return {
        "accuracy": float(hits.sum() / true.sum()),
        "macro_precision": float((hits / np.maximum(predicted, 1)).mean()),
        "macro_recall": float((hits / true).mean()),
        "macro_f1": float(f1.mean()),
        "weighted_f1": float((f1 * true).sum() / true.sum()),
    }


def with_intervals(
    targets: Ints,
    predictions: Ints,
    num_classes: int,
    *,
    speakers: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compute the overall scores of N utterances with their percentile bootstrap intervals.

    The interval shows how much the score would vary with other recordings of the same speakers or, when whole speakers
    are resampled, with other speakers. It does not cover other training seeds. `speakers` are resampled with all their
    recordings; None resamples recordings, for a test set of too few speakers.

    Returns:
        Per metric `value`, `low` and `high` (95 % interval), as fractions.

    Raises:
        ValueError: there is nothing to score.
    """
    if not len(targets):
        raise ValueError("with_intervals: there are no utterances to score; check the split")
    confusion_matrix(targets, predictions, num_classes)  # refuses what cannot be scored
    cells = np.asarray(targets) * num_classes + np.asarray(predictions)

    def statistics(rows: NDArray[np.int64]) -> list[float]:
        counts = np.bincount(cells[rows], minlength=num_classes**2)
        scores = overall_scores(counts.reshape(num_classes, num_classes))
        return [scores[metric] for metric in METRICS]

    found = bootstrap_intervals(
        statistics, len(cells), num_resamples=num_resamples, seed=seed, groups=speakers
    )
    return {
        metric: {"value": f.value, "low": f.low, "high": f.high}
        for metric, f in zip(METRICS, found, strict=True)
    }


def per_class(confusion: Ints, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute `precision`, `recall`, `f1` and count `n` of each class."""
    sklearn = import_optional("sklearn.metrics")
    targets, predictions = np.indices(confusion.shape).reshape(2, -1)  # each cell is an example with a weight
    columns = sklearn.precision_recall_fscore_support(
        targets, predictions, labels=range(len(labels)), sample_weight=confusion.ravel(), zero_division=0
    )
    return {
        label: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "n": int(n)}
        for label, precision, recall, f1, n in zip(labels, *columns, strict=True)
    }


def per_group(
    targets: Ints, predictions: Ints, groups: Sequence[str], num_classes: int
) -> dict[str, dict[str, float]]:
    """Compute `accuracy`, `macro_recall`, `macro_f1` and count `n` of each group of utterances, in order.

    Groups are such as the utterances of each speaker.
    """
    names = np.asarray(groups)
    result: dict[str, dict[str, float]] = {}
    for group in sorted(set(groups)):
        mine = names == group
        scores = overall_scores(confusion_matrix(targets[mine], predictions[mine], num_classes))
        result[group] = {key: scores[key] for key in GROUP_METRICS} | {"n": int(mine.sum())}
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
    """Compute all scores of metrics.json.

    Where a single speaker is tested, `over` is the recordings: no resample of one speaker differs from another.

    Returns:
        `n`, `metrics` (with intervals), `intervals_over`, `per_class`, `per_speaker`, `confusion`, `labels`.

    Raises:
        ValueError: `over` is not one of `INTERVALS_OVER`.
    """
    if over not in INTERVALS_OVER:
        raise ValueError(f"score: expected intervals over one of {INTERVALS_OVER}, found {over!r}; name one")
    over = over if len(set(speakers)) > 1 else "recordings"
    resampled = speakers if over == "speakers" else None
    confusion = confusion_matrix(targets, predictions, len(labels))
    return {
        "n": len(targets),
        "metrics": with_intervals(targets, predictions, len(labels), speakers=resampled, seed=seed),
        "intervals_over": over,
        "per_class": per_class(confusion, labels),
        "per_speaker": per_group(targets, predictions, speakers, len(labels)),
        "confusion": confusion.tolist(),
        "labels": list(labels),
    }
