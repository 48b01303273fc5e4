"""The mean over the folds of a family: each fold has a network and speakers of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...scoring.pair_kinds import KINDS
from ..partitions import Summary

Metric = Mapping[str, float]
FOLDS_NOTE = (
    "Counts are those of the first fold. Each fold has a network of its own, so scores are not pooled; the interval "
    "of the mean follows from those of the folds, each of other speakers."
)


def mean_of_folds(found: Sequence[Summary]) -> dict[str, Any]:
    """Return the summary of a system's mean over folds, of what the tables show; an entry is None where a fold's is."""
    summary: dict[str, Any] = {
        "seeds": max((s["seeds"] for s in found), key=len),
        "metrics": {name: mean_metric([s["metrics"][name] for s in found]) for name in found[0]["metrics"]},
        "silhouette": _unless_none(_mean, [s["silhouette"] for s in found]),
    }
    if all(s.get("pairs_by") for s in found):
        kinds = {kind: [s["pairs_by"][kind]["eer"] for s in found] for kind in KINDS}
        summary["pairs_by"] = {kind: {"eer": _unless_none(mean_metric, eers)} for kind, eers in kinds.items()}
    return summary


def mean_metric(metrics: Sequence[Metric]) -> dict[str, float]:
    """Return the mean of independent metrics, with `low` and `high` of its interval.

    The bounds are recovered from those of the metrics (MOVER; Zou and Donner, 2008, Statistics in Medicine 27):
    distances to the bounds add up as standard errors do.
    """
    means, lows, highs = (np.array([m[key] for m in metrics]) for key in ("mean", "low", "high"))
    below, above = (float(np.sqrt(((bound - means) ** 2).sum())) / len(means) for bound in (lows, highs))
    middle = _mean(metrics)["mean"]
    return {"mean": middle, "low": middle - below, "high": middle + above}


def _mean(metrics: Sequence[Metric]) -> dict[str, float]:
    return {"mean": float(np.mean([m["mean"] for m in metrics]))}


def _unless_none(
    combine: Callable[[Sequence[Metric]], dict[str, float]], metrics: Sequence[Metric | None]
) -> dict[str, float] | None:
    known = [m for m in metrics if m is not None]
    return combine(known) if len(known) == len(metrics) else None
