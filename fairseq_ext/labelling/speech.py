"""Speech detection by Silero's detector, which faster-whisper's wheel holds, and windows of up to 30 s around speech.

Shapes: waveforms `(S,)` float32 at 16 kHz; spans are pairs of sample indices, start and end.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..media.stretches import SampleSource
from ..optional import import_optional
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Waveform

Span = tuple[int, int]


THRESHOLD = 0.5  # probability of speech; Silero's default
MIN_SILENCE_S = 0.3  # shorter pauses belong to the speech
PAD_S = 0.4  # kept at both ends of a window, so that no soft consonant is cut off
BLOCK_S = 600.0  # read at a time
PART_S = 3.0  # languages are compared between such parts; with 4 s fewer changes are found
MIN_PART_SPEECH = 0.5  # share of a part; Whisper takes silence for any language


def find_speech(waveform: SampleSource) -> list[Span]:
    """Return the spans in which someone speaks, in order, none longer than 30 s with `PAD_S` at both ends.

    A long recording is read in blocks of `BLOCK_S`, so that memory does not grow with its length.
    """
    spans: list[Span] = []
    start = 0
    while start < len(waveform):
        end = min(start + round(BLOCK_S * SAMPLE_RATE_HZ), len(waveform))
        spans += [(start + first, start + last) for first, last in _in_block(waveform[start:end])]
        # Speech that the block may have cut is found again, whole, by the next one.
        margin = end - round(PAD_S * SAMPLE_RATE_HZ)
        if end < len(waveform) and spans and spans[-1][0] > start and spans[-1][1] > margin:
            end = spans.pop()[0]
        start = end
    return spans


def _in_block(block: Waveform) -> list[Span]:
    vad = import_optional("faster_whisper.vad")
    options = vad.VadOptions(
        threshold=THRESHOLD,
        min_silence_duration_ms=round(1000 * MIN_SILENCE_S),
        speech_pad_ms=0,
        max_speech_duration_s=MAX_SAMPLES / SAMPLE_RATE_HZ - 2 * PAD_S,
    )
    found = vad.get_speech_timestamps(block, options)
    return [(int(span["start"]), min(int(span["end"]), len(block))) for span in found]


def speech_s(spans: Sequence[Span]) -> float:
    """Return the total duration of speech, s."""
    return sum(end - start for start, end in spans) / SAMPLE_RATE_HZ


def windows(spans: Sequence[Span], num_samples: int) -> list[Span]:
    """Join neighbouring spans into windows of up to 30 s, which share no speech; none where nobody speaks.

    Silence before the first and after the last span of a window is dropped except for `PAD_S`, because Whisper's
    language detection is wrong on silence.
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


def cut(waveform: SampleSource, window: Span) -> Waveform:
    """Return a copy of the samples of a window."""
    return np.array(waveform[window[0] : window[1]], dtype=np.float32)


def parts(window: Span, spans: Sequence[Span]) -> list[Span]:
    """Divide a window into parts of `PART_S` or more whose languages are compared; those of silence are left out."""
    size = window[1] - window[0]
    num = max(1, int(size / SAMPLE_RATE_HZ / PART_S))
    edges = [window[0] + size * i // num for i in range(num + 1)]
    return [
        part for part in pairwise(edges) if _speech_in(part, spans) >= MIN_PART_SPEECH * (part[1] - part[0])
    ]


def _speech_in(part: Span, spans: Sequence[Span]) -> int:
    return sum(max(0, min(part[1], end) - max(part[0], start)) for start, end in spans)
