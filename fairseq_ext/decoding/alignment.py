"""Times of symbols and words: CTC forced alignment, and the times of the greedy path.

CTC emits a symbol in a frame or two and blanks elsewhere, so a word's times span its symbols, not its whole sound.

Shapes: T frames of one utterance, V symbols in fairseq's order, the blank first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
import torchaudio.functional
from torch import Tensor

from ..text.units import WORD_END, WORD_START
from .ctc import best_path
from .frames import BLANK
from .subtitles import TimedWord


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """The frames of a symbol.

    Attributes:
        token: index of the symbol.
        start: first frame.
        end: frame after the last.
        log_prob: ln p of the symbol, summed over these frames.
    """

    token: int
    start: int
    end: int
    log_prob: float


@torch.no_grad()
def align(log_probs: Tensor, tokens: Sequence[int]) -> list[TokenSpan]:
    """Return the likeliest alignment of a known transcript, a span per symbol in order.

    `log_probs` are ln p, (T, V), on any device; `tokens` are symbol indices without blanks.

    Raises:
        ValueError: the shape is not (T, V), a symbol is out of range, or there are too few frames for the symbols.
    """
    _check_tokens(log_probs, tokens)
    if not tokens:
        return []
    target = torch.tensor([list(tokens)], dtype=torch.int32, device=log_probs.device)
    # forced_align is not implemented in half precision
    frames = log_probs[None] if log_probs.dtype == torch.float64 else log_probs[None].float()
    path, scores = torchaudio.functional.forced_align(frames.contiguous(), target, blank=BLANK)
    return _spans(path[0], scores[0])


def greedy_spans(log_probs: Tensor) -> list[TokenSpan]:
    """Return the times of the symbols of greedy decoding of ln p (T, V), a span per symbol in order."""
    path = best_path(log_probs)
    return _spans(path, log_probs.gather(-1, path[:, None])[:, 0])


def _check_tokens(log_probs: Tensor, tokens: Sequence[int]) -> None:
    if log_probs.ndim != 2:
        raise ValueError(
            f"alignment: log_probs of shape (T, V) expected, found {tuple(log_probs.shape)}; align one by one"
        )
    num_frames, num_symbols = log_probs.shape
    if wrong := [token for token in tokens if not BLANK < token < num_symbols]:
        raise ValueError(
            f"alignment: symbols from 1 to {num_symbols - 1} expected, found {wrong[0]}; use the model's dictionary"
        )
    num_repeats = sum(a == b for a, b in pairwise(tokens))
    if num_frames < len(tokens) + num_repeats:
        raise ValueError(
            f"alignment: {len(tokens) + num_repeats} frames or more expected ({len(tokens)} symbols and a blank "
            f"between each of {num_repeats} repeats), found {num_frames}; check that text and recording belong together"
        )


def _spans(path: Tensor, scores: Tensor) -> list[TokenSpan]:
    """Group equal neighbours of a path (T,) and drop the blanks."""
    spans, values = [], scores.double().tolist()
    for token, run in groupby(enumerate(path.tolist()), key=lambda item: item[1]):
        frames = [frame for frame, _ in run]
        if token != BLANK:
            start, end = frames[0], frames[-1] + 1
            spans.append(TokenSpan(token, start, end, math.fsum(values[start:end])))
    return spans


def timed_words(
    spans: Sequence[TokenSpan], symbols: Sequence[str], hop_s: float, *, start_s: float = 0.0
) -> list[TimedWord]:
    """Join spans from `align` or `greedy_spans` to words, each from its first letter's start to its last one's end.

    Frames are `hop_s` apart, s; the first one is at `start_s`.
    """
    return [_timed_word(word, hop_s, start_s) for word in aligned_words(spans, symbols)]


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A word and the frames of its symbols.

    Attributes:
        letters: text of each symbol without word boundary marks, never empty.
        spans: frames of each symbol.
    """

    letters: tuple[str, ...]
    spans: tuple[TokenSpan, ...]

    @property
    def text(self) -> str:
        """The word as text."""
        return "".join(self.letters)


def aligned_words(spans: Sequence[TokenSpan], symbols: Sequence[str]) -> list[AlignedWord]:
    """Join the characters or pieces of spans to words; symbols that only mark a word boundary are dropped."""
    words: list[list[tuple[str, TokenSpan]]] = [[]]
    for span in spans:
        symbol = symbols[span.token]
        if symbol.startswith((WORD_END, WORD_START)):
            words.append([])
        letters = "" if symbol == WORD_END else symbol.removeprefix(WORD_START)
        if letters:
            words[-1].append((letters, span))
    return [
        AlignedWord(tuple(text for text, _ in word), tuple(span for _, span in word))
        for word in words
        if word
    ]


def _timed_word(word: AlignedWord, hop_s: float, start_s: float) -> TimedWord:
    spans = word.spans
    num_frames = sum(span.end - span.start for span in spans)
    # min: in half precision, rounding may give ln p slightly above 0
    return TimedWord(
        word.text,
        start_s + spans[0].start * hop_s,
        start_s + spans[-1].end * hop_s,
        math.exp(min(0.0, sum(span.log_prob for span in spans) / num_frames)),
    )
