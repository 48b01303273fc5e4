"""Pool the folds of a classifier: its predictions over all of them make one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...scoring import calibration, metrics
from ...scoring.groups import GROUPS_FILE, per_groups, read_group_file
from ...scoring.predictions import Predictions, joined, read_predictions
from ..result_type import Fold

PREDICTIONS = "predictions.tsv"


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
    scores = dict(metrics.score(found.targets, predicted, found.speakers, found.labels, over="speakers"))
    return {**scores, **_details(folds, found)}


def _details(folds: Sequence[Fold], found: Predictions) -> dict[str, Any]:
    """Return what every fold has beside its scores, such as the calibration, for all folds together."""
    shared = set(folds[0].system).intersection(*(fold.system for fold in folds))
    details: dict[str, Any] = {}
    if "calibration" in shared:
        details["calibration"] = calibration.calibration(found.targets, found.scores)
    if "per_group" in shared:
        details["per_group"] = _per_group([fold.scores / GROUPS_FILE for fold in folds], found)
    if "layers" in shared:
        details["layers"] = _mean_curve([fold.system["layers"] for fold in folds])
    if "choice" in shared:
        details |= {"choices": [fold.system["choice"] for fold in folds], "choice": None}
    return details


def _mean_curve(curves: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over the folds of each layer that every fold has."""
    layers = [layer for layer in curves[0] if all(layer in curve for curve in curves)]
    return {layer: sum(curve[layer] for curve in curves) / len(curves) for layer in layers}


def _per_group(paths: Sequence[Path], found: Predictions) -> dict[str, Any]:
    """Score the groups of all folds together, of the kinds that every fold has."""
    files = [read_group_file(path)[1] if path.is_file() else {} for path in paths]
    kinds = [kind for kind in files[0] if all(kind in of for of in files)]
    names = {kind: [name for of in files for name in of[kind]] for kind in kinds}
    return per_groups(found, names)
