"""A second look at the language of a short recording of which Whisper is unsure: it is heard slower and faster, too.

One probability of a few words depends on how fast they were said: of four digits it was 0.50 for English as recorded,
0.83 slower, 0.35 faster. The mean over speeds is steadier. Likelihoods of the texts do not help: digits are written
alike in any language ("4, 1, 6, 0" was likelier as Chinese).

Only a recording of one part is heard again. In a longer one the languages of its parts can be compared, and where the
whole is unsure the likely reason is a change of language, which must stay visible.

Shapes: windows `(S,)` float32 at 16 kHz.
"""

from collections.abc import Iterator, Sequence

from ..media.resampling import Ratio, resample
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Engine, Languages, Waveform

UNSURE = 0.5  # a lower probability of the likeliest language: all others together are likelier
SPEEDS_PERCENT = (90, 110)  # beside the recorded one


def is_unsure(found: Languages) -> bool:
    """Return whether the likeliest language, the first, has less than even odds."""
    return found[0][1] < UNSURE


def look_again(engine: Engine, window: Waveform, found: Languages) -> Languages:
    """Return the mean of the languages `found` in a window and of those at other speeds, the likeliest first."""
    rows = [found, *(engine.detect_language(engine.encode([view]))[0] for view in at_other_speeds(window))]
    return averaged(rows)


def at_other_speeds(window: Waveform) -> Iterator[Waveform]:
    """Yield a window slower and faster, with its pitch, as a tape would play it; no longer than 30 s."""
    for percent in SPEEDS_PERCENT:
        ratio = Ratio.of(SAMPLE_RATE_HZ * percent // 100, SAMPLE_RATE_HZ)
        yield resample(window, 0, 0, min(ratio.output_length(len(window)), MAX_SAMPLES), ratio)


def averaged(rows: Sequence[Languages]) -> Languages:
    """Return the mean probability of each language over several looks; one that a look lacks has 0 there."""
    sums: dict[str, float] = {}
    for row in rows:
        for code, probability in row:
            sums[code] = sums.get(code, 0.0) + probability
    return sorted(
        ((code, total / len(rows)) for code, total in sums.items()), key=lambda item: (-item[1], item[0])
    )
