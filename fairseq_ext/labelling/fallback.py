"""Decode again, by sampling, where a text is unlikely or a loop (Radford et al. 2022, section 4.5)."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from .engine import Decoding, Hypothesis, compression_ratio

# Positions in the batch and a temperature -> their hypotheses.
Decode = Callable[[Sequence[int], float], Sequence[Hypothesis]]


def with_fallback(decode: Decode, wanted: Sequence[int], decoding: Decoding) -> dict[int, Hypothesis]:
    """Decode the `wanted` windows at the first temperature, those that failed at the next, and so on to the last.

    When a window fails at all temperatures, the last hypothesis is kept, as in openai-whisper; the filters see from
    its scores what it is worth.
    """
    found: dict[int, Hypothesis] = {}
    left = list(wanted)
    for temperature in decoding.temperatures:
        if not left:
            break
        found.update(zip(left, decode(left, temperature), strict=True))
        left = [position for position in left if _has_failed(found[position], decoding)]
    return found


def same_length(prompts: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Group the positions whose prompts are equally long: these can be decoded in one batch."""
    groups: dict[int, list[int]] = defaultdict(list)
    for position, prompt in prompts.items():
        groups[len(prompt)].append(position)
    return list(groups.values())


def batched_unless_sampled(search: Callable[[list[int], float], Sequence[Hypothesis]]) -> Decode:
    """Let a search take all windows at once at temperature 0, and one window per call above.

    So samples do not depend on the other windows of a batch.
    """

    def decode(chosen: Sequence[int], temperature: float) -> list[Hypothesis]:
        groups = [list(chosen)] if temperature == 0 else [[index] for index in chosen]
        return [hypothesis for group in groups for hypothesis in search(group, temperature)]

    return decode


def _has_failed(hypothesis: Hypothesis, decoding: Decoding) -> bool:
    """Return whether to try another temperature: for a loop, and for an unlikely text unless silence is likely."""
    unlikely = hypothesis.avg_logprob < decoding.min_avg_logprob
    if unlikely and (hypothesis.no_speech_prob or 0.0) > decoding.max_no_speech_prob:
        return False
    return unlikely or compression_ratio(hypothesis.text) > decoding.max_compression_ratio
