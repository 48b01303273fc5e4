"""What every table of recognisers asks of the results: decoders, partitions, the system in detail, cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...scoring.scored_system import RECOGNITION, of_kind
from ..tables import NOTHING, Results, Summary, detailed_system, headlines, number, spread, summaries

DECODER_TITLES = {"greedy": "greedy", "beam": "beam", "lm": "with LM"}


def decoder_title(name: str) -> str:
    """A decoder's name for readers.

    Args:
        name: such as `lm`.

    Returns:
        Such as `with LM`.
    """
    return DECODER_TITLES.get(name, name)


def decoders(found: Sequence[Summary]) -> list[str]:
    """The decoders of some systems, greedy first.

    Args:
        found: summaries.

    Returns:
        Each name once.
    """
    order = list(DECODER_TITLES)
    names = {name for s in found for name in s["decoders"]}
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def shown_partitions(results: Results) -> list[str]:
    """The partitions that come first: those of the recipe's headline, else all.

    Args:
        results: the results.

    Returns:
        Protocols with recognition rows.
    """
    every = dict.fromkeys(s["partition"] for s in of_kind(results["summary"], RECOGNITION))
    return headlines(results, RECOGNITION) or list(every)


def detailed(results: Results) -> Summary | None:
    """The recogniser shown in detail, under the first partition.

    Args:
        results: the results.

    Returns:
        Its summary, or None when nothing was recognised.
    """
    partitions = shown_partitions(results)
    if not partitions:
        return None
    name = detailed_system(results, partitions[0], RECOGNITION)
    return next(s for s in summaries(results, partitions[0], RECOGNITION) if s["system"] == name)


def metric_of(summary: Summary, decoder: str, metric: str) -> Mapping[str, float] | None:
    """One metric over seeds.

    Args:
        summary: of a system.
        decoder: such as `greedy`.
        metric: such as `wer`.

    Returns:
        `mean`, `min`, `max`, `low`, `high`; None where the decoder was not run.
    """
    found: Mapping[str, Mapping[str, float]] = summary["decoders"].get(decoder, {}).get("metrics", {})
    return found.get(metric)


def spread_of(summary: Summary, decoder: str, metric: str) -> str:
    """Prints a metric over seeds.

    Args:
        summary: of a system.
        decoder: such as `greedy`.
        metric: such as `wer`.

    Returns:
        Such as `17.4 (16.0–19.1)`.
    """
    found = metric_of(summary, decoder, metric)
    return NOTHING if found is None else spread(found, len(summary["decoders"][decoder]["seeds"]))


def updates_text(values: Sequence[int]) -> str:
    """Prints what systems were trained for.

    Args:
        values: numbers of updates.

    Returns:
        Such as `2,000`.
    """
    return ", ".join(number(value) for value in values) or NOTHING


def minutes_text(minutes: float) -> str:
    """Prints an amount of speech.

    Args:
        minutes: the amount.

    Returns:
        Such as `8.5 s`, `10 min` or `2.5 h`.
    """
    if minutes < 1:
        return f"{60 * minutes:.3g} s"
    return f"{minutes / 60:.3g} h" if minutes >= 120 else f"{minutes:.3g} min"


def slug(partition: str) -> str:
    """A partition as a part of a key.

    Args:
        partition: such as `labels/10`.

    Returns:
        Such as `labels-10`.
    """
    return partition.replace("/", "-")
