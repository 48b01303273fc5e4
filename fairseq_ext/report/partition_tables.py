"""Tables over families of partitions: leave one speaker out, few labels, and the leaky control."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..scoring.scored_system import CLASSIFICATION, of_kind
from .score_tables import COLUMN_NAMES
from .tables import (
    INNER,
    LABELS,
    LEAKY,
    LEFT_OUT,
    NOTHING,
    ONE_SPEAKER,
    PUBLISHED,
    Results,
    Table,
    belongs,
    in_order,
    interval,
    partition_title,
    percent,
    spread,
    summaries,
    system_title,
)

LEAKY_LABEL = "leaky control: not a result"


def _by_seed(results: Results, name: str, prefix: str, metric: str) -> dict[int, float]:
    """Mean of a metric over the partitions of a family, for each seed that ran them all."""
    every = of_kind(results["systems"], CLASSIFICATION)
    rows = [r for r in every if r["system"] == name and belongs(r["partition"], prefix)]
    partitions = {r["partition"] for r in rows}
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(row["seed"], []).append(row["metrics"][metric]["value"])
    return {seed: float(np.mean(v)) for seed, v in values.items() if len(v) == len(partitions)}


def _mean(values: Mapping[int, float]) -> float:
    return float(np.mean(list(values.values()))) if values else math.nan


def _spread_by_seed(values: Mapping[int, float]) -> str:
    if not values:
        return NOTHING
    numbers = list(values.values())
    metric = {"mean": float(np.mean(numbers)), "min": min(numbers), "max": max(numbers)}
    return spread(metric, len(numbers))


def left_out(results: Results) -> Table | None:
    """Leave-one-speaker-out: each speaker's macro-F1 by the system that never heard them, the worst named.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    return _fold_table(
        results,
        LEFT_OUT,
        "left-out",
        "Leave one speaker out: macro-F1 % of each unseen speaker",
        "Each column is a system trained on all the other speakers. The mean is over speakers; "
        "parentheses: lowest and highest seed.",
    )


def selection(results: Results) -> Table | None:
    """Leave-one-speaker-out inside the training speakers: what choices were made by.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    return _fold_table(
        results,
        INNER,
        "selection",
        "Choices: macro-F1 % of each training speaker left out",
        "Settings were chosen by these figures only; the test speakers take no part.",
    )


def _fold_table(results: Results, prefix: str, key: str, title: str, note: str) -> Table | None:
    found = summaries(results, prefix)
    if not found:
        return None
    speakers = sorted({s["partition"].removeprefix(prefix) for s in found})
    header = ("System", "Seeds", "Mean macro-F1 %", "Worst speaker", *speakers, "Mean accuracy %")
    lines = []
    for name in in_order(results, [s["system"] for s in found]):
        mine = {s["partition"].removeprefix(prefix): s for s in found if s["system"] == name}
        f1 = {speaker: s["metrics"]["macro_f1"]["mean"] for speaker, s in mine.items()}
        worst = min(f1, key=lambda speaker: f1[speaker])
        by_seed = _by_seed(results, name, prefix, "macro_f1")
        cells = [percent(f1[speaker]) if speaker in f1 else NOTHING for speaker in speakers]
        accuracy = _spread_by_seed(_by_seed(results, name, prefix, "accuracy"))
        start = [system_title(results, name), str(len(by_seed)), _spread_by_seed(by_seed)]
        lines.append((*start, f"{worst} {percent(f1[worst])}", *cells, accuracy))
    return Table(key, title, header, tuple(lines), note)


def label_partitions(results: Results) -> dict[int, str]:
    """Numbers of labelled recordings per class and speaker that were tried.

    Args:
        results: the results; `about.published_labels` says how many the published split holds.

    Returns:
        number -> partition, in ascending order.
    """
    found = {s["partition"] for s in summaries(results, LABELS)}
    counts = {int(partition.removeprefix(LABELS)): partition for partition in found}
    every = results["about"].get("published_labels")
    if counts and every:
        counts.setdefault(int(every), PUBLISHED)
    return dict(sorted(counts.items()))


def labelled_systems(results: Results) -> list[str]:
    """Systems that were tried with few labels.

    Args:
        results: the results.

    Returns:
        ScoredSystem names, in the recipe's order.
    """
    return in_order(results, [s["system"] for s in summaries(results, LABELS)])


def label_efficiency(results: Results) -> Table | None:
    """Accuracy against the number of labelled recordings, pre-trained and supervised systems side by side.

    Args:
        results: the results.

    Returns:
        The table, or None.
    """
    columns = {f"{n} per class and speaker": partition for n, partition in label_partitions(results).items()}
    if not columns:
        return None
    if summaries(results, ONE_SPEAKER):
        columns["one speaker, all of it"] = ONE_SPEAKER
    every = of_kind(results["summary"], CLASSIFICATION)
    cells = {(s["system"], s["partition"]): s["metrics"]["accuracy"] for s in every}
    lines = []
    for name in labelled_systems(results):
        found = [cells.get((name, partition)) for partition in columns.values()]
        texts = [NOTHING if cell is None else f"{percent(cell['mean'])} {interval(cell)}" for cell in found]
        lines.append((system_title(results, name), *texts))
    note = "Accuracy %, mean over seeds, with its 95 % interval. Test speakers are unseen by every system."
    return Table("label-efficiency", "Few labelled recordings", ("System", *columns), tuple(lines), note)


def leaky_partitions(results: Results) -> dict[str, str]:
    """The controls with shared speakers.

    Args:
        results: the results; `about.leaky` maps each control to the sound partition beside it.

    Returns:
        Control -> sound partition, or families of them; only controls that were run.
    """
    sound = LEFT_OUT if summaries(results, LEFT_OUT) else PUBLISHED
    listed: Mapping[str, str] = results["about"].get("leaky", {LEAKY: sound})
    return {control: sound for control, sound in listed.items() if summaries(results, control)}


def leaky_controls(results: Results) -> list[Table]:
    """What random folds over all speakers would have claimed, beside the sound figure.

    Args:
        results: the results; `about.metric` is what is compared, accuracy by default.

    Returns:
        A table per control.
    """
    return [_leaky(results, control, sound) for control, sound in leaky_partitions(results).items()]


def _leaky(results: Results, control: str, sound_partition: str) -> Table:
    found = summaries(results, control)
    metric = str(results["about"].get("metric", "accuracy"))
    lines = []
    for name in in_order(results, [s["system"] for s in found]):
        leaky = _by_seed(results, name, control, metric)
        sound = _by_seed(results, name, sound_partition, metric)
        inflation = _mean(leaky) - _mean(sound)
        difference = f"{100 * inflation:+.1f}" if leaky and sound else NOTHING
        cells = (system_title(results, name), _spread_by_seed(sound), _spread_by_seed(leaky), difference)
        lines.append(cells)
    names = {LEFT_OUT: "leave one speaker out", PUBLISHED: "published split"}
    sound_name = names.get(sound_partition) or partition_title(results, sound_partition)
    words = COLUMN_NAMES[metric]
    header = (
        "System",
        f"Sound {words.lower() if metric == 'accuracy' else words} % ({sound_name})",
        f"{words} % ({LEAKY_LABEL})",
        "Inflation, points",
    )
    note = (
        "Random folds put the same speakers in training and test, so this figure says nothing about new "
        "speakers. It is shown only for comparison with figures measured that way elsewhere."
    )
    num_folds = len({s["partition"] for s in found})
    folds = "1 fold" if num_folds == 1 else f"{num_folds} folds"
    what = folds if control == LEAKY else partition_title(results, control)
    return Table(
        control.rstrip("/").replace("/", "-"),
        f"Leaky control: not a result ({what})",
        header,
        tuple(lines),
        note,
        is_control=True,
    )
