"""Word and character error rates as raw counts, per group, with bootstrap intervals.

Normalise both sides first, with the same rules. Counts can be summed, rates cannot, so sums over utterances are sums of
`ErrorCounts`.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Item indices drawn at once, 8 bytes each.
_MAX_DRAWN = 1_000_000

# One column of an alignment: (reference token, hypothesis token); None where the other side has an extra token.
Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The numbers of tokens that were edited from references to hypotheses; `a + b` adds them.

    Attributes:
        substitutions: substituted tokens.
        insertions: tokens that only the hypothesis has.
        deletions: tokens that only the reference has.
        num_reference: tokens in the reference.
    """

    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0
    num_reference: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.num_reference + other.num_reference,
        )

    @property
    def errors(self) -> int:
        """Sum of substitutions, insertions and deletions: the edit distance."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per reference token, which may exceed 1; NaN without reference tokens."""
        return self.errors / self.num_reference if self.num_reference else float("nan")


def words(text: str) -> list[str]:
    """Split a normalised text into words."""
    return text.split()


def characters(text: str) -> list[str]:
    """Split a normalised text into characters, with single spaces between words."""
    return list(" ".join(text.split()))


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Align two token sequences with the fewest edits: pairs in order, with None for an insertion or a deletion.

    Of several such alignments the one is taken that, from the end, prefers matches and substitutions to deletions, and
    deletions to insertions; the number of errors is the same. Time and memory grow with the product of the lengths.
    """
    cost = _edit_table(reference, hypothesis)
    pairs: list[Pair] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((reference[i], hypothesis[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((reference[i], None))
        else:
            j -= 1
            pairs.append((None, hypothesis[j]))
    return pairs[::-1]


def _edit_table(reference: Sequence[str], hypothesis: Sequence[str]) -> NDArray[np.int32]:
    """Return edit distances of all pairs of prefixes, (len(reference) + 1, len(hypothesis) + 1).

    Each row is computed at once. Within it, d[j] = min over k <= j of (best without insertion at k) + (j - k),
    which is a running minimum after subtracting j.
    """
    ids: dict[str, int] = {}
    ref = [ids.setdefault(token, len(ids)) for token in reference]
    hyp = np.array([ids.setdefault(token, len(ids)) for token in hypothesis], dtype=np.int64)
    columns = np.arange(len(hyp) + 1, dtype=np.int32)
    table = np.empty((len(ref) + 1, len(hyp) + 1), dtype=np.int32)
    table[0] = columns
    for i, token in enumerate(ref, 1):
        row = table[i - 1] + 1
        np.minimum(row[1:], table[i - 1, :-1] + (hyp != token), out=row[1:])
        table[i] = np.minimum.accumulate(row - columns) + columns
    return table


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Count the edits from the tokens of a reference, such as `words(text)`, to a hypothesis, aligned by `align`."""
    pairs = align(reference, hypothesis)
    return ErrorCounts(
        substitutions=sum(r is not None and h is not None and r != h for r, h in pairs),
        insertions=sum(r is None for r, _ in pairs),
        deletions=sum(h is None for _, h in pairs),
        num_reference=len(reference),
    )


def count_all(
    references: Iterable[str], hypotheses: Iterable[str], split: Callable[[str], list[str]] = words
) -> list[ErrorCounts]:
    """Count the errors of every utterance, split by `words` or `characters`.

    Raises:
        ValueError: the numbers of references and hypotheses differ.
    """
    return [count_errors(split(r), split(h)) for r, h in zip(references, hypotheses, strict=True)]


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Return the sum of counts, whose `rate` is that of the corpus."""
    return sum(counts, ErrorCounts())


def total_per_group(counts: Iterable[ErrorCounts], groups: Iterable[str]) -> dict[str, ErrorCounts]:
    """Return group -> sum of counts, sorted by group, such as a speaker or accent; `groups` holds each utterance's.

    Raises:
        ValueError: the numbers differ.
    """
    sums: dict[str, ErrorCounts] = defaultdict(ErrorCounts)
    for count, group in zip(counts, groups, strict=True):
        sums[group] += count
    return dict(sorted(sums.items()))


@dataclass(frozen=True, slots=True)
class Interval:
    """The statistic of all items with the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    num_items: int,
    *,
    num_resamples: int = 1000,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Compute a percentile bootstrap interval (Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 13).

    Example: the accuracy of `correct` (bool array) is
    `bootstrap_interval(lambda i: correct[i].mean(), len(correct), seed=1)`.
    Resamples with NaN are dropped; if all are, the ends are NaN.

    Args:
        statistic: function of item indices, (n,) with repetitions.
        groups: group of each item, such as its speaker, to resample whole groups, since items of one speaker are not
            independent; this needs many groups.
        confidence: share of the resamples within the interval.

    Raises:
        ValueError: no items, or a wrong number of groups.
    """

    def statistics(items: NDArray[np.int64]) -> tuple[float]:
        return (statistic(items),)

    return bootstrap_intervals(
        statistics,
        num_items,
        num_resamples=num_resamples,
        seed=seed,
        groups=groups,
        confidence=confidence,
    )[0]


def bootstrap_intervals(
    statistics: Callable[[NDArray[np.int64]], Sequence[float]],
    num_items: int,
    *,
    num_resamples: int = 1000,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> list[Interval]:
    """Compute `bootstrap_interval` of several statistics, which see the same resamples."""
    if num_items < 1:
        raise ValueError(f"1 item or more expected, found {num_items}; there is nothing to resample")
    if groups is not None and len(groups) != num_items:
        raise ValueError(f"{num_items} groups expected, found {len(groups)}; give the group of every item")
    rng = np.random.default_rng(seed)
    blocks = None if groups is None else _blocks(groups)
    drawn = [statistics(_resample(rng, num_items, blocks)) for _ in range(num_resamples)]
    values = statistics(np.arange(num_items))
    columns = np.array(drawn, dtype=np.float64).T
    return [_interval(float(v), column, confidence) for v, column in zip(values, columns, strict=True)]


def _interval(value: float, figures: NDArray[np.float64], confidence: float) -> Interval:
    figures = figures[~np.isnan(figures)]
    if not len(figures):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def _blocks(groups: Sequence[Hashable]) -> list[NDArray[np.int64]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    return [np.array(indices, dtype=np.int64) for indices in members.values()]


def _resample(
    rng: np.random.Generator, num_items: int, blocks: list[NDArray[np.int64]] | None
) -> NDArray[np.int64]:
    if blocks is None:
        return rng.integers(num_items, size=num_items)
    return np.concatenate([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))])


def error_rate_interval(
    counts: Sequence[ErrorCounts],
    *,
    seed: int,
    num_resamples: int = 1000,
    groups: Sequence[Hashable] | None = None,
) -> Interval:
    """Compute the error rate of a corpus, errors per reference token, with its interval (see `bootstrap_interval`).

    `counts` are those of the utterances, not empty; `groups` holds the group of each.
    """
    errors = np.array([c.errors for c in counts], dtype=np.int64)
    lengths = np.array([c.num_reference for c in counts], dtype=np.int64)

    def rate(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        num_reference = lengths[indices].sum(-1)
        return np.where(num_reference > 0, errors[indices].sum(-1) / np.maximum(num_reference, 1), np.nan)

    if groups is not None or not counts:
        return bootstrap_interval(
            lambda i: float(rate(i)), len(counts), num_resamples=num_resamples, seed=seed, groups=groups
        )
    # The same draws as one after the other, in blocks that fit the memory: ten times faster.
    rng, size = np.random.default_rng(seed), len(counts)
    per_block = max(1, _MAX_DRAWN // size)
    blocks = [min(per_block, num_resamples - done) for done in range(0, num_resamples, per_block)]
    figures = np.concatenate([rate(rng.integers(size, size=(rows, size))) for rows in blocks])
    return _interval(float(rate(np.arange(size))), figures, 0.95)
