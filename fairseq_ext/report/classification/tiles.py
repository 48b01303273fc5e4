"""The figures of classifiers to take away, on top of the page."""

from __future__ import annotations

from collections.abc import Iterator

from ..partitions import (
    detailed_headlines,
    detailed_system,
    headline_summaries,
    headlines,
    partition_title,
    system_title,
)
from ..result_type import Tile
from ..run import Run
from ..tables import interval, percent
from .families import fold_families, fold_metric, fold_scores, tests_one_speaker

METRIC_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "macro_recall": "UA (macro recall)"}
ALONE = ("accuracy", "macro_f1")  # where there is one headline, and the recipe names no metric


def tiles(run: Run) -> list[Tile]:
    """Return the main figures of the systems shown in detail."""
    heads = headlines(run.results)
    compared = str(run.results["about"].get("metric", "macro_f1"))
    metrics = ALONE if len(heads) == 1 and compared in ALONE else (compared,)
    made: list[Tile] = []
    for head in detailed_headlines(run.results):
        name = str(detailed_system(run.results, head))
        summary = next(s for s in headline_summaries(run.results, head) if s["system"] == name)
        where = f" ({partition_title(run.results, head)})" if len(heads) > 1 or "folds" in summary else ""
        # Systems that do not say it were scored on disjoint splits.
        whom = "" if summary.get("num_shared_speakers") else " on unseen speakers"
        count = len(summary["seeds"])
        system = f"{system_title(run.results, name)}, {'1 seed' if count == 1 else f'mean of {count} seeds'}"
        for metric in metrics:
            found = summary["metrics"][metric]
            text = f"{METRIC_NAMES[metric]}{whom}{where}; 95 % interval {interval(found)}, {system}"
            made.append(Tile(f"{percent(found['mean'])} %", text))
        made += _fold_tiles(run, head, name)
    return made


def _fold_tiles(run: Run, head: str, system: str) -> Iterator[Tile]:
    _, metric = fold_metric(run.results)
    for family in fold_families(run.results):
        scores = fold_scores(run.results, family, system)
        if not scores or (head.endswith("/") and head != family):
            continue
        fold = "speaker" if tests_one_speaker(run.results, family) else "fold"
        worst = min(scores, key=lambda name: scores[name])
        if head != family:  # beside the pooled figure the mean over folds would only puzzle
            mean = sum(scores.values()) / len(scores)
            yield Tile(f"{percent(mean)} %", f"{metric}, each of {len(scores)} {fold}s left out in turn")
        yield Tile(f"{percent(scores[worst])} %", f"{metric} of the hardest {fold}, {worst}")
