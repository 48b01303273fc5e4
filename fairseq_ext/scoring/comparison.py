"""Paired comparison of two classifiers on the same utterances.

The difference of macro recall with a bootstrap over speakers, which says whether it would hold for other speakers, and
McNemar's test over utterances (McNemar 1947; exact, as in Dietterich 1998, section 3.1), which takes the utterances of
a speaker for independent and so finds more differences.

Legend: N utterances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from ..text.scoring import Interval, bootstrap_intervals
from .predictions import Predictions, joined, read_predictions
from .scored_system import scores_folder

NUM_RESAMPLES = 2000
# With fewer speakers the resamples are too few different ones for an interval.
LEAST_SPEAKERS = 5


@dataclass(frozen=True)
class Comparison:
    """What the same utterances say about two systems.

    Attributes:
        macro_recall: macro recall of the first and the second.
        difference: that of the second less that of the first, with its 95 % interval.
        p_bootstrap: twice the share of resamples on the far side of 0, at least 1 / resamples.
        over: `speakers` or `recordings`, whichever was resampled.
        only_first: number of utterances that only the first has right.
        only_second: number of utterances that only the second has right.
        p_mcnemar: two-sided probability of so uneven a pair of numbers if both systems are equally good.
        n: number of utterances.
    """

    macro_recall: tuple[float, float]
    difference: Interval
    p_bootstrap: float
    over: str
    only_first: int
    only_second: int
    p_mcnemar: float
    n: int


def compare(
    first: Predictions, second: Predictions, *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Comparison:
    """Compare two systems on the same utterances, in whatever order.

    Raises:
        ValueError: the utterances, or the classes of one, differ.
    """
    second = _in_order_of(first, second)
    right = [p.predicted == p.targets for p in (first, second)]
    drawn: list[float] = []

    def statistics(rows: NDArray[np.int64]) -> list[float]:
        recalls = [
            _macro_recall(p.targets[rows], hit[rows]) for p, hit in zip((first, second), right, strict=True)
        ]
        drawn.append(recalls[1] - recalls[0])
        return [recalls[0], recalls[1], drawn[-1]]

    over = "speakers" if len(set(first.speakers)) >= LEAST_SPEAKERS else "recordings"
    groups = first.speakers if over == "speakers" else None
    found = bootstrap_intervals(
        statistics, len(first.ids), seed=seed, num_resamples=num_resamples, groups=groups
    )
    only_first, only_second = (int((a & ~b).sum()) for a, b in (right, right[::-1]))
    return Comparison(
        macro_recall=(found[0].value, found[1].value),
        difference=found[2],
        p_bootstrap=_p_of(np.array(drawn[:num_resamples])),
        over=over,
        only_first=only_first,
        only_second=only_second,
        p_mcnemar=mcnemar(only_first, only_second),
        n=len(first.ids),
    )


def _macro_recall(targets: NDArray[np.int64], right: NDArray[np.bool_]) -> float:
    counts = np.bincount(targets)
    hits = np.bincount(targets, weights=right)
    return float((hits[counts > 0] / counts[counts > 0]).mean())


def _p_of(differences: NDArray[np.float64]) -> float:
    far = min((differences <= 0).mean(), (differences >= 0).mean())
    return float(min(1.0, max(2 * far, 1 / len(differences))))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact probability under equal chances; 1 where the systems never differ."""
    total = only_first + only_second
    if not total:
        return 1.0
    return float(import_optional("scipy.stats").binomtest(only_first, total, 0.5).pvalue)


def _in_order_of(first: Predictions, second: Predictions) -> Predictions:
    position = {id_: i for i, id_ in enumerate(second.ids)}
    if len(first.ids) != len(second.ids) or set(first.ids) != position.keys():
        common = len(set(first.ids) & position.keys())
        raise ValueError(
            f"the same utterances expected of both systems, found {len(first.ids)} and {len(second.ids)}, {common} of "
            "them in common; score both on the same partition"
        )
    rows = np.array([position[id_] for id_ in first.ids], dtype=np.int64)
    names = [second.labels[target] for target in second.targets[rows]]
    if names != [first.labels[target] for target in first.targets]:
        raise ValueError("the classes of the same utterances differ; score both with the same labels")
    columns = [second.labels.index(label) for label in first.labels]
    targets, speakers = first.targets, tuple(second.speakers[i] for i in rows)
    return Predictions(first.ids, speakers, targets, second.scores[rows][:, columns], first.labels)


def read_system(run: Path, partition: str, system: str, seed: int) -> Predictions:
    """Read the predictions of a system on a partition, or on all folds of a family, which ends in `/`.

    Raises:
        FileNotFoundError: it was not scored there.
        ValueError: two folds test the same utterance.
    """
    pattern = (
        f"{partition}*/{system}/seed{seed}" if partition.endswith("/") else f"{partition}/{system}/seed{seed}"
    )
    paths = sorted(scores_folder(run).glob(f"{pattern}/predictions.tsv"))
    if not paths:
        raise FileNotFoundError(
            f"{scores_folder(run)}/{pattern}: no predictions.tsv there; score the system first, or name another"
        )
    found = joined([read_predictions(path) for path in paths])
    if len(set(found.ids)) < len(found.ids):
        raise ValueError(
            f"{scores_folder(run)}/{pattern}: two of them test the same utterance, so they are no folds; name one"
        )
    return found
