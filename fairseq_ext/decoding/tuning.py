"""Choice of the language model's weights on a development set: decode it with every pair, keep the best.

While the best pair lies at an upper end of the grid, the grid grows by its last step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from ..text.scoring import ErrorCounts, count_all, total
from .ctc import BeamSearch

# ln p of a batch and its valid frames, shapes (B, T, V) and (B,).
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Trial:
    """One pair of weights on the development set.

    Attributes:
        alpha: weight of ln p of the language model.
        beta: reward per word.
        errors: of the words.
    """

    alpha: float
    beta: float
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
        return min(self.trials, key=lambda trial: (trial.errors.errors, trial.alpha, abs(trial.beta)))


def tune(
    search: BeamSearch,
    batches: Sequence[Batch],
    references: Iterable[str],
    *,
    alphas: Sequence[float],
    betas: Sequence[float],
    most: tuple[float, float] = (5.0, 30.0),
) -> Tuning:
    """Decodes a development set with every pair of weights, and with larger ones while those are best.

    Args:
        search: with a language model; its own alpha and beta do not matter.
        batches: the development set's log-probabilities.
        references: its texts, row after row of the batches, normalised as hypotheses are to be scored.
        alphas: weights of the language model to try.
        betas: rewards per word to try.
        most: where alphas and betas stop to grow; those with one value do not grow.

    Returns:
        All trials.

    Raises:
        ValueError: for a search without a language model, an empty grid, no reference word, or another number of
            references.
    """
    if search.lexicon is None:
        raise ValueError("tuning: a search with a language model expected, found none; pass lm=")
    if not alphas or not betas:
        raise ValueError(
            f"tuning: values of alpha and beta expected, found {list(alphas)} and {list(betas)}; give a grid"
        )
    texts = list(references)
    if not any(text.split() for text in texts):
        raise ValueError("tuning: reference words expected, found none; give the development transcripts")
    wider_alphas, wider_betas, trials = sorted(alphas), sorted(betas), dict[tuple[float, float], Trial]()
    has_grown = True
    while has_grown:
        for pair in product(wider_alphas, wider_betas):
            if pair not in trials:
                trials[pair] = _trial(search, batches, texts, *pair)
        best = Tuning(tuple(trials.values())).best
        grown = [_grow(wider_alphas, best.alpha, most[0]), _grow(wider_betas, best.beta, most[1])]
        has_grown = any(grown)
    return Tuning(tuple(trials.values()))


def _grow(axis: list[float], best: float, most: float) -> bool:
    """Adds a value to an axis whose last one is the best; tells whether it did."""
    if len(axis) < 2 or best < axis[-1] or 2 * axis[-1] - axis[-2] > most:
        return False
    axis.append(2 * axis[-1] - axis[-2])
    return True


def _trial(
    search: BeamSearch, batches: Sequence[Batch], references: list[str], alpha: float, beta: float
) -> Trial:
    weighted = search.reweighted(alpha=alpha, beta=beta)
    found = [best[0].text for batch in batches for best in weighted(*batch)]
    return Trial(alpha, beta, total(count_all(references, found)))
