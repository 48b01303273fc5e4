"""Long recordings: overlapping windows through the recogniser, stitched at the log-probabilities.

A self-attention encoder's memory grows with the square of the length, and its training saw utterances of seconds. Each
window gives up half of each overlap, where it lacks the context that its neighbour has. A recogniser that normalises
its whole input (loudness, say) does so per window here.

Shapes: S samples, T frames, V symbols.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# As long as the longer utterances of read speech corpora: on longer windows than training saw, recognisers babble.
WINDOW_S = 20.0
# Half of it, 2 s, is the context that a frame keeps at least: two or three words.
OVERLAP_S = 4.0
_LEAST_S = 2.0
_OVERLAP_SHARE = 1 / 3


def window_of(long_s: float | None) -> float:
    """Chooses the length of the windows.

    Args:
        long_s: length of the longest recordings in training, s; None: not known.

    Returns:
        Seconds: so long, from 2 to `WINDOW_S`.
    """
    return WINDOW_S if long_s is None else min(max(long_s, _LEAST_S), WINDOW_S)


def overlap_of(window_s: float) -> float:
    """Chooses the overlap of windows.

    Args:
        window_s: their length, s.

    Returns:
        Seconds: a third, `OVERLAP_S` at most.
    """
    return min(OVERLAP_S, window_s * _OVERLAP_SHARE)


@torch.no_grad()
def log_probs_of_long(
    waveform: Tensor,
    log_probs_of: Callable[[Tensor], Tensor],
    *,
    sample_rate_hz: int,
    hop_samples: int,
    window_s: float = WINDOW_S,
    overlap_s: float = OVERLAP_S,
    on_progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Runs a recogniser over a recording of any length.

    Where no frame sees further than half an overlap to either side, the result is that of the whole recording at once.

    Args:
        waveform: (S,), on the device of the recogniser.
        log_probs_of: the recogniser: (S',) samples to (T', V) ln p, one frame per hop.
        sample_rate_hz: of the waveform, Hz.
        hop_samples: samples from one frame to the next.
        window_s: length of a window, s; a recording up to it is taken whole.
        overlap_s: what neighbouring windows share, s.
        on_progress: called after each window with the share of the recording that has been heard, 0 to 1.

    Returns:
        (T, V) ln p.

    Raises:
        ValueError: not a vector, a window of no frames, an overlap that is not shorter than it or too short for the
            recogniser's filters, or a recogniser with another hop.
    """
    if waveform.ndim != 1:
        raise ValueError(f"windows: expected shape (S,), found {tuple(waveform.shape)}; take one channel")
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
    parts = []
    for start, first, end in zip(starts, [0, *ends], [*ends, None], strict=True):
        samples = waveform[start * hop_samples : (start + window) * hop_samples]
        found = log_probs_of(samples)
        _check_frames(len(found), len(samples), hop_samples, None if end is None else end - start)
        parts.append(found[first - start : None if end is None else end - start])
        if on_progress is not None:
            on_progress(len(parts) / len(starts))
    return torch.cat(parts)


def _check_frames(num_frames: int, num_samples: int, hop_samples: int, needed: int | None) -> None:
    """A frame more than hops is what centred frames give; unpadded convolutions give some less."""
    most = num_samples // hop_samples + 1
    least = 0 if needed is None else needed
    if not least <= num_frames <= most:
        raise ValueError(
            f"windows: {least} to {most} frames of {num_samples} samples expected at a hop of {hop_samples}, found "
            f"{num_frames}; {'make the overlap longer, or ' if num_frames < least else ''}give the recogniser's hop"
        )
