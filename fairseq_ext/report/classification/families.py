"""Tables of classifiers over families of partitions: folds, few labels, and the leaky control.

The functions take the results of a run; a table is None where nothing was scored for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ...scoring.scored_system import CLASSIFICATION, of_result_type
from ..partitions import (
    INNER,
    LEAKY,
    LEFT_OUT,
    ONE_SPEAKER,
    PUBLISHED,
    Results,
    Summary,
    belongs,
    family_title,
    headline_summaries,
    headlines,
    in_order,
    num_labels,
    num_speakers,
    partition_title,
    shown_family,
    summaries,
    system_title,
)
from ..tables import NOTHING, Table, fold_cells, interval, percent, shown_folds, slug, spread

LEAKY_LABEL = "leaky control: not a result"
METRIC_NAMES = {"accuracy": "Accuracy", "macro_f1": "Macro-F1", "macro_recall": "UA"}


def _by_seed(results: Results, name: str, prefix: str, metric: str) -> dict[int, float]:
    """Return the mean of a metric over the partitions of a family, for each seed that has them all."""
    every = of_result_type(results["systems"], CLASSIFICATION)
    systems = [s for s in every if s["system"] == name and belongs(s["partition"], prefix)]
    partitions = {s["partition"] for s in systems}
    values: dict[int, list[float]] = {}
    for system in systems:
        values.setdefault(system["seed"], []).append(system["metrics"][metric]["value"])
    return {seed: float(np.mean(v)) for seed, v in values.items() if len(v) == len(partitions)}


def _mean(values: Mapping[int, float]) -> float:
    return float(np.mean(list(values.values()))) if values else math.nan


def _spread_by_seed(values: Mapping[int, float]) -> str:
    if not values:
        return NOTHING
    numbers = list(values.values())
    metric = {"mean": float(np.mean(numbers)), "min": min(numbers), "max": max(numbers)}
    return spread(metric, len(numbers))


def fold_metric(results: Results) -> tuple[str, str]:
    """Return the metric that folds are compared by, and its name: macro-F1, or UA where the recipe says so."""
    if results["about"].get("metric") == "macro_recall":
        return "macro_recall", "UA"
    return "macro_f1", "macro-F1"


def fold_families(results: Results) -> list[str]:
    """Return the families of folds that are results, `loso/` first, then headlines: no few labels or leaky controls."""
    pooled = {s["partition"] for s in of_result_type(results.get("pooled", []), CLASSIFICATION)}
    leaky = leaky_partitions(results)
    found = [p for p in pooled - {INNER, LEFT_OUT, *leaky} if num_labels(p) is None]
    heads = headlines(results)
    others = sorted(
        {shown_family(p, found) for p in found},
        key=lambda p: (heads.index(p) if p in heads else len(heads), p),
    )
    return [*([LEFT_OUT] if summaries(results, LEFT_OUT) else []), *others]


def tests_one_speaker(results: Results, family: str) -> bool:
    """Return whether each fold of a family tests one speaker."""
    return family == LEFT_OUT or all(num_speakers(s) == 1 for s in summaries(results, family))


def fold_scores(results: Results, family: str, system: str) -> dict[str, float]:
    """Return the score of each fold that a system was scored on, a fraction, mean over seeds and folds within it."""
    metric, _ = fold_metric(results)
    scores: dict[str, list[float]] = {}
    for s in summaries(results, family):
        if s["system"] == system:
            fold = _outer(s["partition"], family)
            scores.setdefault(fold, []).append(s["metrics"][metric]["mean"])
    return {fold: float(np.mean(values)) for fold, values in scores.items()}


def _outer(partition: str, family: str) -> str:
    """Return the name of a partition's fold: `fold01` of `speaker/fold01/sentence` in the family `speaker/`."""
    return partition.removeprefix(family).partition("/")[0]


def _num_inner(results: Results, family: str) -> int:
    """Return the number of folds within each fold; 0 where a family has none."""
    partitions = {s["partition"] for s in summaries(results, family)}
    if not any("/" in p.removeprefix(family) for p in partitions):
        return 0
    return len(partitions) // len({_outer(p, family) for p in partitions})


def fold_tables(results: Results) -> list[Table]:
    """Make a table per family of folds: the score of each fold, the worst named."""
    return [_folds(results, family) for family in fold_families(results)]


def _folds(results: Results, family: str) -> Table:
    _, metric = fold_metric(results)
    if tests_one_speaker(results, family):
        title = f"{family_title(results, family)}: {metric} % of each unseen speaker"
        note = "Each column is a system trained on all the other speakers. The mean is over speakers;"
    elif inner := _num_inner(results, family):
        title = f"{family_title(results, family)}: {metric} % of each fold"
        note = (
            f"Each column is the mean over {inner} folds within that fold: a system tested on one of them and trained "
            "on the others. The mean is over all;"
        )
    else:
        title = f"{family_title(results, family)}: {metric} % of each fold"
        note = "Each column is a system tested on one fold and not trained on it. The mean is over folds;"
    note += " parentheses: lowest and highest seed."
    return _fold_table(
        results, family, "left-out" if family == LEFT_OUT else f"folds-{slug(family)}", title, note
    )


def selection(results: Results) -> Table | None:
    """Make the table of training speakers left out in turn, which choices were made by."""
    if not summaries(results, INNER):
        return None
    title = f"Choices: {fold_metric(results)[1]} % of each training speaker left out"
    note = "Settings were chosen by these figures only; the test speakers take no part."
    return _fold_table(results, INNER, "selection", title, note)


def _fold_table(results: Results, family: str, key: str, title: str, note: str) -> Table:
    metric, metric_name = fold_metric(results)
    systems = in_order(results, [s["system"] for s in summaries(results, family)])
    f1 = {name: fold_scores(results, family, name) for name in systems}
    shown, left_out = shown_folds(f1)
    worst_name = "Worst speaker" if family == INNER or tests_one_speaker(results, family) else "Worst fold"
    lines = []
    for name, scores in f1.items():
        worst = min(scores, key=lambda fold: scores[fold])
        by_seed = _by_seed(results, name, family, metric)
        accuracy = _spread_by_seed(_by_seed(results, name, family, "accuracy"))
        start = [system_title(results, name), str(len(by_seed)), _spread_by_seed(by_seed)]
        lines.append((*start, *fold_cells(scores, worst, shown), accuracy))
    header = ("System", "Seeds", f"Mean {metric_name} %", worst_name, *shown, "Mean accuracy %")
    return Table(key, title, header, tuple(lines), note + left_out)


def label_partitions(results: Results) -> dict[int, str]:
    """Return number of labelled recordings per class and speaker -> partition or pooled folds, in ascending order.

    `about.published_labels` is the number of the published split.
    """
    every = of_result_type([*results["summary"], *results.get("pooled", [])], CLASSIFICATION)
    counts = {n: s["partition"] for s in every if (n := num_labels(s["partition"])) is not None}
    published = results["about"].get("published_labels")
    if counts and published:
        counts.setdefault(int(published), PUBLISHED)
    return dict(sorted(counts.items()))


def label_curves(results: Results) -> dict[str, dict[int, Summary]]:
    """Return the summaries of each system that was trained with few labels, by their number per class and speaker."""
    curves: dict[str, dict[int, Summary]] = {}
    for n, partition in label_partitions(results).items():
        for s in headline_summaries(results, partition):
            curves.setdefault(s["system"], {})[n] = s
    few = {
        name for name, points in curves.items() if any(num_labels(s["partition"]) for s in points.values())
    }
    return {name: curves[name] for name in in_order(results, few)}


def label_efficiency(results: Results) -> Table | None:
    """Make the table of accuracy against the number of labelled recordings; None when nothing was trained with few."""
    counts = list(label_partitions(results))
    if not counts:
        return None
    columns = {"one speaker, all of it": ONE_SPEAKER}
    if not results["about"].get("published_labels"):
        columns = {"all": next(iter(headlines(results)), ""), **columns}
    others = {title: {s["system"]: s for s in headline_summaries(results, p)} for title, p in columns.items()}
    others = {title: scores for title, scores in others.items() if scores}
    lines = []
    for name, points in label_curves(results).items():
        found = [*(points.get(n) for n in counts), *(scores.get(name) for scores in others.values())]
        metrics = [s and s["metrics"]["accuracy"] for s in found]
        texts = [f"{percent(m['mean'])} {interval(m)}" if m else NOTHING for m in metrics]
        lines.append((system_title(results, name), *texts))
    header = ("System", *(f"{n} per class and speaker" for n in counts), *others)
    note = "Accuracy %, mean over seeds, with its 95 % interval. Test speakers are unseen by every system."
    return Table("label-efficiency", "Few labelled recordings", header, tuple(lines), note)


def leaky_partitions(results: Results) -> dict[str, str]:
    """Return the scored controls with shared speakers -> the sound partition or family beside each (`about.leaky`)."""
    heads = [head for head in headlines(results) if head != LEAKY]
    sound = LEFT_OUT if summaries(results, LEFT_OUT) else heads[0] if heads else PUBLISHED
    listed: Mapping[str, str] = results["about"].get("leaky", {LEAKY: sound})
    return {control: sound for control, sound in listed.items() if summaries(results, control)}


def leaky_controls(results: Results) -> list[Table]:
    """Make a table per control: what random folds over all speakers would have claimed, beside the sound figure.

    `about.metric` is what is compared, accuracy by default.
    """
    return [_leaky(results, control, sound) for control, sound in leaky_partitions(results).items()]


def _leaky(results: Results, control: str, sound_partition: str) -> Table:
    found = summaries(results, control)
    metric = str(results["about"].get("metric", "accuracy"))
    lines = []
    for name in in_order(results, [s["system"] for s in found]):
        leaky = _by_seed(results, name, control, metric)
        sound = _by_seed(results, name, sound_partition, metric)
        difference = f"{100 * (_mean(leaky) - _mean(sound)):+.1f}" if leaky and sound else NOTHING
        cells = (system_title(results, name), _spread_by_seed(sound), _spread_by_seed(leaky), difference)
        lines.append(cells)
    metric_name = METRIC_NAMES[metric]
    header = (
        "System",
        f"Sound {metric_name.lower() if metric == 'accuracy' else metric_name} % "
        f"({_sound_title(results, sound_partition)})",
        f"{metric_name} % ({LEAKY_LABEL})",
        "Inflation, points",
    )
    note = (
        "Random folds put the same speakers in training and test, so this figure says nothing about new "
        "speakers. It is shown only for comparison with figures measured that way elsewhere."
    )
    num_folds = len({s["partition"] for s in found})
    folds = "1 fold" if num_folds == 1 else f"{num_folds} folds"
    what = folds if control == LEAKY else partition_title(results, control)
    title = f"Leaky control: not a result ({what})"
    return Table(slug(control), title, header, tuple(lines), note, is_control=True)


def _sound_title(results: Results, partition: str) -> str:
    if partition == PUBLISHED:
        return "published split"
    if partition == LEFT_OUT:
        return "leave one speaker out"
    title = family_title if partition.endswith("/") else partition_title
    return title(results, partition)
