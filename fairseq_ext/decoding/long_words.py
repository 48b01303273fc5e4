"""The words of a recording or video of any length with their times, from the log-probabilities of its frames.

Shapes: T frames, V symbols in fairseq's order.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from .alignment import TokenSpan, align, greedy_spans, timed_words
from .ctc import Hypothesis
from .stretches import stretches
from .subtitles import TimedWord

SEARCH_S = 60.0  # searched at a time

# ln p (1, T, V) and the valid frames (1,) -> the best texts.
Search = Callable[[Tensor, Tensor], Sequence[Sequence[Hypothesis]]]


def words_of_long(
    scores: Iterable[Tensor], symbols: Sequence[str], hop_s: float, search: Search | None
) -> list[TimedWord]:
    """Decode stretches of a minute one after the other, cut between words, so that memory does not grow.

    Args:
        scores: ln p (T', V) of successive frames.
        symbols: (V,) symbols.
        hop_s: time from frame to frame, s.
        search: beam search by CTC; None = greedy.
    """
    words: list[TimedWord] = []
    start = 0
    for stretch in stretches(scores, round(SEARCH_S / hop_s), symbols):
        words += timed_words(_spans(stretch, search), symbols, hop_s, start_s=start * hop_s)
        start += len(stretch)
    return words


def _spans(scores: Tensor, search: Search | None) -> list[TokenSpan]:
    """Decode frames (T, V) to the symbols and their times."""
    # Greedy text is a path already; a beam sums over paths, so its text must be aligned.
    if search is None:
        return greedy_spans(scores)
    ((best, *_),) = search(scores[None], torch.tensor([len(scores)]))
    return align(scores, best.tokens)
