"""What the tables of recognisers share: decoders, first partitions, the system shown in detail, and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...scoring.scored_system import RECOGNITION, of_result_type
from ..partitions import Results, Summary, chosen_system, detailed_system, headline_summaries, headlines
from ..result_type import System
from ..tables import NOTHING, number, spread

DECODER_TITLES = {"greedy": "greedy", "beam": "beam", "lm": "with LM"}


def decoder_title(name: str) -> str:
    """Return a decoder's name for readers, such as `with LM` for `lm`."""
    return DECODER_TITLES.get(name, name)


def decoders(found: Sequence[Summary]) -> list[str]:
    """Return the names of all decoders of some systems' summaries, greedy first."""
    order = list(DECODER_TITLES)
    names = {name for s in found for name in s["decoders"]}
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def recognised(results: Results) -> list[Summary]:
    """Return the summaries of recognisers: pooled folds as one, and what is no fold of them."""
    pooled = of_result_type(results.get("pooled", []), RECOGNITION)
    folds = {(s["system"], fold) for s in pooled for fold in s["folds"]}
    every = of_result_type(results["summary"], RECOGNITION)
    return [*pooled, *(s for s in every if (s["system"], s["partition"]) not in folds)]


def tested(results: Results, summary: Summary) -> dict[int, list[System]]:
    """Return what was scored behind a summary: seed -> contents of metrics.json, of each fold where they are pooled."""
    partitions = summary.get("folds", [summary["partition"]])
    found: dict[int, list[System]] = {seed: [] for seed in summary["seeds"]}
    for s in of_result_type(results["systems"], RECOGNITION):
        if s["system"] == summary["system"] and s["partition"] in partitions and s["seed"] in found:
            found[s["seed"]].append(s)
    return found


def speaker_sums(systems: Iterable[System], decoder: str) -> dict[str, list[int]]:
    """Add up the numbers of `scores.SPEAKER_COLUMNS` of each speaker."""
    sums: dict[str, list[int]] = {}
    for system in systems:
        for speaker, numbers in system["decoders"][decoder]["per_speaker"].items():
            before = sums.get(speaker, [0] * len(numbers))
            sums[speaker] = [a + b for a, b in zip(before, numbers, strict=True)]
    return sums


def rate_columns(names: Iterable[str]) -> list[str]:
    """Return the names of the columns of WER with its interval, and of CER, of some decoders."""
    titles = [decoder_title(name) for name in names]
    wer = [column for title in titles for column in (f"WER %, {title}", "95 % interval")]
    return [*wer, *(f"CER %, {title}" for title in titles)]


def shown_partitions(results: Results) -> list[str]:
    """Return the recognised partitions that come first: those of the recipe's headline, else all."""
    every = dict.fromkeys(s["partition"] for s in recognised(results))
    return headlines(results, RECOGNITION) or list(every)


def detailed(results: Results) -> Summary | None:
    """Return the summary of the recogniser shown in detail; None without a recogniser.

    It is under the first partition that has the recipe's choice: languages without a lip reader have their labels only.
    """
    names = {name: detailed_system(results, name, RECOGNITION) for name in shown_partitions(results)}
    if not names:
        return None
    with_choice = (p for p, system in names.items() if system == chosen_system(results, p, RECOGNITION))
    partition = next(with_choice, next(iter(names)))
    found = headline_summaries(results, partition, RECOGNITION)
    return next(s for s in found if s["system"] == names[partition])


def metric_of(summary: Summary, decoder: str, metric: str) -> Mapping[str, float] | None:
    """Return `mean`, `min`, `max`, `low`, `high` of a metric over seeds; None where the decoder was not run."""
    found: Mapping[str, Mapping[str, float]] = summary["decoders"].get(decoder, {}).get("metrics", {})
    return found.get(metric)


def spread_of(summary: Summary, decoder: str, metric: str) -> str:
    """Print a metric over seeds, such as `17.4 (16.0–19.1)`."""
    found = metric_of(summary, decoder, metric)
    return NOTHING if found is None else spread(found, len(summary["decoders"][decoder]["seeds"]))


def updates_text(values: Sequence[int]) -> str:
    """Print how many updates systems were trained for, such as `2,000`."""
    return ", ".join(number(value) for value in values) or NOTHING


def minutes_text(minutes: float) -> str:
    """Print an amount of speech, minutes, such as `8.5 s`, `10 min` or `2.5 h`."""
    if minutes < 1:
        return f"{60 * minutes:.3g} s"
    return f"{minutes / 60:.3g} h" if minutes >= 120 else f"{minutes:.3g} min"
