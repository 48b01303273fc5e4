"""Prefix beam search over CTC frames in arrays: one step advances all hypotheses of all utterances.

Hannun et al. 2014, algorithm 1: a hypothesis is a prefix of symbols, and its two masses sum the alignments that
spell it and end in blank, or in its last symbol. A prefix is identified by a 64-bit hash of its symbols, so that an
extension that is in the beam already is found by comparing numbers, and its mass is added there.

Shapes: B utterances, K hypotheses of each, V symbols, N candidate symbols of a frame. Masses are ln p.
"""

import numpy as np
from numpy.typing import NDArray

from .frames import BLANK
from .fusion import NO_TOKEN, WordFusion
from .ngram import Floats
from .trie import Ints

Keys = NDArray[np.uint64]

# Hashes: of the empty prefix; of a slot without hypothesis; and, as a parent's, of either. Odd multiplier of Knuth's
# MMIX generator (The Art of Computer Programming 2, 3.3.4).
_ROOT, _DEAD, _NONE = np.uint64(1), np.uint64(2), np.uint64(3)
_MULTIPLIER, _SHIFT = np.uint64(6364136223846793005), np.uint64(29)


class Beam:
    """The hypotheses of a batch of B utterances, K each, which start as empty prefixes.

    `fusion` gives the language model scores of words; None = no language model.
    """

    def __init__(self, num_utterances: int, size: int, fusion: WordFusion | None = None) -> None:
        shape = (num_utterances, size)
        self.fusion = fusion
        self._rows = np.arange(num_utterances)[:, None]
        self._blank, self._symbol = np.full(shape, -np.inf), np.full(shape, -np.inf)
        self._blank[:, 0] = 0.0
        self._last: Ints = np.full(shape, BLANK)
        self._key, self._parent_key = np.full(shape, _DEAD), np.full(shape, _NONE)
        self._key[:, 0] = _ROOT
        self._history: list[tuple[Ints, Ints]] = []

    @property
    def log_prob(self) -> Floats:
        """ln p of every hypothesis summed over its alignments, (B, K); -inf in empty slots."""
        total: Floats = np.logaddexp(self._blank, self._symbol)
        return total

    def step(self, frame: Floats, tokens: Ints, values: Floats) -> None:
        """Advance all hypotheses by a frame.

        Args:
            frame: ln p of all symbols, (B, V).
            tokens: symbols that may extend hypotheses, never blank, (B, N).
            values: ln p of these, (B, N); -inf for those that are not tried in an utterance.
        """
        total = self.log_prob
        of_last = frame[self._rows, self._last]
        parents, has_parent = self._find_parents()
        # Before the masses are overwritten below: an extension starts from those of the frame before.
        grown = self._grow(total, tokens, values, parents, has_parent) if tokens.shape[1] else None
        # A hypothesis gets from its parent the alignments that emit its last symbol in this frame.
        before = np.where(
            self._last[self._rows, parents] == self._last,
            self._blank[self._rows, parents],
            total[self._rows, parents],
        )
        inflow = np.where(has_parent, before, -np.inf)
        self._symbol = np.logaddexp(self._symbol, inflow) + of_last
        self._blank = total + frame[:, :1]
        if grown is not None:
            self._select(tokens, grown)

    def _find_parents(self) -> tuple[Ints, NDArray[np.bool_]]:
        """Find the slot of each hypothesis without its last symbol, and whether it is in the beam."""
        is_parent = self._parent_key[:, :, None] == self._key[:, None, :]  # (B, K, K)
        return is_parent.argmax(2), is_parent.any(2)

    def _grow(
        self, total: Floats, tokens: Ints, values: Floats, parents: Ints, has_parent: NDArray[np.bool_]
    ) -> Floats:
        """Return the masses of all prefixes that are one symbol longer and not in the beam yet, (B, K, N)."""
        repeats = tokens[:, None, :] == self._last[:, :, None]  # (B, K, N)
        # The same symbol again extends a prefix only after a blank.
        grown: Floats = values[:, None, :] + np.where(repeats, self._blank[:, :, None], total[:, :, None])
        # A parent extended by the last symbol of hypothesis k is hypothesis k, which gets this mass in `step`.
        b, k, n = np.nonzero(repeats & has_parent[:, :, None])
        grown[b, parents[b, k], n] = -np.inf
        return grown

    def _select(self, tokens: Ints, grown: Floats) -> None:
        """Keep the best K of the prefixes in the beam and the extended ones."""
        num, size, width = grown.shape
        kept, scored, word_end = self.log_prob, grown, None
        if self.fusion is not None:
            bonus = self.fusion.bonus[:, :, None]
            kept = kept + self.fusion.bonus
            ends = self.fusion.lexicon.ends_word[tokens]  # (B, N)
            if ends.any():
                word_end = self.fusion.word_end()
                bonus = bonus + np.where(ends[:, None, :], word_end[0][:, :, None], 0.0)
            scored = grown + bonus
        scores = np.concatenate([kept, scored.reshape(num, -1)], 1)
        # The K best of K + K * N, unsorted.
        best = np.argpartition(scores, size * width, axis=1)[:, size * width :]
        is_new = best >= size
        sources = np.where(is_new, (best - size) // width, best)
        added = np.where(is_new, tokens[self._rows, (best - size) % width], NO_TOKEN)
        # Kept hypotheses read entry 0 here, which `_replace` ignores.
        masses = grown.reshape(num, -1)[self._rows, np.maximum(best - size, 0)]
        self._replace(sources, added, masses, np.isneginf(scores[self._rows, best]))
        if self.fusion is not None:
            self.fusion.advance(sources, added, word_end)

    def _replace(self, sources: Ints, added: Ints, masses: Floats, is_dead: NDArray[np.bool_]) -> None:
        """Move hypotheses to their new slots; extended ones get their new mass."""
        is_new = added != NO_TOKEN
        rows = self._rows
        key = self._key[rows, sources]
        longer = (key + added.astype(np.uint64) + np.uint64(1)) * _MULTIPLIER
        longer ^= longer >> _SHIFT
        self._parent_key = np.where(is_new, key, self._parent_key[rows, sources])
        self._key = np.where(is_new, longer, key)
        # A slot without mass must never match the hash of its prefix.
        self._key[is_dead], self._parent_key[is_dead] = _DEAD, _NONE
        self._blank = np.where(is_new, -np.inf, self._blank[rows, sources])
        self._symbol = np.where(is_new, masses, self._symbol[rows, sources])
        self._last = np.where(is_new, added, self._last[rows, sources])
        self._history.append((sources.astype(np.int32), added.astype(np.int32)))

    def prefixes(self) -> list[list[list[int]]]:
        """Trace back the symbols of all hypotheses, by utterance and slot; those of an empty slot have no meaning."""
        slots = np.broadcast_to(np.arange(self._key.shape[1]), self._key.shape)
        added = []
        for sources, tokens in reversed(self._history):
            added.append(tokens[self._rows, slots])
            slots = sources[self._rows, slots]
        if not added:
            return [[[] for _ in row] for row in self._key]
        emitted = np.stack(added[::-1], axis=-1)  # (B, K, steps)
        return [[slot[slot != NO_TOKEN].tolist() for slot in row] for row in emitted]
