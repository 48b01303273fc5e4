"""Pool the folds of a classifier: its predictions over all of them make one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...scoring import metrics
from ...scoring.predictions import Predictions, read_predictions
from ..result_type import Fold

PREDICTIONS = "predictions.tsv"


def read_folds(folders: Iterable[Path]) -> Predictions:
    """Read the predictions of several folds as those of one test set.

    A class that a fold was not trained on has the score -inf there.
    """
    folds = [read_predictions(folder / PREDICTIONS) for folder in folders]
    if len(folds) == 1:
        return folds[0]
    labels = tuple(dict.fromkeys(label for fold in folds for label in fold.labels))
    columns = [[labels.index(label) for label in fold.labels] for fold in folds]
    scores = [np.full((len(fold.ids), len(labels)), -np.inf, np.float32) for fold in folds]
    for all_classes, known, fold in zip(scores, columns, folds, strict=True):
        all_classes[:, known] = fold.scores
    return Predictions(
        ids=tuple(name for fold in folds for name in fold.ids),
        speakers=tuple(name for fold in folds for name in fold.speakers),
        targets=np.concatenate([np.array(c)[fold.targets] for c, fold in zip(columns, folds, strict=True)]),
        scores=np.concatenate(scores),
        labels=labels,
    )


def pool(folds: Sequence[Fold]) -> dict[str, Any] | None:
    """Score the predictions of all folds together, with intervals over speakers, as `metrics.score` does.

    None where predictions are missing, or two folds test the same utterance and are no folds.
    """
    folders = [fold.scores for fold in folds]
    if not all((folder / PREDICTIONS).is_file() for folder in folders):
        return None
    found = read_folds(folders)
    if len(set(found.ids)) < len(found.ids):
        return None
    predicted = found.scores.argmax(axis=1)
    over = "speakers" if len(set(found.speakers)) > 1 else "recordings"
    return dict(metrics.score(found.targets, predicted, found.speakers, found.labels, over=over))
