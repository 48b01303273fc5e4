"""N-gram language models: back-off scoring of many words at once, perplexity.

A model gives ln p(word | the words before), natural logarithms throughout. `kneser_ney.train` trains one on texts,
`arpa.read_arpa` reads one. The nodes of the trie of its n-grams serve as states: the state after some words is the
longest n-gram at their end that can still be a context.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .trie import NO_NODE, Ints, Trie

Floats = NDArray[np.float64]

UNKNOWN, SENTENCE_START, SENTENCE_END = "<unk>", "<s>", "</s>"
# Number of sentences that `perplexity` scores at once.
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The perplexity of texts; the end of each sentence counts as a token.

    Attributes:
        num_sentences: number of sentences.
        num_tokens: number of words and ends of sentences.
        num_oov: number of unknown words.
        log_prob: ln p of all tokens, with p(`<unk>`) for unknown words.
        log_prob_known: ln p of the known tokens.
    """

    num_sentences: int
    num_tokens: int
    num_oov: int
    log_prob: float
    log_prob_known: float

    @property
    def with_oov(self) -> float:
        """Perplexity per token; NaN without any."""
        return math.exp(-self.log_prob / self.num_tokens) if self.num_tokens else math.nan

    @property
    def without_oov(self) -> float:
        """Perplexity per known token, comparable only between models with the same vocabulary."""
        num_known = self.num_tokens - self.num_oov
        return math.exp(-self.log_prob_known / num_known) if num_known else math.nan


class NgramModel:
    """A back-off model over words.

    Args:
        words: vocabulary with `<unk>`; a word's id is its position.
        trie: the n-grams as word ids; every word is a unigram.
        log_prob: ln p(last word | others) of every node; the root's is not used.
        backoff: ln of the back-off weight of every node as a context; the root's is not used.
    """

    def __init__(self, words: Sequence[str], trie: Trie, log_prob: Floats, backoff: Floats) -> None:
        self.words = tuple(words)
        self.ids = {word: i for i, word in enumerate(self.words)}
        self.trie, self.log_prob, self.backoff = trie, log_prob, backoff
        self.unknown = self.ids[UNKNOWN]
        self._suffix = np.zeros(trie.num_nodes, dtype=np.int64)
        # Level by level: the suffixes of a level are found through those of the level above.
        for level in range(2, trie.num_levels + 1):
            parents, last = trie.level(level)
            nodes, _ = self._longest(self._suffix[parents], last)
            self._suffix[trie.starts[level] : trie.starts[level + 1]] = nodes
        self._state = np.arange(trie.num_nodes)
        # The longest n-grams are no contexts: the state after one is its suffix.
        deepest = slice(trie.starts[-2], None)
        self._state[deepest] = self._suffix[deepest]

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return self.trie.num_levels

    @property
    def start(self) -> int:
        """State at the start of a sentence."""
        sentence_start = self.ids.get(SENTENCE_START)
        if sentence_start is None:
            return 0
        return int(self._state[self.trie.find(np.array([[sentence_start]]))[0]])

    def word_id(self, word: str) -> int:
        """Return the id of a word, normalised like the training text, or of `<unk>` for an unknown one."""
        return self.ids.get(word, self.unknown)

    def score(self, states: Ints, words: Ints) -> tuple[Floats, Ints]:
        """Score words after states of the same shape, any: ln p(word | state) and the states after the words.

        Katz 1987: the longest known n-gram, else the back-off weight times p after a shorter context.
        """
        nodes, weights = self._longest(states.ravel(), words.ravel())
        log_prob = (weights + self.log_prob[nodes]).reshape(states.shape)
        return log_prob, self._state[nodes].reshape(states.shape)

    def _longest(self, contexts: Ints, words: Ints) -> tuple[Ints, Floats]:
        """Find context + word, and shorten the context where needed; return nodes and ln of the back-off weights.

        The loop ends because every word is a unigram.
        """
        nodes = self.trie.step(contexts, words)
        weights = np.zeros(len(nodes))
        missing = np.flatnonzero(nodes == NO_NODE)
        while len(missing):
            shorter = contexts[missing]
            weights[missing] += self.backoff[shorter]
            contexts = contexts.copy()
            contexts[missing] = self._suffix[shorter]
            nodes[missing] = self.trie.step(contexts[missing], words[missing])
            missing = missing[nodes[missing] == NO_NODE]
        return nodes, weights

    def score_words(self, words: Sequence[str], *, end: bool = True) -> float:
        """Return ln p of a sentence, with its end or without."""
        rows = self._rows([words])
        log_prob, _ = self._score_rows(rows if end else rows[:, :-1])
        return float(log_prob.sum())

    def perplexity(self, texts: Iterable[str]) -> Perplexity:
        """Compute the perplexity of sentences, words separated by spaces."""
        num_sentences = num_tokens = num_oov = 0
        total = known = 0.0
        sentences = map(str.split, texts)
        while chunk := list(islice(sentences, _CHUNK)):
            rows = self._rows(chunk)
            log_prob, is_token = self._score_rows(rows)
            is_oov = is_token & (rows == self.unknown)
            num_sentences += len(rows)
            num_tokens += int(is_token.sum())
            num_oov += int(is_oov.sum())
            total += float(log_prob.sum())
            known += float(log_prob[~is_oov].sum())
        return Perplexity(num_sentences, num_tokens, num_oov, total, known)

    def _rows(self, sentences: Sequence[Sequence[str]]) -> Ints:
        """Return word ids with the end of the sentence, padded with -1, (sentences, longest + 1)."""
        rows = np.full((len(sentences), 1 + max(map(len, sentences))), -1, dtype=np.int64)
        end = self.word_id(SENTENCE_END)
        for row, words in zip(rows, sentences, strict=True):
            row[: len(words) + 1] = [*map(self.word_id, words), end]
        return rows

    def _score_rows(self, rows: Ints) -> tuple[Floats, NDArray[np.bool_]]:
        """Return ln p of every token (0 for padding), and which are tokens; both of the shape of the rows."""
        is_token = rows >= 0
        log_prob = np.zeros(rows.shape)
        states = np.full(len(rows), self.start)
        for column in range(rows.shape[1]):
            active = np.flatnonzero(is_token[:, column])
            log_prob[active, column], states[active] = self.score(states[active], rows[active, column])
        return log_prob, is_token
