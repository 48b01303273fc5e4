"""Trying again by sampling where a text is unlikely or a loop (Radford et al. 2022, section 4.5)."""

from collections.abc import Callable, Sequence

from .engine import Decoding, Hypothesis, compression_ratio

# Positions in the batch and a temperature -> their hypotheses.
Decode = Callable[[Sequence[int], float], Sequence[Hypothesis]]


def with_fallback(decode: Decode, wanted: Sequence[int], decoding: Decoding) -> dict[int, Hypothesis]:
    """Decodes at the first temperature, then those that failed at the next, up to the last.

    Where all fail the last attempt stands, as in openai-whisper; its signals say what it is worth.

    Args:
        decode: an engine's search.
        wanted: positions of the windows to decode.
        decoding: temperatures and what counts as failed.

    Returns:
        Position -> hypothesis.
    """
    found: dict[int, Hypothesis] = {}
    left = list(wanted)
    for temperature in decoding.temperatures:
        if not left:
            break
        found.update(zip(left, decode(left, temperature), strict=True))
        left = [position for position in left if has_failed(found[position], decoding)]
    return found


def has_failed(hypothesis: Hypothesis, decoding: Decoding) -> bool:
    """Whether another temperature is worth a try.

    Args:
        hypothesis: of a window.
        decoding: the thresholds.

    Returns:
        True for a loop, and for an unlikely text except where nobody seems to speak.
    """
    unlikely = hypothesis.avg_logprob < decoding.min_avg_logprob
    if unlikely and (hypothesis.no_speech_prob or 0.0) > decoding.max_no_speech_prob:
        return False
    return unlikely or compression_ratio(hypothesis.text) > decoding.max_compression_ratio
