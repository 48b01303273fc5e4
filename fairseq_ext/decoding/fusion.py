"""Shallow fusion: the words of hypotheses are scored by an n-gram model as they grow letter by letter.

A hypothesis gets, at the end of each word, alpha ln p(word | words before) + beta (Hannun et al. 2014, "First-pass
large vocabulary continuous speech recognition using bi-directional recurrent DNNs", section 4), and at its own end
alpha ln p(`</s>`). A letter trie of the model's vocabulary maps letters to words without any strings, and shows as soon
as a prefix can no longer become a known word.

Shapes: B utterances, K hypotheses of each, V symbols, N words, L letters of the longest one.
"""

from collections.abc import Sequence

import numpy as np

from ..text.units import WORD_END, WORD_START
from .frames import NUM_SPECIAL
from .ngram import SENTENCE_END, SENTENCE_START, UNKNOWN, Floats, NgramModel
from .trie import NO_NODE, Ints, Trie

NO_LETTER = -1
# In the place of a symbol: the hypothesis does not grow.
NO_TOKEN = -1


class Lexicon:
    """The spelling of a language model's words in symbols.

    Args:
        lm: language model.
        symbols: V symbols in fairseq's order, the four special ones first; `|` between words or `▁` before them.

    Raises:
        ValueError: no word of the model can be spelled, or a piece spans two words.
    """

    def __init__(self, lm: NgramModel, symbols: Sequence[str]) -> None:
        spellings = ["" if i < NUM_SPECIAL else _spelling(symbol) for i, symbol in enumerate(symbols)]
        letters = {letter: i for i, letter in enumerate(sorted(set("".join(spellings))))}
        self.lm = lm
        # (V,) whether the symbol ends the word before it
        self.ends_word = np.array([s.startswith((WORD_END, WORD_START)) for s in symbols])
        self.letters = _padded([[letters[letter] for letter in spelling] for spelling in spellings])  # (V, L)
        self.trie, self.word_at = _word_trie(lm, letters)

    def spell(self, nodes: Ints, tokens: Ints) -> Ints:
        """Follow the letters of one symbol from each node, in arrays of one shape; `NO_NODE` stays."""
        for letter in np.moveaxis(self.letters[tokens], -1, 0):
            nodes = np.where(letter == NO_LETTER, nodes, self.trie.step(nodes, letter))
        return nodes


def _spelling(symbol: str) -> str:
    letters = symbol.removeprefix(WORD_START)
    if WORD_START in letters:
        raise ValueError(f"symbol {symbol!r} spans several words; train the pieces with split_by_whitespace")
    return "" if symbol == WORD_END else letters


def _padded(rows: Sequence[Sequence[int]]) -> Ints:
    table = np.full((len(rows), max(1, *map(len, rows))), NO_LETTER, dtype=np.int64)
    for padded, row in zip(table, rows, strict=True):
        padded[: len(row)] = row
    return table


def _word_trie(lm: NgramModel, letters: dict[str, int]) -> tuple[Trie, Ints]:
    """Return the trie of all words that can be spelled, and the word id at each node (else `<unk>`)."""
    specials = {UNKNOWN, SENTENCE_START, SENTENCE_END}
    known = letters.keys()
    ids = [i for i, word in enumerate(lm.words) if word not in specials and known >= set(word)]
    if not ids:
        raise ValueError(
            f"language model: the recogniser's letters {''.join(letters)!r} spell none of its words, such as "
            f"{list(lm.words[3:8])}; normalise the text of the model as that of the recogniser"
        )
    spelled = _padded([[letters[letter] for letter in lm.words[i]] for i in ids])  # (N, L)
    trie, nodes = Trie(len(letters)), np.zeros(len(ids), dtype=np.int64)
    for column in spelled.T:
        longer = np.flatnonzero(column != NO_LETTER)
        nodes[longer] = trie.add_level(nodes[longer], column[longer])
    word_at = np.full(trie.num_nodes, lm.unknown)
    word_at[nodes] = ids
    return trie, word_at


class WordFusion:
    """The language model state and score of every hypothesis of a beam.

    Attributes:
        bonus: score of the words so far, added to the acoustic ln p, (B, K).

    Args:
        lexicon: language model and spelling.
        shape: B and K.
        alpha: weight of ln p(word).
        beta: score of each word.
        unk_score: score of each unknown word, beside alpha ln p(`<unk>`).
    """

    def __init__(
        self, lexicon: Lexicon, shape: tuple[int, int], *, alpha: float, beta: float, unk_score: float
    ) -> None:
        self.lexicon = lexicon
        self.alpha, self.beta, self.unk_score = alpha, beta, unk_score
        self.bonus: Floats = np.zeros(shape)
        self._spelled: Ints = np.zeros(shape, dtype=np.int64)  # node of the letters of the current word
        self._context: Ints = np.full(shape, lexicon.lm.start)  # state of the language model before that word

    def word_end(self) -> tuple[Floats, Ints]:
        """Score the current words as if they ended here.

        Returns the change of the bonus, 0 where there is no letter yet, and the contexts afterwards; both (B, K).
        """
        lm, spelled = self.lexicon.lm, self._spelled
        words = np.where(spelled == NO_NODE, lm.unknown, self.lexicon.word_at[spelled])
        log_prob, contexts = lm.score(self._context, words)
        # A word that left the trie has got its unk_score already.
        unpaid = (words == lm.unknown) & (spelled != NO_NODE)
        gain = self.alpha * log_prob + self.beta + self.unk_score * unpaid
        return np.where(spelled == 0, 0.0, gain), np.where(spelled == 0, self._context, contexts)

    def advance(self, sources: Ints, tokens: Ints, word_end: tuple[Floats, Ints] | None) -> None:
        """Replace the hypotheses by their successors.

        Args:
            sources: slot of the hypothesis that each one extends, (B, K).
            tokens: symbol that is added, or `NO_TOKEN`, (B, K).
            word_end: result of `word_end`; None when no token ends a word.
        """
        bonus = np.take_along_axis(self.bonus, sources, 1)
        context = np.take_along_axis(self._context, sources, 1)
        spelled = np.take_along_axis(self._spelled, sources, 1)
        if word_end is not None:
            # NO_TOKEN is -1 and would read the last symbol.
            ended = self.lexicon.ends_word[tokens] & (tokens != NO_TOKEN)
            bonus = np.where(ended, bonus + np.take_along_axis(word_end[0], sources, 1), bonus)
            context = np.where(ended, np.take_along_axis(word_end[1], sources, 1), context)
            spelled = np.where(ended, 0, spelled)
        longer = np.where(tokens == NO_TOKEN, spelled, self.lexicon.spell(spelled, tokens))
        bonus = bonus + self.unk_score * ((longer == NO_NODE) & (spelled != NO_NODE))
        self.bonus, self._context, self._spelled = bonus, context, longer

    def finish(self) -> Floats:
        """Add the scores of the last words and the ends of sentences; return the final bonus, (B, K)."""
        gain, contexts = self.word_end()
        end = np.full(contexts.shape, self.lexicon.lm.word_id(SENTENCE_END))
        log_prob, _ = self.lexicon.lm.score(contexts, end)
        return self.bonus + gain + self.alpha * log_prob
