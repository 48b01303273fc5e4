"""Partitions and systems as a report shows them: their titles, their order, and which come first.

A family is what partitions share before the last slash, written with it: `leave_one_out/` of `leave_one_out/anna`.
Where every partition of a family tests other utterances they are folds, and `results.json` holds their predictions
scored as one under `pooled` (see `folds`). A headline is a partition or such a family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..scoring.scored_system import CLASSIFICATION, of_result_type

PUBLISHED, ONE_SPEAKER = "published", "one_speaker"
LEFT_OUT, LEAKY, INNER = "loso/", "leaky/", "inner/"
CROSS_CORPUS = "cross_corpus/"  # each tests another corpus: no folds
TITLES = {
    PUBLISHED: "Published split, unseen speakers",
    ONE_SPEAKER: "Labels of one speaker only, tested on unseen speakers",
    LEFT_OUT: "Leave one speaker out",
}

Results = Mapping[str, Any]
Summary = Mapping[str, Any]


def system_title(results: Results, name: str) -> str:
    """Return the recipe's title of a system, or its name with spaces."""
    return str(results["about"].get("systems", {}).get(name, name.replace("_", " ")))


def in_order(results: Results, names: Iterable[str]) -> list[str]:
    """Order systems as the recipe lists them, each once; others follow alphabetically."""
    order = {name: i for i, name in enumerate(results["about"].get("systems", {}))}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))


def partition_title(results: Results, partition: str) -> str:
    """Return the title of a partition or family of folds, for a family with the words "folds pooled"."""
    if partition.endswith("/"):
        return f"{family_title(results, partition)}, folds pooled"
    named = results["about"].get("partitions", {})
    return str(named.get(partition, TITLES.get(partition, f"Partition: {partition}")))


def bare_title(results: Results, partition: str) -> str:
    """Return the title of a partition or family, without the word partition where its name is its title."""
    return partition_title(results, partition).removeprefix("Partition: ")


def family_title(results: Results, family: str) -> str:
    """Return the title of a family, such as `Leave one out`; `about.partitions` may name it, without the slash too."""
    named = {**TITLES, **results["about"].get("partitions", {})}
    name = family.rstrip("/")
    return str(named.get(family, named.get(name, name.replace("_", " ").capitalize())))


def family_of(partition: str) -> str | None:
    """Return what is before a partition's last slash, with the slash; None without one."""
    family, slash, _ = partition.rpartition("/")
    return family + slash if slash else None


def shown_family(family: str, families: Iterable[str]) -> str:
    """Return the family that a family is shown with.

    That is itself, or for folds within folds, such as `speaker/fold01/` beside `speaker/fold02/`, `speaker/`.
    """
    parent = family_of(family.rstrip("/"))
    siblings = {other for other in families if parent and family_of(other.rstrip("/")) == parent}
    return parent if parent and len(siblings) > 1 else family


def belongs(partition: str, prefix: str) -> bool:
    """Return whether a partition is the given one, or of the given family, which ends in `/`."""
    return partition == prefix or (prefix.endswith("/") and partition.startswith(prefix))


def num_labels(partition: str) -> int | None:
    """Return how many recordings per class and speaker a partition with few labels trains on; None for others.

    They are `labels/N` of a published split, and families `labels_N/` of folds.
    """
    found = re.fullmatch(r"labels(?:/(\d+)|_(\d+)/)", partition)
    return int(found[1] or found[2]) if found else None


def num_speakers(summary: Summary) -> int:
    """Return the number of test speakers; files of earlier formats list the speakers alone."""
    return int(summary.get("num_speakers", len(summary.get("per_speaker", {}))))


def summaries(results: Results, prefix: str, result_type: str = CLASSIFICATION) -> list[Summary]:
    """Pick the summaries of a partition, or of every partition of a family, in the recipe's order of systems."""
    found = [s for s in of_result_type(results["summary"], result_type) if belongs(s["partition"], prefix)]
    return _ordered(results, found)


def headline_summaries(results: Results, headline: str, result_type: str = CLASSIFICATION) -> list[Summary]:
    """Pick the summaries of a partition or of the pooled folds of a family: one per system, in the recipe's order."""
    source = results.get("pooled", []) if headline.endswith("/") else results["summary"]
    return _ordered(results, [s for s in of_result_type(source, result_type) if s["partition"] == headline])


def _ordered(results: Results, found: list[Summary]) -> list[Summary]:
    order = in_order(results, [s["system"] for s in found])
    return sorted(found, key=lambda s: (order.index(s["system"]), s["partition"]))


def headlines(results: Results, result_type: str = CLASSIFICATION) -> list[str]:
    """Return the partitions and families whose systems are shown first and in detail, where they have such results.

    `about.headline` lists them. The default is the published split, or else everything that has no table of its own:
    pooled folds, and partitions outside of families of folds.
    """
    listed = results["about"].get("headline") or _default_headlines(results, result_type)
    return [headline for headline in listed if headline_summaries(results, headline, result_type)]


def detailed_headlines(results: Results) -> list[str]:
    """Return the headlines of classifiers that have details, such as confusions: those of `about.details`, or all."""
    heads = headlines(results)
    return [head for head in heads if head in results["about"].get("details", heads)]


def _default_headlines(results: Results, result_type: str) -> list[str]:
    found = of_result_type(results["summary"], result_type)
    partitions = {s["partition"] for s in found}
    if PUBLISHED in partitions:
        return [PUBLISHED]
    pooled = of_result_type(results.get("pooled", []), result_type)
    families = {s["partition"] for s in pooled}
    every = sorted(families | {p for p in partitions if family_of(p) not in families})
    elsewhere = (ONE_SPEAKER, INNER, LEAKY, *results["about"].get("leaky", ()))
    shared = {s["partition"] for s in (*found, *pooled) if s.get("num_shared_speakers")}
    main = [
        p
        for p in every
        if p not in shared and num_labels(p) is None and not any(belongs(p, prefix) for prefix in elsewhere)
    ]
    return main or every


def chosen_system(results: Results, headline: str, result_type: str) -> str | None:
    """Return the recipe's choice, `about.best`, scored or not; None = it names none."""
    best = results["about"].get("best")
    chosen: str | None = best.get(headline, best.get(result_type)) if isinstance(best, Mapping) else best
    return chosen


def detailed_system(
    results: Results, headline: str = PUBLISHED, result_type: str = CLASSIFICATION
) -> str | None:
    """Return the system whose details are shown: the recipe's choice, never the best test score.

    `about.best` is a system, or a mapping from headlines or result types to systems. Where the recipe names none that
    was scored, it is the last one of the headline that has a title in `about.systems`, which controls have not; with no
    titles, the last one.
    """
    names = [s["system"] for s in headline_summaries(results, headline, result_type)] or in_order(
        results, [s["system"] for s in of_result_type(results["summary"], result_type)]
    )
    chosen = chosen_system(results, headline, result_type)
    if chosen in names:
        return chosen
    titled = [name for name in names if name in results["about"].get("systems", {})]
    return next(reversed(titled or names), None)
