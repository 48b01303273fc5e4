"""A second look at the language of a short recording of which Whisper is unsure.

It is decoded in the runner-up language too, and heard slower and faster. Where both texts are the same, such as digits,
"4, 1, 6, 0" in English and Chinese, the mean probability over the speeds counts: that of one speed depends on how fast
the words were said (0.50 as recorded, 0.83 slower, 0.35 faster). Where they differ the recording stays unsure: of 40
clips of FLEURS that change their language after 2 s the mean alone took two more. Likelihoods of the texts do not help,
Chinese was likelier for the digits.

Only a recording of one part is looked at again. In a longer one the languages of its parts can be compared, and where
the whole is unsure the likely reason is a change of language, which must stay visible.

Shapes: windows `(S,)` float32 at 16 kHz.
"""

from collections.abc import Iterator, Sequence

from ..media.resampling import Ratio, resample
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Engine, Languages, Waveform

UNSURE = 0.5  # a lower probability of the likeliest language: all others together are likelier
# Below it the languages say nothing: the right digits that were refused lie above, and each look costs two decodings.
HOPELESS = 0.4
SPEEDS_PERCENT = (90, 110)  # beside the recorded one


def is_unsure(found: Languages) -> bool:
    """Return whether the likeliest language, the first, has a little less than even odds."""
    return HOPELESS <= found[0][1] < UNSURE


def look_again(engine: Engine, window: Waveform, found: Languages) -> Languages:
    """Return the mean of the languages `found` in a window and of those at other speeds, the likeliest first.

    `found` itself where the two likeliest languages give different texts, or the engine has no second one.
    """
    codes = [code for code, _ in found[:2] if code in engine.languages]
    encoded = engine.encode([window])
    texts = {_letters(text.text) for code in codes for text in engine.transcribe(encoded, [code]) if text}
    if len(codes) < 2 or len(texts) > 1:
        return found
    return averaged(
        [found, *(engine.detect_language(engine.encode([v]))[0] for v in at_other_speeds(window))]
    )


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


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
