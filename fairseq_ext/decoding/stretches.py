"""Cut the log-probabilities of a long recording between words, so that any search can take them piece by piece.

Greedy decoding of the pieces equals that of the whole. A language model starts a new sentence at each cut.

Shapes: T frames, V symbols in fairseq's order.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..text.units import WORD_END, WORD_START
from .alignment import TokenSpan, greedy_spans

_MOST = 4  # times `num_frames`; then a cut at any pause is better than none


def stretches(scores: Iterable[Tensor], num_frames: int, symbols: Sequence[str]) -> Iterator[Tensor]:
    """Cut ln p (T', V) of successive frames anew, into pieces that begin and end between words.

    `num_frames` are the frames from which a piece is cut; the rest of the recording may be shorter.
    """
    pieces: list[Tensor] = []
    for part in scores:
        pieces.append(part)
        while sum(map(len, pieces)) >= 2 * num_frames:
            held = torch.cat(pieces)
            cut = _cut(held, num_frames, symbols)
            if cut is None:
                pieces = [held]
                break
            yield held[:cut]
            pieces = [held[cut:]]
    if pieces:
        yield torch.cat(pieces)


def _cut(scores: Tensor, num_frames: int, symbols: Sequence[str]) -> int | None:
    """Return the frame to cut before: the middle of the longest pause between words from `num_frames` on."""
    spans = greedy_spans(scores)
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(scores)]
    pauses = [
        (start - end, (start + end) // 2, number)
        for number, (end, start) in enumerate(zip(ends, starts, strict=True))
        if (start + end) // 2 >= num_frames
    ]
    is_full = len(scores) >= _MOST * num_frames
    allowed = [pause for pause in pauses if is_full or _is_between_words(spans, pause[2], symbols)]
    return max(allowed)[1] if allowed else None


def _is_between_words(spans: Sequence[TokenSpan], number: int, symbols: Sequence[str]) -> bool:
    """Return whether a word ends or starts before the symbol of this number."""
    if not 0 < number < len(spans):
        return False
    before, after = (symbols[span.token] for span in spans[number - 1 : number + 1])
    return before == WORD_END or after.startswith((WORD_START, WORD_END))
