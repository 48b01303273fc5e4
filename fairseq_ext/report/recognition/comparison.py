"""Compare two recognisers under one partition: is the difference larger than what speakers and seeds make?

Both were scored on the same utterances, so the difference is resampled as a pair, speaker by speaker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...scoring.recognition.scores import MIN_SPEAKERS, speaker_errors
from ...text.scoring import bootstrap_interval
from ..partitions import Results
from ..result_type import System
from .systems import recognised, speaker_sums, tested


@dataclass(frozen=True)
class Comparison:
    """The first system against the second, over the seeds that both have.

    Attributes:
        wers: word error rates of both, mean over the seeds, as fractions.
        interval: 95 % interval of the first minus the second, as fractions; None with too few speakers.
        num_better: number of seeds for which the first has fewer errors.
        updates: numbers of updates that each was trained for; several where seeds differ.
    """

    partition: str
    decoder: str
    first: str
    second: str
    wers: tuple[float, float]
    interval: tuple[float, float] | None
    seeds: tuple[int, ...]
    num_better: int
    updates: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def difference(self) -> float:
        """WER of the first minus that of the second; below 0 the first is better."""
        return self.wers[0] - self.wers[1]

    @property
    def is_equal_training(self) -> bool:
        """Whether both are known to have been trained for equally many updates."""
        return bool(self.updates[0]) and self.updates[0] == self.updates[1]


def pairs(results: Results) -> list[tuple[str, str]]:
    """Return the pairs of systems that the recipe compares, from `about.compare`.

    Raises:
        ValueError: an entry is no pair.
    """
    found = []
    for entry in results["about"].get("compare", []):
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise ValueError(
                f"about.compare: expected pairs of systems, found {entry!r}; correct report.json"
            )
        found.append((str(entry[0]), str(entry[1])))
    return found


def compare(results: Results, first: str, second: str) -> list[Comparison]:
    """Compare two systems under every partition and decoder that both have.

    Raises:
        ValueError: they were not scored on the same words.
    """
    summaries = {(s["partition"], s["system"]): s for s in recognised(results)}
    found = []
    for partition in dict.fromkeys(partition for partition, _ in summaries):
        both = [summaries[partition, name] for name in (first, second) if (partition, name) in summaries]
        if len(both) < 2:
            continue
        mine, other = (tested(results, summary) for summary in both)
        shared = sorted(mine.keys() & other.keys())
        every = [s for seed in shared for s in (*mine[seed], *other[seed])]
        updates = (tuple(both[0]["num_updates"]), tuple(both[1]["num_updates"]))
        for decoder in every[0]["decoders"] if every else ():
            if all(decoder in s["decoders"] for s in every):
                errors, words = _errors([(mine[seed], other[seed]) for seed in shared], decoder)
                names = (first, second)
                found.append(_comparison(partition, decoder, names, shared, errors, words, updates))
    return found


def _errors(
    seeds: Sequence[tuple[Sequence[System], Sequence[System]]], decoder: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return word errors, (seeds, 2 systems, speakers), and words, (speakers,)."""
    errors = []
    words: NDArray[np.int64] | None = None
    for pair in seeds:
        sums = [{"per_speaker": speaker_sums(folds, decoder)} for folds in pair]
        found = [speaker_errors({"decoders": {decoder: of_system}}, decoder) for of_system in sums]
        for (system, *_), (names, numbers) in zip(pair, found, strict=True):
            words = numbers[:, 1] if words is None else words
            if names != found[0][0] or not np.array_equal(numbers[:, 1], words):
                raise ValueError(
                    f"{system['partition']}/{system['system']} seed {system['seed']}: was not tested on the same words "
                    "as the other system; score both on one split, or take the pair out of about.compare"
                )
        errors.append([numbers[:, 0] for _, numbers in found])
    assert words is not None
    return np.array(errors), words


def _comparison(
    partition: str,
    decoder: str,
    names: tuple[str, str],
    seeds: list[int],
    errors: NDArray[np.int64],
    words: NDArray[np.int64],
    updates: tuple[tuple[int, ...], tuple[int, ...]],
) -> Comparison:
    per_seed = errors.sum(axis=2)  # (seeds, 2)
    rates = per_seed.mean(axis=0) / words.sum()
    gap = (errors[:, 0] - errors[:, 1]).mean(axis=0)  # (speakers,)

    def difference(speakers: NDArray[np.int64]) -> float:
        return float(gap[speakers].sum() / words[speakers].sum())

    interval = None
    if len(words) >= MIN_SPEAKERS:
        drawn = bootstrap_interval(difference, len(words), seed=0)
        interval = (drawn.low, drawn.high)
    better = int((per_seed[:, 0] < per_seed[:, 1]).sum())
    wers = (float(rates[0]), float(rates[1]))
    return Comparison(partition, decoder, *names, wers, interval, tuple(seeds), better, updates)
