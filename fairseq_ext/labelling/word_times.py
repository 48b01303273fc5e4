"""When the words of a known text are said, by aligning the sound with a Whisper.

On 12 clips of GRID with the words that people wrote, the borders that a Whisper base finds are 0.03 to 0.1 s off the
published ones, but the first: attention begins in the silence before, by 0.5 s. Bounded by speech detection it is
0.16 s late, and 83 % of the frames have the published word or silence, instead of 71 %.
"""

from collections.abc import Sequence

from .engine import SAMPLE_RATE_HZ, Waveform
from .faster_whisper import FasterWhisper
from .speech import find_speech


def align_words(
    whisper: FasterWhisper, waveform: Waveform, words: Sequence[str], language: str
) -> list[tuple[float, float]]:
    """Return start and end of each word, s, in order; within the speech that is found, if any is.

    Args:
        whisper: the model.
        waveform: (S,) at 16 kHz, of 30 s at most.
        words: the text, one word or more.
        language: code of its language.
    """
    times = whisper.align(whisper.encode([waveform]), words, language, len(waveform))
    spans = find_speech(waveform)
    if not spans:
        return times
    first_s, last_s = spans[0][0] / SAMPLE_RATE_HZ, spans[-1][1] / SAMPLE_RATE_HZ
    return [(_within(start, first_s, last_s), _within(end, first_s, last_s)) for start, end in times]


def _within(time_s: float, first_s: float, last_s: float) -> float:
    return min(max(time_s, first_s), last_s)
