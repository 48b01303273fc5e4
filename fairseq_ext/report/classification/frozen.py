"""Tables and figures of classifiers on frozen embeddings: what was chosen, layers, groups, calibration, other corpora.

They read the optional keys of a summary that `scoring.classification.summarise` hands on; a table is None where no
system has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...scoring.scored_system import CLASSIFICATION, of_result_type
from .. import plots, score_plots
from ..partitions import (
    CROSS_CORPUS,
    Results,
    Summary,
    headline_summaries,
    partition_title,
    summaries,
    system_title,
)
from ..pieces import Picture
from ..tables import NOTHING, Table, filled, interval, percent, side_by_side, slug

# Of a grid of settings; those that no fold chose are not shown.
MAX_SETTINGS = 3


def choices(results: Results, headline: str) -> Table | None:
    """Make the table of what each system chose inside its training speakers, fold by fold, and its calibration."""
    every = headline_summaries(results, headline)
    if not any(_chosen(s) for s in every):
        return None
    found = [s for s in every if _chosen(s) or s.get("calibration")]
    lines = [
        (
            system_title(results, s["system"]),
            _counted(_chosen(s), "layer"),
            _counted(_chosen(s), "pooling"),
            _counted(_chosen(s), "parameters"),
            percent(s["calibration"]["ece"]) if "calibration" in s else NOTHING,
        )
        for s in found
    ]
    title = f"Chosen inside the training speakers: {partition_title(results, headline)}"
    header = ("System", "Layer", "Pooling", "Settings", "Calibration error %")
    note = (
        "By macro recall on training speakers left out in turn; in parentheses the number of folds and seeds. The "
        "calibration error is the mean gap between how sure a prediction is and how often such predictions are right."
    )
    return Table(f"choices-{slug(headline)}", title, header, tuple(lines), note)


def _chosen(summary: Summary) -> list[Mapping[str, Any]]:
    """Return the choices of all folds, or the only one."""
    return summary.get("choices") or [c for c in [summary.get("choice")] if c]


def _counted(chosen: Sequence[Mapping[str, Any]], key: str) -> str:
    counts = Counter(_printed(choice.get(key)) for choice in chosen)
    shown = [name if len(counts) == 1 else f"{name} ({n})" for name, n in counts.most_common(MAX_SETTINGS)]
    return ", ".join(shown) + (", ..." if len(counts) > MAX_SETTINGS else "") or NOTHING


def _printed(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_printed(item)}" for key, item in value.items()) or NOTHING
    return NOTHING if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def groups(results: Results, headline: str) -> Iterator[Table]:
    """Make a table per kind of group, such as gender: macro recall of each system within each group."""
    found = _with_groups(results, headline)
    for kind in _kinds(found):
        mine = [s for s in found if kind in s["per_group"]]
        names = sorted({name for s in mine for name in s["per_group"][kind]})
        counts = {name: s["per_group"][kind][name]["n"] for s in mine for name in s["per_group"][kind]}
        lines = [
            (system_title(results, s["system"]), *(_of_group(s["per_group"][kind].get(n)) for n in names))
            for s in mine
        ]
        header = ("System", *(f"{name} (n = {counts[name]})" for name in names))
        title = f"UA % by {kind}: {partition_title(results, headline)}"
        yield Table(f"by-{slug(kind)}-{slug(headline)}", title, header, tuple(lines))


def _with_groups(results: Results, headline: str) -> list[Summary]:
    return [s for s in headline_summaries(results, headline) if s.get("per_group")]


def _kinds(found: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(kind for s in found for kind in s["per_group"]))


def _of_group(scores: Mapping[str, float] | None) -> str:
    return percent(scores["macro_recall"]) if scores else NOTHING


def details(results: Results, headline: str) -> Table | None:
    """Put the tables of groups and of choices of a headline beside each other, for RESULTS.md."""
    chosen = choices(results, headline)
    what = [f"UA % by {kind}" for kind in _kinds(_with_groups(results, headline))]
    what += ["choices inside the training speakers"] if chosen else []
    title = f"{', '.join(what)}: {partition_title(results, headline)}"
    return side_by_side(title, filled([*groups(results, headline), chosen]))


def layer_curves(results: Results, headline: str) -> Picture | None:
    """Draw macro recall over the layers of each encoder; None where no system has two layers."""
    found = [s for s in headline_summaries(results, headline) if len(s.get("layers", {})) > 1]
    if not found:
        return None
    curves: dict[str, dict[float, float]] = {
        system_title(results, s["system"]): {int(layer): 100 * score for layer, score in s["layers"].items()}
        for s in found
    }
    drawing = score_plots.lines(curves, "layer (0 = input of the first)", "UA on the test speakers, %")
    return Picture(
        plots.png(drawing),
        f"UA over the layers of {', '.join(curves)}.",
        f"{partition_title(results, headline)}: a logistic regression on each layer alone, mean over folds. It "
        "describes; layers were chosen inside the training speakers.",
    )


def calibration(results: Results, headline: str) -> Picture | None:
    """Draw how often predictions are right against how sure they are."""
    found = [s for s in headline_summaries(results, headline) if s.get("calibration")]
    if not found:
        return None
    curves = {
        system_title(results, s["system"]): {
            100 * bin_["confidence"]: 100 * bin_["accuracy"] for bin_ in s["calibration"]["bins"]
        }
        for s in found
    }
    drawing = score_plots.lines(
        curves, "mean probability of the predicted class, %", "right predictions, %", diagonal=True
    )
    return Picture(
        plots.png(drawing),
        f"Calibration of {', '.join(curves)}.",
        f"{partition_title(results, headline)}: on the dashed line a classifier is as often right as it says.",
    )


def cross_corpus(results: Results) -> Table | None:
    """Make the table of systems trained on one corpus and tested on another."""
    found = of_result_type(summaries(results, CROSS_CORPUS), CLASSIFICATION)
    pairs = list(dict.fromkeys(s["partition"] for s in found))
    if not pairs:
        return None
    by_system: dict[str, dict[str, Summary]] = {}
    for s in found:
        by_system.setdefault(s["system"], {})[s["partition"]] = s
    lines = [
        (system_title(results, name), *(_score(scores.get(pair)) for pair in pairs))
        for name, scores in by_system.items()
    ]
    sizes = {s["partition"]: (s["n"], len(s["labels"])) for s in found}
    header = (
        "System",
        *(
            f"{pair.removeprefix(CROSS_CORPUS).replace('-', ' to ')} (n = {sizes[pair][0]}, {sizes[pair][1]} classes)"
            for pair in pairs
        ),
    )
    note = "Trained on the first, tested on the second, on the classes that both have; 95 % intervals."
    return Table("cross-corpus", "Another corpus: UA %", header, tuple(lines), note)


def _score(summary: Summary | None) -> str:
    if summary is None:
        return NOTHING
    metric = summary["metrics"]["macro_recall"]
    return f"{percent(metric['mean'])} {interval(metric)}"
