"""Do two recordings share a label, such as the speaker? Error rates of the decision by their similarity.

A trial is a pair of recordings; a target is one that shares the label. Trials are given by a rule, so that anybody can
list them again: all pairs of different recordings, or numbers of targets and others drawn with a seed. For a label that
is not the speaker, pairs of one speaker are left out: they are alike for another reason.

Shapes: N recordings, D width of the embedding, T trials, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional

Names = Sequence[Any] | NDArray[Any]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

# Of validation while a network trains: all pairs of more would take seconds.
MOST_IN_VALIDATION = 4000


@dataclass(frozen=True)
class Trials:
    """Pairs of recordings.

    Attributes:
        first: positions of the first recordings, (T,).
        second: positions of the second ones, (T,).
        targets: whether they share the label, (T,).
        rule: the rule in words and numbers.
        num_same_speaker: pairs of one speaker that were left out, since the label is another.
    """

    first: Ints
    second: Ints
    targets: NDArray[np.bool_]
    rule: Mapping[str, Any]
    num_same_speaker: int = 0

    def __len__(self) -> int:
        return len(self.first)


def all_pairs(labels: Names, speakers: Names, *, across_speakers: bool) -> Trials:
    """Return all pairs of different recordings; with `across_speakers`, of different speakers.

    Raises:
        ValueError: there are no targets, or nothing else.
    """
    first, second = np.triu_indices(len(labels), 1)
    names, voices = _numbers(labels), _numbers(speakers)
    num_same = 0
    if across_speakers:
        kept = voices[first] != voices[second]
        num_same = int((~kept).sum())
        first, second = first[kept], second[kept]
    rule = {"pairs": "all", "across_speakers": across_speakers}
    return _checked(Trials(first, second, names[first] == names[second], rule, num_same))


def drawn_pairs(labels: Names, speakers: Names, count: int, seed: int, *, across_speakers: bool) -> Trials:
    """Draw `count` targets and as many others, without repetition; all, where there are fewer.

    Raises:
        ValueError: there are no targets, or nothing else.
    """
    every = all_pairs(labels, speakers, across_speakers=across_speakers)
    rng = np.random.default_rng(seed)
    chosen = []
    for kind in (True, False):
        places = np.flatnonzero(every.targets == kind)
        chosen.append(np.sort(rng.permutation(places)[:count]))
    rows = np.sort(np.concatenate(chosen))
    rule = {"pairs": "drawn", "count": count, "seed": seed, "across_speakers": across_speakers}
    return Trials(every.first[rows], every.second[rows], every.targets[rows], rule, every.num_same_speaker)


def _checked(trials: Trials) -> Trials:
    if not trials.targets.any() or trials.targets.all():
        what = "others" if len(trials) and trials.targets.all() else "targets"
        raise ValueError(
            f"verification: pairs that share the label and pairs that do not expected, found no {what} among "
            f"{len(trials)} trials; score recordings of two classes or more, with two recordings each (of different "
            "speakers, for a label other than speaker)"
        )
    return trials


def cosines(embedding: Floats, trials: Trials) -> Floats:
    """Return the cosine of each trial, (T,)."""
    unit = normalized(embedding)
    # In pieces: all products of the vectors would take T x D numbers.
    found = np.empty(len(trials), dtype=np.float64)
    for start in range(0, len(trials), 1 << 16):
        part = slice(start, start + (1 << 16))
        found[part] = (unit[trials.first[part]] * unit[trials.second[part]]).sum(1)
    return found


def normalized(embedding: Floats) -> Floats:
    """Return vectors (N, D) brought to norm 1; a vector of zeros stays."""
    vectors = np.asarray(embedding, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.where(norms > 0, norms, 1.0)
    return unit


@dataclass(frozen=True)
class Errors:
    """Rates of both errors at every threshold, the strictest first.

    Attributes:
        false_alarm: share of the others that are accepted, rising from 0 to 1.
        miss: share of the targets that are refused, falling from 1 to 0.
    """

    false_alarm: Floats
    miss: Floats

    def eer(self) -> float:
        """Return the rate at which both errors are equal, on the line between the two nearest thresholds."""
        difference = self.false_alarm - self.miss  # rises from -1 to 1
        after = int(np.searchsorted(difference, 0.0))
        before = max(after - 1, 0)
        step = difference[after] - difference[before]
        share = -difference[before] / step if step > 0 else 0.0
        return float(self.false_alarm[before] + share * (self.false_alarm[after] - self.false_alarm[before]))

    def min_dcf(self, p_target: float) -> float:
        """Return the least cost of detection with costs 1, divided by that of the better blind decision.

        NIST 2016 Speaker Recognition Evaluation Plan, section 3.1.
        """
        cost = p_target * self.miss + (1 - p_target) * self.false_alarm
        return float(cost.min() / min(p_target, 1 - p_target))

    def thinned(self, count: int = 200) -> list[tuple[float, float]]:
        """Return about `count` points (false alarm, miss), evenly along both axes of a DET curve."""
        places: set[int] = set()
        grid = np.concatenate([np.geomspace(1e-4, 0.5, count // 4), 1 - np.geomspace(1e-4, 0.5, count // 4)])
        for rate, rising in ((self.false_alarm, True), (self.miss, False)):
            ordered = rate if rising else -rate
            places |= set(np.searchsorted(ordered, grid if rising else -grid).clip(0, len(rate) - 1).tolist())
        return [(float(self.false_alarm[i]), float(self.miss[i])) for i in sorted(places)]


class Ranking:
    """Trials by falling score, from which errors follow for any weights of the trials: sorted once.

    Args:
        scores: similarity of each trial, (T,).
        targets: (T,).
    """

    def __init__(self, scores: Floats, targets: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.targets = targets[self.order]
        falling = scores[self.order]
        # Trials of equal score are accepted together: only the last of them is a threshold.
        self._last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))

    def errors(self) -> Errors:
        """Return the error rates at every threshold."""
        counts = [np.cumsum(self.targets == kind)[self._last] for kind in (False, True)]
        return error_rates(counts[0], counts[1])

    def bins(self, count: int) -> Ints:
        """Return the bin of each trial in its own order, (T,), by falling score.

        Half of the borders divide the targets evenly, half the others, so that both error rates are known to a part in
        `count` / 2. Trials of equal score stay together.
        """
        steps = []
        for kind in (False, True):
            passed = np.cumsum(self.targets == kind)
            steps.append(passed * (count // 2) // max(passed[-1], 1))
        step = np.maximum.accumulate(steps[0] + steps[1])
        # A bin ends at a threshold only.
        position = np.searchsorted(self._last, np.arange(len(self.order)))
        found = np.empty(len(self.order), dtype=np.int64)
        found[self.order] = np.unique(step[self._last[position]], return_inverse=True)[1]
        return found


def error_rates(others: Floats | Ints, targets: Floats | Ints) -> Errors:
    """Return error rates from the others and the targets accepted up to each threshold; the last accepts all."""
    false_alarm = np.concatenate([[0.0], others / others[-1]])
    return Errors(false_alarm, 1.0 - np.concatenate([[0.0], targets / targets[-1]]))


def recall_at(
    embedding: Floats,
    labels: Names,
    speakers: Names,
    ranks: Sequence[int],
    *,
    across_speakers: bool,
) -> tuple[dict[int, Floats], NDArray[np.bool_]]:
    """Return rank k -> whether a recording of the same label is among the k nearest others, (N,) of 0 and 1.

    Also whether a recording counts: another of its label exists, with `across_speakers` of another speaker. Then the
    recordings of its own speaker are left out of its neighbours.
    """
    unit, names, voices = normalized(embedding), _numbers(labels), _numbers(speakers)
    hits = {rank: np.zeros(len(unit)) for rank in ranks}
    counts = np.zeros(len(unit), dtype=bool)
    for start in range(0, len(unit), 512):
        rows = np.arange(start, min(start + 512, len(unit)))
        similar = unit[rows] @ unit.T
        similar[np.arange(len(rows)), rows] = -np.inf
        if across_speakers:
            similar[voices[rows][:, None] == voices[None, :]] = -np.inf
        same = names[rows][:, None] == names[None, :]
        counts[rows] = (same & np.isfinite(similar)).any(1)
        order = np.argsort(-similar, axis=1, kind="stable")[:, : max(ranks)]
        found = np.take_along_axis(same & np.isfinite(similar), order, 1)
        for rank in ranks:
            hits[rank][rows] = found[:, :rank].any(1)
    return {rank: values[counts] for rank, values in hits.items()}, counts


def nearest_centroid(
    embedding: Floats, labels: Names, speakers: Names, *, across_speakers: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return whether the nearest centroid of a class is the own one, (N,) of 0 and 1, and whether a recording counts.

    The own class's centroid is made without the recording itself, with `across_speakers` without its whole speaker; a
    recording counts where that leaves something.
    """
    unit, names, voices = normalized(embedding), _numbers(labels), _numbers(speakers)
    sums = np.stack([unit[names == number].sum(0) for number in range(names.max() + 1)])
    hits, counts = np.zeros(len(unit)), np.zeros(len(unit), dtype=bool)
    for i in range(len(unit)):
        mine = (voices == voices[i]) & (names == names[i]) if across_speakers else np.arange(len(unit)) == i
        counts[i] = (names[~mine] == names[i]).any()
        centroids = sums.copy()
        centroids[names[i]] -= unit[mine].sum(0)
        hits[i] = normalized(centroids).dot(unit[i]).argmax() == names[i]
    return hits[counts], counts


def silhouette(embedding: Floats, labels: Names) -> float:
    """Return the mean silhouette by cosine distance, -1 to 1 (Rousseeuw 1987); NaN where labels make no clusters."""
    names = _numbers(labels)
    if not 2 <= len(np.unique(names)) < len(names):
        return float("nan")
    measure = import_optional("sklearn.metrics").silhouette_score
    return float(measure(normalized(embedding), names, metric="cosine"))


def retrieval(
    embedding: Floats, labels: Ints, speakers: Ints, *, is_speaker: bool, seed: int = 0
) -> dict[str, float]:
    """Return what validation shows of embeddings: `eer`, `recall_1`, `silhouette`, by the label and by the speaker.

    Those by the speaker end in `_speaker`, and are left out where the label is the speaker. Otherwise only recordings
    of two speakers are compared by the label. What cannot be computed, such as the EER where each class has one
    speaker, is the worst there is: EER 1, recall 0, silhouette -1. Of many recordings some are drawn.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(embedding))[:MOST_IN_VALIDATION])
    embedding, labels, speakers = embedding[rows], labels[rows], speakers[rows]
    kinds = {"": (labels, not is_speaker)}
    if not is_speaker:
        kinds["_speaker"] = (speakers, False)
    found: dict[str, float] = {}
    for ending, (names, across) in kinds.items():
        try:
            trials = all_pairs(names, speakers, across_speakers=across)
            eer = Ranking(cosines(embedding, trials), trials.targets).errors().eer()
        except ValueError:
            eer = 1.0
        hits, _ = recall_at(embedding, names, speakers, (1,), across_speakers=across)
        shape = silhouette(embedding, names)
        found[f"eer{ending}"] = eer
        found[f"recall_1{ending}"] = float(hits[1].mean()) if len(hits[1]) else 0.0
        found[f"silhouette{ending}"] = -1.0 if np.isnan(shape) else shape
    return found


def _numbers(names: Names) -> Ints:
    found: Ints = np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)
    return found
