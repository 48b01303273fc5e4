"""Tuning of the language model's weights on a development set: decode it with many weights, keep the best.

All pairs of alpha and beta are tried with the middle unk_score and prior scale. From the best pair the search climbs
to any better neighbour in the grid of the word's three weights, or to the next prior scale, until there is none. At
its upper ends the grid grows by its last step.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product

from torch import Tensor

from ..text.scoring import ErrorCounts, count_all, total
from .ctc import BeamSearch
from .lm_weights import LmWeights
from .prior import mean_posterior

# ln p of a batch and its valid frames, shapes (B, T, V) and (B,).
Batch = tuple[Tensor, Tensor]
# A point of the grid: positions on the axes of alpha, beta, unk_score and prior scale.
_Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The weights to try; an axis of several values grows beyond the last one while that is the best.

    Attributes:
        alphas: weights of the language model.
        betas: scores per word.
        unk_scores: scores per unknown word, 0 or less.
        prior_scales: powers of the symbols' prior, 0 (off) to 1; the prior is the mean posterior of the development
            set.
        most: limits of the growth of alphas, betas and unk_scores.
    """

    alphas: Sequence[float] = (0.5, 1.0, 1.5, 2.0)
    betas: Sequence[float] = (0.0, 4.0, 8.0, 12.0)
    unk_scores: Sequence[float] = (0.0, -5.0, -10.0, -20.0, -40.0)
    prior_scales: Sequence[float] = (0.0,)
    most: tuple[float, float, float] = (5.0, 30.0, -100.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """The word errors of one choice of weights on the development set."""

    weights: LmWeights
    errors: ErrorCounts


@dataclass(frozen=True, slots=True)
class Tuning:
    """The result of tuning: all trials in the order in which they were made, at least one."""

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial with the fewest errors; of equal ones that with the smallest weights."""
        return min(self.trials, key=_rank)


def _rank(trial: Trial) -> tuple[float, ...]:
    weights = trial.weights
    return trial.errors.errors, weights.alpha, abs(weights.beta), -weights.unk_score, weights.prior_scale


def tune(
    search: BeamSearch,
    batches: Sequence[Batch],
    references: Iterable[str],
    grid: Grid | None = None,
    *,
    on_trial: Callable[[Trial], None] | None = None,
) -> Tuning:
    """Decode a development set with the weights of a grid.

    Args:
        search: beam search with a language model; its weights are not used.
        references: normalised reference texts, in the order of the batches.
        grid: weights to try; None = the defaults of `Grid`.
        on_trial: is told each trial when it is made; how many there will be is not known before.

    Raises:
        ValueError: the search has no language model, the grid is empty, there is no reference word, or the number
            of references differs from that of the hypotheses.
    """
    if search.lexicon is None:
        raise ValueError("tuning: the search has no language model; pass lm= to BeamSearch")
    grid = grid or Grid()
    if not (grid.alphas and grid.betas and grid.unk_scores and grid.prior_scales):
        raise ValueError(f"tuning: a weight has no value to try in {grid}; give one or more of each")
    texts = list(references)
    if not any(text.split() for text in texts):
        raise ValueError("tuning: the references have no words; give the development transcripts")
    unk_scores, priors = sorted(grid.unk_scores, reverse=True), sorted(grid.prior_scales)
    axes = (sorted(grid.alphas), sorted(grid.betas), unk_scores, priors)
    log_prior = tuple(mean_posterior(batches).tolist()) if any(priors) else ()
    trials: dict[_Place, Trial] = {}
    middle = [len(unk_scores) // 2], [len(priors) // 2]
    places: list[_Place] = list(product(range(len(grid.alphas)), range(len(grid.betas)), *middle))
    while places:
        for place in places:
            alpha, beta, unk_score, scale = (axis[i] for axis, i in zip(axes, place, strict=True))
            weights = LmWeights(alpha, beta, unk_score, scale, log_prior if scale else ())
            trials[place] = _trial(search, batches, texts, weights)
            if on_trial is not None:
                on_trial(trials[place])
        best = min(trials, key=lambda place: _rank(trials[place]))
        around: Iterator[_Place] = product(*map(_around, axes[:3], grid.most, best))
        places = [(*place, best[3]) for place in around]
        places += [(*best[:3], scale) for scale in _around(priors, 1.0, best[3])]
        places = [place for place in dict.fromkeys(places) if place not in trials]
    return Tuning(tuple(trials.values()))


def _around(values: list[float], most: float, position: int) -> range:
    """Return a position on an axis and its neighbours; at the end the axis grows, up to the limit."""
    if position == len(values) - 1 and len(values) > 1:
        wider = 2 * values[-1] - values[-2]
        if abs(wider) <= abs(most):
            values.append(wider)
    return range(max(position - 1, 0), min(position + 2, len(values)))


def _trial(search: BeamSearch, batches: Sequence[Batch], references: list[str], weights: LmWeights) -> Trial:
    weighted = search.reweighted(**asdict(weights))
    found = [best[0].text for batch in batches for best in weighted(*batch)]
    return Trial(weights, total(count_all(references, found)))
