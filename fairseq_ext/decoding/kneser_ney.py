"""Training of n-gram models: interpolated modified Kneser-Ney smoothing.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3, with the details of
Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation": one `<s>` per sentence, n-grams that
begin with it keep their counts in lower orders, and unigrams are interpolated with the uniform distribution, which is
all that `<unk>` gets.

Shapes: P positions in the text, all sentences joined; N n-grams of one order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ngram import SENTENCE_END, SENTENCE_START, UNKNOWN, Floats, NgramModel
from .trie import NO_NODE, Ints, Trie

Bools = NDArray[np.bool_]

# Discounts of n-grams seen once, twice, or more often, where the text is too small to estimate them: those of KenLM's
# lmplz --discount_fallback.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
# By convention, ARPA files give `<s>` this log10 probability: it is never predicted.
NEVER_LOG10 = -99.0


@dataclass(frozen=True, slots=True)
class _Order:
    """The n-grams of one order.

    Attributes:
        start: node of the first n-gram.
        parents: node of the context, (N,).
        suffixes: node of the n-gram without its first word, (N,).
        begins: whether the first word is `<s>`, (N,) bool.
        counts: number of occurrences, (N,).
    """

    start: int
    parents: Ints
    suffixes: Ints
    begins: Bools
    counts: Ints


def train(texts: Iterable[str], order: int = 3) -> NgramModel:
    """Train an n-gram model, p summing to one over all words, `</s>` and `<unk>` after any context.

    Args:
        texts: normalised sentences, words separated by spaces; empty ones are skipped.
        order: length of the longest n-grams; smaller when no sentence is that long.

    Raises:
        ValueError: the order is below 1, there is no text, or a text contains a special word.
    """
    if order < 1:
        raise ValueError(f"language model: an order of 1 or more expected, found {order}; change the setting")
    words, ids, ends = _read(texts)
    longest = int(np.max(ends - np.arange(len(ids))))
    trie, orders = _count(words, ids, ends, min(order, longest))
    log_prob, backoff = _estimate(words, trie, orders)
    return NgramModel(words, trie, log_prob, backoff)


def _read(texts: Iterable[str]) -> tuple[list[str], Ints, Ints]:
    """Return the vocabulary, the word id at every position (P,) and where its sentence ends (P,)."""
    specials = [UNKNOWN, SENTENCE_START, SENTENCE_END]
    ids = {word: i for i, word in enumerate(specials)}
    tokens: list[int] = []
    ends: list[int] = []
    for number, text in enumerate(texts, 1):
        words = text.split()
        if found := [word for word in words if word in specials]:
            raise ValueError(
                f"text {number} contains {found[0]!r}, a special word of language models; remove it from the texts"
            )
        if words:
            # 1 and 2 are <s> and </s>, as in `specials`
            tokens += [1, *(ids.setdefault(word, len(ids)) for word in words), 2]
            ends += [len(tokens)] * (len(words) + 2)
    if not tokens:
        raise ValueError("language model: the texts have no words; give the training transcripts")
    # Sorted, so that the model does not depend on the order of the texts.
    vocabulary = specials + sorted(list(ids)[len(specials) :])
    place = {word: i for i, word in enumerate(vocabulary)}
    renumber = np.array([place[word] for word in ids])
    return vocabulary, renumber[np.array(tokens)], np.array(ends)


def _count(words: list[str], ids: Ints, ends: Ints, order: int) -> tuple[Trie, list[_Order]]:
    """Find the n-grams of every order; the first of the list is the unigrams."""
    trie, orders = Trie(len(words)), []
    shorter = np.zeros(len(ids) + 1, dtype=np.int64)  # node of the (k-1)-gram that starts at each position
    for k in range(1, order + 1):
        at = np.flatnonzero(np.arange(len(ids)) + k <= ends)
        start = trie.num_nodes
        if k == 1:
            # every word of the vocabulary once, so that <unk>, which no text holds, is there as well
            trie.add_level(np.zeros(len(words), dtype=np.int64), np.arange(len(words)))
            nodes = start + ids
        else:
            nodes = trie.add_level(shorter[at], ids[at + k - 1])
        # The (k-1)-gram one position on is the n-gram without its first word.
        orders.append(_order(trie, start, nodes, shorter[at + 1], ids[at] == 1))
        shorter = np.full(len(ids) + 1, NO_NODE, dtype=np.int64)
        shorter[at] = nodes
    return trie, orders


def _order(trie: Trie, start: int, nodes: Ints, suffixes_at: Ints, begins_at: Bools) -> _Order:
    """Reduce the positions of an order's n-grams to one entry per n-gram."""
    num = trie.num_nodes - start
    suffixes, begins = np.zeros(num, dtype=np.int64), np.zeros(num, dtype=bool)
    suffixes[nodes - start] = suffixes_at
    begins[nodes - start] = begins_at
    parents, _ = trie.level(trie.num_levels)
    return _Order(start, parents, suffixes, begins, np.bincount(nodes - start, minlength=num))


def _estimate(words: list[str], trie: Trie, orders: list[_Order]) -> tuple[Floats, Floats]:
    """Return ln p and ln back-off weight of every node."""
    prob = np.ones(trie.num_nodes)
    backoff = np.ones(trie.num_nodes)
    prob[0] = 1 / (len(words) - 1)  # the uniform distribution: all words but <s>
    # From unigrams up: each order is interpolated with the next shorter one.
    for k, order in enumerate(orders, 1):
        counts = order.counts if k == len(orders) else _left_contexts(order, orders[k])
        if k == 1:
            counts[1] = 0  # <s> is given, never predicted
        discounts = discounts_of(counts)[np.minimum(counts, 3)]
        totals = np.bincount(order.parents, counts, minlength=trie.num_nodes)
        contexts = np.flatnonzero(totals)
        backoff[contexts] = (
            np.bincount(order.parents, discounts, minlength=trie.num_nodes)[contexts] / totals[contexts]
        )
        nodes = slice(order.start, order.start + len(counts))
        seen = (counts - discounts) / totals[order.parents]
        prob[nodes] = seen + backoff[order.parents] * prob[order.suffixes]
    log_prob = np.log(prob)
    log_prob[trie.starts[1] + 1] = NEVER_LOG10 * np.log(10)
    return log_prob, np.log(backoff)


def _left_contexts(order: _Order, longer: _Order) -> Ints:
    """Return adjusted counts: different preceding words, or occurrences for n-grams after `<s>` (Heafield, 3.1)."""
    preceding = np.bincount(longer.suffixes - order.start, minlength=len(order.counts))
    return np.where(order.begins, order.counts, preceding)


def discounts_of(counts: Ints) -> Floats:
    """Estimate the discounts of the counts 0, 1, 2 and 3 or more, (4,) (Chen & Goodman 1999, equation 26).

    `counts` are adjusted counts of an order's n-grams, (N,). `FALLBACK_DISCOUNTS` when some count of 1 to 4 never
    occurs, or the estimate is not between 0 and the count.
    """
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in range(1, 5))
    fallback = np.array([0.0, *FALLBACK_DISCOUNTS])
    if not (n1 and n2 and n3 and n4):
        return fallback
    share = n1 / (n1 + 2 * n2)
    found = np.array([0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    return found if np.all((found[1:] > 0) & (found[1:] <= [1, 2, 3])) else fallback
