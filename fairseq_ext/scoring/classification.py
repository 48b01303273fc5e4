"""The result type `classification`: required keys of metrics.json, the summary over seeds, the main figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .metrics import GROUP_METRICS, per_class
from .seeds import over_seeds

REQUIRED = ("metrics", "confusion", "labels")
# Of classifiers of embeddings.
DETAILS = ("per_group", "calibration", "layers", "choice", "choices")


def summarise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the metrics.json of the seeds of one system and partition.

    Returns:
        `metrics` over seeds; `per_class`, `confusion` and `labels` of all seeds pooled, and `per_speaker` means, unless
        the seeds are in the short form of results.json, without them; `num_speakers`; `intervals_over`, and
        `num_shared_speakers` between training and test; those of `DETAILS` that the first seed has, as it has them.
    """
    speakers = _speakers(seeds)
    return {
        "metrics": {m: over_seeds([row["metrics"][m] for row in seeds]) for m in _shared_metrics(seeds)},
        **(_confusions(seeds) | {"per_speaker": speakers} if "confusion" in seeds[0] else {}),
        "num_speakers": seeds[0].get("num_speakers", len(speakers)),
        "intervals_over": seeds[0].get("intervals_over", "recordings"),
        "num_shared_speakers": seeds[0].get("num_shared_speakers"),
        **{key: seeds[0][key] for key in DETAILS if seeds[0].get(key)},
    }


def _confusions(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    pooled = np.sum([row["confusion"] for row in seeds], axis=0)
    labels = seeds[0]["labels"]
    return {"per_class": per_class(pooled, labels), "confusion": pooled.tolist(), "labels": labels}


def _shared_metrics(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that every seed has; files of an earlier version have fewer."""
    return [m for m in seeds[0]["metrics"] if all(m in row["metrics"] for row in seeds)]


def _speakers(seeds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean over seeds of each speaker's scores."""
    names = sorted({speaker for row in seeds for speaker in row.get("per_speaker", {})})
    result = {}
    for name in names:
        mine = [row["per_speaker"][name] for row in seeds if name in row["per_speaker"]]
        result[name] = {
            key: float(np.mean([m[key] for m in mine]))
            for key in GROUP_METRICS
            if all(key in m for m in mine)
        }
        result[name]["n"] = mine[0]["n"]
    return result


def result_line(result: Mapping[str, Any]) -> str:
    """Format what the terminal shows, such as `accuracy 92.1 %, macro-F1 91.8 % of 120 recordings, 2 unreadable`."""
    unread = f", {result['num_unreadable']} unreadable" if result["num_unreadable"] else ""
    return f"{figures(result)} of {result['n']} recordings{unread}"


def figures(result: Mapping[str, Any]) -> str:
    """Format the main figures of a scored system, such as `accuracy 92.1 %, macro-F1 91.8 %`."""
    accuracy, f1 = (100 * result["metrics"][m]["value"] for m in ("accuracy", "macro_f1"))
    return f"accuracy {accuracy:.1f} %, macro-F1 {f1:.1f} %"
