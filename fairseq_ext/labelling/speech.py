"""Where someone speaks, by Silero's detector inside faster-whisper's wheel, and windows of at most 30 s around it.

Shapes: `(S,)` float32 at 16 kHz; spans are pairs of samples, start and end.
"""

from collections.abc import Sequence

import numpy as np

from ..optional import import_optional
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Waveform

Span = tuple[int, int]

THRESHOLD = 0.5  # of the probability of speech: Silero's own
MIN_SILENCE_S = 0.3  # shorter pauses belong to the speech
# Kept around speech, half a second at each end at most, lest a soft consonant be cut off.
PAD_S = 0.4


def find_speech(waveform: Waveform) -> list[Span]:
    """Finds who-knows-who's speech.

    Args:
        waveform: (S,) at 16 kHz.

    Returns:
        Spans in order, none of which is longer than 30 s with `PAD_S` at both ends.
    """
    vad = import_optional("faster_whisper.vad")
    options = vad.VadOptions(
        threshold=THRESHOLD,
        min_silence_duration_ms=round(1000 * MIN_SILENCE_S),
        speech_pad_ms=0,
        max_speech_duration_s=MAX_SAMPLES / SAMPLE_RATE_HZ - 2 * PAD_S,
    )
    found = vad.get_speech_timestamps(waveform, options)
    return [(int(span["start"]), min(int(span["end"]), len(waveform))) for span in found]


def speech_s(spans: Sequence[Span]) -> float:
    """Adds up speech.

    Args:
        spans: of `find_speech`.

    Returns:
        Seconds.
    """
    return sum(end - start for start, end in spans) / SAMPLE_RATE_HZ


def windows(spans: Sequence[Span], num_samples: int) -> list[Span]:
    """Joins neighbouring spans as long as they fit into 30 s, since what a window costs hardly depends on its content.

    Silence before the first and after the last span of a window is left out except for `PAD_S`: a language told by
    silence is wrong.

    Args:
        spans: of `find_speech`.
        num_samples: of the waveform.

    Returns:
        Windows in order; they share no speech. None where nobody speaks.
    """
    groups: list[list[Span]] = []
    pad = round(PAD_S * SAMPLE_RATE_HZ)
    for span in spans:
        if groups and span[1] - groups[-1][0][0] + 2 * pad <= MAX_SAMPLES:
            groups[-1].append(span)
        else:
            groups.append([span])
    found: list[Span] = []
    for number, group in enumerate(groups):
        before = groups[number - 1][-1][1] if number else 0
        after = groups[number + 1][0][0] if number + 1 < len(groups) else num_samples
        start = max(group[0][0] - pad, (before + group[0][0]) // 2 if number else 0)
        end = min(
            group[-1][1] + pad, (group[-1][1] + after) // 2 if number + 1 < len(groups) else num_samples
        )
        found.append((start, end))
    return found


def cut(waveform: Waveform, window: Span) -> Waveform:
    """Takes a window out.

    Args:
        waveform: (S,).
        window: of `windows`.

    Returns:
        A copy.
    """
    return np.array(waveform[window[0] : window[1]], dtype=np.float32)
