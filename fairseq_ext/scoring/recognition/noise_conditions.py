"""Conditions of noise that a split is scored in: their names, and what metrics.json holds of them."""

from collections.abc import Mapping
from typing import Any

SOURCE = "babble"
# What is kept of the scores of a condition; those of groups and speakers are of clean sound.
KEPT = ("metrics", "resampled", "counts")
# What metrics.json holds under `noise` of a recogniser that reads pictures alone: it is scored once.
NOT_HEARD: Mapping[str, Any] = {"source": SOURCE, "voices": None, "heard": False, "conditions": []}


def condition_name(snr_db: float) -> str:
    """Return the name of a condition in file names, such as `babble-5dB`."""
    return f"{SOURCE}{snr_db:g}dB"
