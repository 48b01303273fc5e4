"""Read a clip of any length: CTC over windows that overlap, or window by window where the decoder takes part.

Shapes: T frames at 25 Hz, V symbols.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..decoding.alignment import TokenSpan, align, timed_words
from ..decoding.ctc import Hypothesis
from ..decoding.joint import JointSearch
from ..decoding.long_words import words_of_long
from ..decoding.stretches import stretches
from ..decoding.subtitles import TimedWord
from ..decoding.windows import log_probs_of_long, overlap_of
from ..media.mouth.settings import FRAMES_PER_S
from .mouth_clip import Stretch

if TYPE_CHECKING:
    from .lip_reader import LipReader


def read_stretches(
    reader: "LipReader",
    stretch: Stretch,
    num_frames: int,
    search: JointSearch | None,
    *,
    window_s: float,
    overlap_s: float | None,
    on_progress: Callable[[float], None] | None,
) -> list[TimedWord]:
    """Read a clip stretch by stretch.

    Args:
        reader: the lip reader.
        stretch: reads the frames of the clip from one to another.
        num_frames: T.
        search: beam search; None = greedy CTC.
        window_s: length of a window; shorter clips are one window.
        overlap_s: overlap of neighbouring windows. None: a third of a window, 4 s at most.
        on_progress: receives the share that is done, 0 to 1.
    """
    if search is not None and search.config.ctc_weight < 1 and reader.model.decoder is not None:
        return list(_read_windows(reader, stretch, num_frames, search, window_s, on_progress))
    scores = log_probs_of_long(
        torch.arange(num_frames),  # the numbers of the frames stand for them
        lambda numbers: reader.log_probs([stretch(int(numbers[0]), int(numbers[-1]) + 1)])[0][0],
        sample_rate_hz=FRAMES_PER_S,
        hop_samples=1,
        window_s=window_s,
        overlap_s=overlap_of(window_s) if overlap_s is None else overlap_s,
        on_progress=on_progress,
    )
    return words_of_long(scores, reader.symbols, reader.hop_s, search)


def _read_windows(
    reader: "LipReader",
    stretch: Stretch,
    num_frames: int,
    search: JointSearch,
    window_s: float,
    on_progress: Callable[[float], None] | None,
) -> Iterator[TimedWord]:
    """Read window by window, cut at the pauses that CTC finds: the decoder needs the frames of whole sentences."""
    size, start = round(window_s * FRAMES_PER_S), 0
    while start < num_frames:
        log_probs, lengths, memory = reader.encode([stretch(start, min(start + size, num_frames))])
        if start + size < num_frames:
            cut = next(iter(stretches([log_probs[0]], size // 2, reader.symbols)))
            # Without a pause the whole window is taken: a word may be cut.
            log_probs, memory = log_probs[:, : len(cut)], memory[:, : len(cut)]
            lengths = lengths.clamp(max=len(cut))
        ((best, *_),) = reader.decode(search, log_probs, lengths, memory)
        spans = _aligned(log_probs[0], best)
        yield from timed_words(spans, reader.symbols, reader.hop_s, start_s=start * reader.hop_s)
        start += log_probs.shape[1]
        if on_progress is not None:
            on_progress(start / num_frames)


def _aligned(log_probs: Tensor, best: Hypothesis) -> list[TokenSpan]:
    """Return the times of a hypothesis; of one with more tokens than frames, which CTC gave no weight, those it has."""
    tokens = list(best.tokens)
    while tokens:
        try:
            return align(log_probs, tokens)
        except ValueError:
            tokens.pop()
    return []
