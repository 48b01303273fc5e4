"""Speech detection by Silero's detector, which faster-whisper's wheel holds, and windows of up to 30 s around speech.

Shapes: waveforms `(S,)` float32 at 16 kHz; spans are pairs of sample indices, start and end.
"""

from collections.abc import Sequence

import numpy as np

from ..optional import import_optional
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Waveform

Span = tuple[int, int]

THRESHOLD = 0.5  # probability of speech; Silero's default
MIN_SILENCE_S = 0.3  # shorter pauses belong to the speech
PAD_S = 0.4  # kept at both ends of a window, so that no soft consonant is cut off


def find_speech(waveform: Waveform) -> list[Span]:
    """Find the spans in which someone speaks.

    Args:
        waveform: waveform (S,) at 16 kHz.

    Returns:
        Spans in order, none longer than 30 s with `PAD_S` at both ends.
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
    """Return the total duration of speech.

    Args:
        spans: result of `find_speech`.

    Returns:
        Seconds.
    """
    return sum(end - start for start, end in spans) / SAMPLE_RATE_HZ


def windows(spans: Sequence[Span], num_samples: int) -> list[Span]:
    """Join neighbouring spans into windows of up to 30 s, since a window costs the same whatever it holds.

    Silence before the first and after the last span of a window is dropped except for `PAD_S`, because Whisper's
    language detection is wrong on silence.

    Args:
        spans: result of `find_speech`.
        num_samples: length S of the waveform.

    Returns:
        Windows in order, which share no speech; empty where nobody speaks.
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
    """Cut a window out of a waveform.

    Args:
        waveform: waveform (S,).
        window: one of `windows`.

    Returns:
        A copy of its samples.
    """
    return np.array(waveform[window[0] : window[1]], dtype=np.float32)
