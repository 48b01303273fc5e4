"""What results.json keeps of classifiers; everything else is in the metrics.json of each scored system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...scoring.classification import DETAILS
from ..result_type import ShortForm

_LISTED = ("per_speaker", "per_class")
_OF_SUMMARIES = (*_LISTED, "confusion", "labels", *DETAILS)
_OF_CHOICE = ("layer", "pooling", "parameters")


def _system(system: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the summary of the system, or of all folds, holds."""
    short = {key: value for key, value in system.items() if key not in _OF_SUMMARIES}
    return short | ({"num_speakers": len(system["per_speaker"])} if "per_speaker" in system else {})


def _summary(summary: Mapping[str, Any], is_detailed: bool) -> dict[str, Any]:
    """Leave out speakers and classes that no table lists, and the bins of calibration, which the page draws."""
    short = {key: value for key, value in summary.items() if is_detailed or key not in _LISTED}
    if "calibration" in short:
        short["calibration"] = {"ece": short["calibration"]["ece"]}
    if short.get("choices"):
        short["choices"] = [{key: choice.get(key) for key in _OF_CHOICE} for choice in short["choices"]]
    return short


SHORT_FORM = ShortForm(_system, _summary)
