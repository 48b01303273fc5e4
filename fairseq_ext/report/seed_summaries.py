"""Summaries over seeds, one for each partition and system, whatever their result type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..scoring.scored_system import result_type_of
from ..scoring.seeds import mean_of
from .registry import RESULT_TYPES


def summarise(systems: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarise the seeds of each partition and system, in that order.

    Raises:
        ValueError: seeds of a system differ in their result type.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for system in systems:
        groups.setdefault((system["partition"], system["system"]), []).append(system)
    return [_summary(partition, name, groups[partition, name]) for partition, name in sorted(groups)]


def _summary(partition: str, name: str, seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    result_types = sorted({result_type_of(system) for system in seeds})
    if len(result_types) > 1:
        raise ValueError(
            f"{partition}/{name}: the seeds are results of several types, {result_types}; score one of them under "
            "another name"
        )
    return {
        "partition": partition,
        "system": name,
        "kind": result_types[0],
        "seeds": [system["seed"] for system in seeds],
        "n": seeds[0]["n"],
        "config_hashes": sorted({system["config_hash"] for system in seeds}),
        "num_parameters": seeds[0].get("num_parameters"),
        "train_s": mean_of(seeds, "train_s"),
        **RESULT_TYPES[result_types[0]].summarise(seeds),
    }
