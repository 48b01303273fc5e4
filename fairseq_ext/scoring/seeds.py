"""One figure over several trainings that differ by their seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def over_seeds(values: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Summarises one metric over seeds.

    Args:
        values: `value`, `low`, `high` of each seed.

    Returns:
        `mean`, `min`, `max` over seeds, and the seeds' mean interval bounds `low` and `high`.
    """
    column = {key: [float(v[key]) for v in values] for key in ("value", "low", "high")}
    return {
        **range_of(column["value"]),
        "low": float(np.mean(column["low"])),
        "high": float(np.mean(column["high"])),
    }


def range_of(numbers: Sequence[float]) -> dict[str, float]:
    """Summarises plain numbers over seeds.

    Args:
        numbers: one per seed.

    Returns:
        `mean`, `min` and `max`.
    """
    return {"mean": float(np.mean(numbers)), "min": min(numbers), "max": max(numbers)}


def mean_of(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """The mean of what the rows say, where they say it.

    Args:
        rows: one per seed.
        key: such as `train_s`.

    Returns:
        The mean, or None when no row says it.
    """
    numbers = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(numbers)) if numbers else None
