"""Pool the folds of a classifier: its predictions over all of them make one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...scoring import calibration, metrics
from ...scoring.groups import read_group_file
from ...scoring.predictions import Predictions, read_predictions
from ..result_type import Fold

PREDICTIONS, GROUPS = "predictions.tsv", "groups.tsv"


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
    over = "speakers" if len(set(found.speakers)) > 1 else "recordings"
    scores = metrics.score(found.targets, found.predicted, found.speakers, found.labels, over=over)
    return {**scores, **_of_embeddings(folds, found)}


def _of_embeddings(folds: Sequence[Fold], found: Predictions) -> dict[str, Any]:
    """Return what only classifiers on embeddings have, of all folds together."""
    systems = [fold.system for fold in folds]
    pooled: dict[str, Any] = {}
    if all("calibration" in system for system in systems):
        pooled["calibration"] = calibration.calibration(found.targets, found.scores)
    if all((fold.scores / GROUPS).is_file() for fold in folds):
        pooled["per_group"] = _per_group([fold.scores / GROUPS for fold in folds], found)
    if all("choice" in system for system in systems):
        pooled["choices"] = [system["choice"] for system in systems]
    layers = [system.get("layers") or {} for system in systems]
    if shared := [layer for layer in layers[0] if all(layer in of_fold for of_fold in layers)]:
        pooled["layers"] = {layer: float(np.mean([of[layer] for of in layers])) for layer in shared}
    return pooled


def _per_group(paths: Sequence[Path], found: Predictions) -> dict[str, Any]:
    files = [read_group_file(path) for path in paths]
    kinds = [kind for kind in files[0][1] if all(kind in groups for _, groups in files)]
    names = {
        kind: {key: name for ids, groups in files for key, name in zip(ids, groups[kind], strict=True)}
        for kind in kinds
    }
    return {
        kind: metrics.per_group(
            found.targets, found.predicted, [of[key] for key in found.ids], len(found.labels)
        )
        for kind, of in names.items()
    }
