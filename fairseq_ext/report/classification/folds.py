"""Pool the folds of a classifier: its predictions over all of them make one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...scoring import calibration, metrics
from ...scoring.groups import per_groups, read_group_file
from ...scoring.predictions import Predictions, joined, read_predictions
from ..result_type import Fold

PREDICTIONS, GROUPS = "predictions.tsv", "groups.tsv"


def read_folds(folders: Iterable[Path]) -> Predictions:
    """Read the predictions of several folds as those of one test set.

    A class that a fold was not trained on has the score -inf there.
    """
    return joined([read_predictions(folder / PREDICTIONS) for folder in folders])


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
    scores = dict(metrics.score(found.targets, predicted, found.speakers, found.labels, over=over))
    return {**scores, **_details(folds, found)}


def _details(folds: Sequence[Fold], found: Predictions) -> dict[str, Any]:
    """Return what classifiers of embeddings have beside their scores, for all folds together; empty without."""
    if not all("calibration" in fold.system for fold in folds):
        return {}
    curves = [fold.system["layers"] for fold in folds]
    shared = [layer for layer in curves[0] if all(layer in curve for curve in curves)]
    return {
        "calibration": calibration.calibration(found.targets, found.scores),
        "per_group": _per_group([fold.scores / GROUPS for fold in folds], found),
        "layers": {layer: sum(curve[layer] for curve in curves) / len(curves) for layer in shared},
        "choices": [fold.system["choice"] for fold in folds],
        "choice": None,
    }


def _per_group(paths: Sequence[Path], found: Predictions) -> dict[str, Any]:
    """Score the groups of all folds together, of the kinds that every fold has."""
    files = [read_group_file(path)[1] if path.is_file() else {} for path in paths]
    kinds = [kind for kind in files[0] if all(kind in of for of in files)]
    names = {kind: [name for of in files for name in of[kind]] for kind in kinds}
    return per_groups(found, names)
