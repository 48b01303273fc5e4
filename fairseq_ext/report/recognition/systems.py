"""What the tables of recognisers share: decoders, first partitions, the system shown in detail, and cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...scoring.scored_system import RECOGNITION, of_result_type
from ..partitions import Results, Summary, detailed_system, headlines, summaries
from ..tables import NOTHING, number, spread

DECODER_TITLES = {"greedy": "greedy", "beam": "beam", "lm": "with LM"}


def decoder_title(name: str) -> str:
    """Return a decoder's name for readers.

    Args:
        name: name of the decoder, such as `lm`.

    Returns:
        Text such as `with LM`.
    """
    return DECODER_TITLES.get(name, name)


def decoders(found: Sequence[Summary]) -> list[str]:
    """Return the decoders of some systems, greedy first.

    Args:
        found: summaries of the systems.

    Returns:
        Each name once.
    """
    order = list(DECODER_TITLES)
    names = {name for s in found for name in s["decoders"]}
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def shown_partitions(results: Results) -> list[str]:
    """Return the partitions that come first: those of the recipe's headline, else all.

    Args:
        results: results of a run.

    Returns:
        Partitions that were recognised.
    """
    every = dict.fromkeys(s["partition"] for s in of_result_type(results["summary"], RECOGNITION))
    return headlines(results, RECOGNITION) or list(every)


def detailed(results: Results) -> Summary | None:
    """Return the recogniser shown in detail, under the first partition.

    Args:
        results: results of a run.

    Returns:
        Its summary, or None when nothing was recognised.
    """
    partitions = shown_partitions(results)
    if not partitions:
        return None
    name = detailed_system(results, partitions[0], RECOGNITION)
    return next(s for s in summaries(results, partitions[0], RECOGNITION) if s["system"] == name)


def metric_of(summary: Summary, decoder: str, metric: str) -> Mapping[str, float] | None:
    """Return one metric over seeds.

    Args:
        summary: summary of a system.
        decoder: name of the decoder, such as `greedy`.
        metric: name of the metric, such as `wer`.

    Returns:
        `mean`, `min`, `max`, `low`, `high`; None where the decoder was not run.
    """
    found: Mapping[str, Mapping[str, float]] = summary["decoders"].get(decoder, {}).get("metrics", {})
    return found.get(metric)


def spread_of(summary: Summary, decoder: str, metric: str) -> str:
    """Print a metric over seeds.

    Args:
        summary: summary of a system.
        decoder: name of the decoder, such as `greedy`.
        metric: name of the metric, such as `wer`.

    Returns:
        Text such as `17.4 (16.0–19.1)`.
    """
    found = metric_of(summary, decoder, metric)
    return NOTHING if found is None else spread(found, len(summary["decoders"][decoder]["seeds"]))


def updates_text(values: Sequence[int]) -> str:
    """Print how long systems were trained.

    Args:
        values: numbers of updates.

    Returns:
        Text such as `2,000`.
    """
    return ", ".join(number(value) for value in values) or NOTHING


def minutes_text(minutes: float) -> str:
    """Print an amount of speech.

    Args:
        minutes: the amount, minutes.

    Returns:
        Text such as `8.5 s`, `10 min` or `2.5 h`.
    """
    if minutes < 1:
        return f"{60 * minutes:.3g} s"
    return f"{minutes / 60:.3g} h" if minutes >= 120 else f"{minutes:.3g} min"
