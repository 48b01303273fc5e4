"""Choice of the language model's weights on a development set: decode it with many, keep the best.

All pairs of alpha and beta are tried with a middling price of unknown words. From the best one the search climbs: to
any better neighbour in the grid of all three, until there is none. At the upper ends the grid grows by its last step.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product

from torch import Tensor

from ..text.scoring import ErrorCounts, count_all, total
from .ctc import BeamSearch
from .lm_weights import LmWeights

# ln p of a batch and its valid frames, shapes (B, T, V) and (B,).
Batch = tuple[Tensor, Tensor]
# A place in the grid: positions on the axes of alpha, beta and unk_score.
_Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Weights to try; an axis grows beyond its last value while that is best, if it has more than one.

    Attributes:
        alphas: weights of the language model.
        betas: rewards per word.
        unk_scores: additions per unknown word, 0 or less.
        most: where alphas, betas and unk_scores stop to grow.
    """

    alphas: Sequence[float] = (0.5, 1.0, 1.5, 2.0)
    betas: Sequence[float] = (0.0, 4.0, 8.0, 12.0)
    unk_scores: Sequence[float] = (0.0, -5.0, -10.0, -20.0, -40.0)
    most: tuple[float, float, float] = (5.0, 30.0, -100.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """Weights on the development set.

    Attributes:
        weights: the weights.
        errors: of the words.
    """

    weights: LmWeights
    errors: ErrorCounts


@dataclass(frozen=True, slots=True)
class Tuning:
    """All trials, in the order in which they were made.

    Attributes:
        trials: at least one.
    """

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The fewest errors; of equals the smallest weights, which lean least on the development set."""
        return min(self.trials, key=_rank)


def _rank(trial: Trial) -> tuple[float, ...]:
    weights = trial.weights
    return trial.errors.errors, weights.alpha, abs(weights.beta), -weights.unk_score


def tune(
    search: BeamSearch, batches: Sequence[Batch], references: Iterable[str], grid: Grid | None = None
) -> Tuning:
    """Decodes a development set with weights of a grid, see above.

    Args:
        search: with a language model; its own weights do not matter.
        batches: the development set's log-probabilities.
        references: its texts, row after row of the batches, normalised as hypotheses are to be scored.
        grid: weights to try; None = the usual ones.

    Returns:
        All trials.

    Raises:
        ValueError: for a search without a language model, an empty grid, no reference word, or another number of
            references.
    """
    if search.lexicon is None:
        raise ValueError("tuning: a search with a language model expected, found none; pass lm=")
    grid = grid or Grid()
    if not (grid.alphas and grid.betas and grid.unk_scores):
        raise ValueError(f"tuning: a value of each weight expected, found {grid}; give a grid")
    texts = list(references)
    if not any(text.split() for text in texts):
        raise ValueError("tuning: reference words expected, found none; give the development transcripts")
    axes = (sorted(grid.alphas), sorted(grid.betas), sorted(grid.unk_scores, reverse=True))
    trials: dict[_Place, Trial] = {}
    places: list[_Place] = list(
        product(range(len(grid.alphas)), range(len(grid.betas)), [len(grid.unk_scores) // 2])
    )
    while places:
        for place in places:
            weights = LmWeights(*(axis[i] for axis, i in zip(axes, place, strict=True)))
            trials[place] = _trial(search, batches, texts, weights)
        best = min(trials, key=lambda place: _rank(trials[place]))
        around: Iterator[_Place] = product(*map(_around, axes, grid.most, best))
        places = [place for place in around if place not in trials]
    return Tuning(tuple(trials.values()))


def _around(values: list[float], most: float, position: int) -> range:
    """A position on an axis and its neighbours; at the end a new one is made, short of the limit."""
    if position == len(values) - 1 and len(values) > 1:
        wider = 2 * values[-1] - values[-2]
        if abs(wider) <= abs(most):
            values.append(wider)
    return range(max(position - 1, 0), min(position + 2, len(values)))


def _trial(search: BeamSearch, batches: Sequence[Batch], references: list[str], weights: LmWeights) -> Trial:
    weighted = search.reweighted(**asdict(weights))
    found = [best[0].text for batch in batches for best in weighted(*batch)]
    return Trial(weights, total(count_all(references, found)))
