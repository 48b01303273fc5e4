"""Verification of pairs that share something else, such as the sentence, and of those that do not.

An embedding of a voice should not know the words: then both kinds of pairs have the same error rate. One that does
finds pairs of one sentence alike whoever says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import verification
from .groups import UNKNOWN
from .seeds import over_seeds
from .verification import Floats, Ranking, Trials
from .verification_intervals import draws, of_pairs

SAME, OTHER = KINDS = ("same", "other")


def by_kind(
    embedding: Floats, trials: Trials, names: Sequence[str], speakers: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return `metrics` (value, low, high), `num_targets` and `num_others` of the pairs of each kind.

    Args:
        embedding: (N, D).
        trials: pairs of its rows.
        names: what a pair may share, (N,); pairs of which one is unknown are left out, `num_unknown`.
        speakers: speakers, (N,), which the bootstrap draws.
        seed: seed of the bootstrap.

    Returns:
        The figures of both kinds; `metrics` is None where a kind has no targets or no others.
    """
    numbers = np.unique(np.asarray(names), return_inverse=True)[1]
    known = np.array([name != UNKNOWN for name in names])
    is_known = known[trials.first] & known[trials.second]
    is_same = numbers[trials.first] == numbers[trials.second]
    voices = np.unique(np.asarray(speakers), return_inverse=True)[1]
    drawn, scores = draws(voices, seed), verification.cosines(embedding, trials)
    found: dict[str, Any] = {"num_unknown": int((~is_known).sum())}
    for kind, chosen in ((SAME, is_known & is_same), (OTHER, is_known & ~is_same)):
        part = replace(
            trials, first=trials.first[chosen], second=trials.second[chosen], targets=trials.targets[chosen]
        )
        counts = {"num_targets": int(part.targets.sum()), "num_others": int((~part.targets).sum())}
        metrics = (
            of_pairs(Ranking(scores[chosen], part.targets), part, voices, drawn)
            if all(counts.values())
            else None
        )
        found[kind] = {**counts, "metrics": metrics}
    return found


def summarise_kinds(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the kinds over the seeds of one system and partition."""
    found: dict[str, Any] = {key: seeds[0][key] for key in ("stream", "num_unknown")}
    for kind in KINDS:
        metrics = [row[kind]["metrics"] for row in seeds]
        eer = None if None in metrics else over_seeds([values["eer"] for values in metrics])
        found[kind] = {**{key: seeds[0][kind][key] for key in ("num_targets", "num_others")}, "eer": eer}
    return found


def kinds_line(found: Mapping[str, Any]) -> str:
    """Format both kinds, such as `same sentence EER 3.1 % [2.0, 4.4] (60 targets, 300 others), other sentence ...`."""
    parts = []
    for kind in KINDS:
        counts = f"({found[kind]['num_targets']} targets, {found[kind]['num_others']} others)"
        eer = (found[kind]["metrics"] or {}).get("eer")
        rate = "no EER"
        if eer:
            rate = f"EER {100 * eer['value']:.1f} % [{100 * eer['low']:.1f}, {100 * eer['high']:.1f}]"
        parts.append(f"{kind} {found['stream']} {rate} {counts}")
    unknown = (
        f", {found['num_unknown']} pairs with an unknown {found['stream']}" if found["num_unknown"] else ""
    )
    return ", ".join(parts) + unknown
