"""Long recordings: overlapping windows through the recogniser, joined at the log-probabilities.

The memory of a self-attention encoder grows with the square of the length, and it was trained on utterances of seconds.
Each window drops half of each overlap, where it lacks the context that its neighbour has. A recogniser that normalises
its whole input, such as its loudness, does so per window here.

Shapes: S samples, T frames, V symbols.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# The length of long utterances of read speech corpora: recognisers fail on longer windows than in training.
WINDOW_S = 20.0
# Each frame keeps at least half of this as context, 2 s: two or three words.
OVERLAP_S = 4.0
_LEAST_S = 2.0
_OVERLAP_SHARE = 1 / 3


class Samples(Protocol):
    """A waveform (S,), in memory or a file of which stretches are read."""

    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> Tensor | NDArray[np.float32]: ...


def window_of(long_s: float | None) -> float:
    """Return the length of windows, s: the longest recordings in training (None: unknown) within 2 s and `WINDOW_S`."""
    return WINDOW_S if long_s is None else min(max(long_s, _LEAST_S), WINDOW_S)


def overlap_of(window_s: float) -> float:
    """Return the overlap of windows, s: a third of a window, `OVERLAP_S` at most."""
    return min(OVERLAP_S, window_s * _OVERLAP_SHARE)


@torch.no_grad()
def log_probs_of_long(
    waveform: Samples,
    log_probs_of: Callable[[Tensor], Tensor],
    *,
    sample_rate_hz: int,
    hop_samples: int,
    window_s: float = WINDOW_S,
    overlap_s: float = OVERLAP_S,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Tensor]:
    """Run a recogniser over a recording of any length; yield ln p (T', V) of each window without half of its overlaps.

    Where the receptive field is at most half an overlap to either side, the result equals that of the whole recording.

    Args:
        waveform: samples (S,); of a file, only a window at a time is in memory.
        log_probs_of: the recogniser: samples (S',) to ln p (T', V), one frame per hop.
        hop_samples: samples from one frame to the next.
        window_s: length of a window, s; a shorter recording is one window.
        overlap_s: overlap of neighbouring windows, s.
        on_progress: called after each window with the share of windows done, 0 to 1.

    Raises:
        ValueError: the waveform is no vector, a window has no frames, the overlap is not shorter than the window or too
            short for the recogniser's filters, or the recogniser has another hop.
    """
    shape = tuple(getattr(waveform, "shape", (len(waveform),)))
    if len(shape) != 1:
        raise ValueError(f"windows: expected shape (S,), found {shape}; take one channel")
    window = round(window_s * sample_rate_hz) // hop_samples  # frames, as all that follows
    overlap = round(overlap_s * sample_rate_hz) // hop_samples
    if window < 1:
        raise ValueError(
            f"windows: {hop_samples / sample_rate_hz:g} s or more expected, found {window_s:g} s; make them longer"
        )
    if not 0 <= overlap < window:
        raise ValueError(
            f"windows: an overlap from 0 to less than the window expected, found {overlap_s:g} s of {window_s:g} s; "
            "change the settings"
        )
    starts = [0]
    while (starts[-1] + window) * hop_samples < len(waveform):
        starts.append(starts[-1] + window - overlap)
    ends = [start + overlap // 2 for start in starts[1:]]
    for number, (start, first, end) in enumerate(zip(starts, [0, *ends], [*ends, None], strict=True), 1):
        samples = torch.as_tensor(waveform[start * hop_samples : (start + window) * hop_samples])
        found = log_probs_of(samples)
        _check_frames(len(found), len(samples), hop_samples, None if end is None else end - start)
        yield found[first - start : None if end is None else end - start]
        if on_progress is not None:
            on_progress(number / len(starts))


def _check_frames(num_frames: int, num_samples: int, hop_samples: int, needed: int | None) -> None:
    """Check the number of frames: centred frames are one more than hops, unpadded convolutions give some less."""
    most = num_samples // hop_samples + 1
    least = 0 if needed is None else needed
    if not least <= num_frames <= most:
        raise ValueError(
            f"windows: {least} to {most} frames of {num_samples} samples expected at a hop of {hop_samples}, found "
            f"{num_frames}; {'make the overlap longer, or ' if num_frames < least else ''}give the recogniser's hop"
        )
