"""Means and ranges over trainings that differ only in their seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def over_seeds(values: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Summarise one metric over seeds, each with `value`, `low` and `high`.

    Returns:
        `mean`, `min` and `max` of the values, and the mean of the interval bounds `low` and `high`.
    """
    column = {key: [float(v[key]) for v in values] for key in ("value", "low", "high")}
    return {
        **range_of(column["value"]),
        "low": float(np.mean(column["low"])),
        "high": float(np.mean(column["high"])),
    }


def range_of(numbers: Sequence[float]) -> dict[str, float]:
    """Return `mean`, `min` and `max` of a number per seed."""
    return {"mean": float(np.mean(numbers)), "min": min(numbers), "max": max(numbers)}


def mean_of(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the mean of an entry of metrics.json over the seeds that have it; None when no seed has."""
    numbers = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(numbers)) if numbers else None
