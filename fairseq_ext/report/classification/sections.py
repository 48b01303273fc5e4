"""The page's sections about classifiers: functions from a run to pieces, none where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scoring.embeddings import project
from ...scoring.predictions import read_embeddings
from ...scoring.scored_system import CLASSIFICATION
from .. import plots, score_plots
from ..learning import learning_curves
from ..partitions import (
    detailed_headlines,
    family_title,
    headline_summaries,
    headlines,
    summaries,
    system_title,
)
from ..pieces import Block, Picture, Piece
from ..result_type import Section
from ..run import Run
from ..tables import filled
from . import families, frozen
from .examples import examples
from .tables import headline_table, one_speaker, other_partitions, per_class, per_speaker

# More points say nothing more to the eye, and t-SNE takes minutes on them.
MAX_POINTS = 3000
# Of a family of folds: a panel each, since the folds' networks differ and so do their embedding spaces.
MAX_FOLD_PANELS = 6
MAX_BARS = 30

Pieces = Sequence[Piece]


def summary(run: Run) -> Pieces:
    """Show the scores of the headlines, with intervals."""
    heads = headlines(run.results)
    return filled([*(headline_table(run.results, head) for head in heads), one_speaker(run.results)])


def speakers(run: Run) -> Pieces:
    """Show the scores of each speaker and of each fold."""
    results = run.results
    of_speakers = [per_speaker(results, head) for head in headlines(results)]
    tables = filled([*families.fold_tables(results), *of_speakers, families.selection(results)])
    return [*tables, *(_bars(results, family) for family in families.fold_families(results))]


def _bars(results: Mapping[str, Any], family: str) -> Picture | str:
    names = dict.fromkeys(s["system"] for s in summaries(results, family))
    values = {system_title(results, name): families.fold_scores(results, family, name) for name in names}
    if sum(map(len, values.values())) > MAX_BARS:
        return f"{family_title(results, family)}: bars of each fold are left out, there are too many."
    _, metric = families.fold_metric(results)
    by_speaker = families.tests_one_speaker(results, family)
    what = "each speaker when left out of training" if by_speaker else "each fold when left out of training"
    title = f"{family_title(results, family)}: {what}"
    drawing = score_plots.bars(values, title, f"{metric}, %")
    description = (
        f"Bars of {metric} by left-out {'speaker' if by_speaker else 'fold'}; the table above holds the same."
    )
    return Picture(plots.png(drawing), description)


def few_labels(run: Run) -> Pieces:
    """Show accuracy against the number of labelled recordings."""
    table = families.label_efficiency(run.results)
    curves = {
        system_title(run.results, name): {float(n): s["metrics"]["accuracy"] for n, s in points.items()}
        for name, points in families.label_curves(run.results).items()
        if points
    }
    if not table or not curves:
        return filled([table])
    drawing = score_plots.efficiency({"Unseen speakers: accuracy with few labels": curves})
    description = (
        "Accuracy against the number of labelled recordings; the table above holds the same figures."
    )
    return [table, Picture(plots.png(drawing), description)]


def leaky(run: Run) -> Pieces:
    """Show the controls with shared speakers, labelled as such."""
    return families.leaky_controls(run.results)


def frozen_embeddings(run: Run) -> Pieces:
    """Show what classifiers on embeddings chose, how good each layer is, and how sure they are rightly."""
    heads = headlines(run.results)
    pieces = [
        make(run.results, head)
        for head in heads
        for make in (frozen.choices, frozen.layer_curves, frozen.calibration)
    ]
    return [piece for piece in pieces if piece]


def groups(run: Run) -> Pieces:
    """Show the scores within groups of recordings, such as by gender."""
    return [table for head in headlines(run.results) for table in frozen.groups(run.results, head)]


def cross_corpus(run: Run) -> Pieces:
    """Show training on one corpus and testing on another."""
    return filled([frozen.cross_corpus(run.results)])


def others(run: Run) -> Pieces:
    """Show the partitions that no other section shows."""
    return other_partitions(run.results)


def learning(run: Run) -> Pieces:
    """Draw the learning curves of the headlines' systems, first seed."""
    caption = f"First seed. {run.results['about'].get('validation', '')}".strip()
    return learning_curves(run, headlines(run.results), CLASSIFICATION, plots.LOSS_AND_ACCURACY, caption)


def confusions(run: Run) -> Pieces:
    """Draw the confusion matrices of headlines with details, the detailed system first, with its scores per class."""
    return [piece for head in detailed_headlines(run.results) for piece in _confusions(run, head)]


def _confusions(run: Run, head: str) -> Iterable[Piece]:
    name, _ = run.detailed(head)
    found = sorted(headline_summaries(run.results, head), key=lambda s: s["system"] != name)
    first, *rest = (_confusion(run, s) for s in found)
    yield Block("side", {"pieces": [first, *filled([per_class(run.results, head)])]})
    if rest:
        yield Block("details", {"summary": "The other systems", "pieces": rest})


def _confusion(run: Run, s: Mapping[str, Any]) -> Picture:
    title = system_title(run.results, s["system"])
    image = plots.png(plots.confusion(s["confusion"], s["labels"], title))
    folds = f" and all {len(s['folds'])} folds" if "folds" in s else ""
    return Picture(image, f"Confusion matrix of {title}, all seeds{folds} together. {_worst(s)}")


def _worst(summary_: Mapping[str, Any]) -> str:
    table = np.array(summary_["confusion"])
    np.fill_diagonal(table, 0)
    if not table.any():
        return "No confusions."
    target, predicted = np.unravel_index(table.argmax(), table.shape)
    labels = summary_["labels"]
    return f"The most frequent: {labels[target]} taken for {labels[predicted]}, {table.max()} times."


def embedding(run: Run) -> Pieces:
    """Project the detailed systems' embeddings, by class and by speaker."""
    drawn = (_embedding(run, head) for head in detailed_headlines(run.results) if run.projections)
    return [picture for picture in drawn if picture]


def _embedding(run: Run, head: str) -> Picture | None:
    name, folders = run.detailed(head)
    paths = {p: folder / "embeddings.npz" for p, folder in folders.items()}
    found = {p: _sampled(path) for p, path in paths.items() if path.is_file()}
    found = {p: arrays for p, arrays in found.items() if len(arrays["id"]) >= 4}
    if not found:
        return None
    title = system_title(run.results, name)
    if len(folders) > 1:
        return _fold_clouds(found, title, run.projections[0])
    arrays = next(iter(found.values()))
    panels = {method: project(arrays["embedding"], method) for method in run.projections}
    groups = {by: arrays[key].tolist() for by, key in (("class", "target"), ("speaker", "speaker"))}
    # More colours than the eye tells apart would only hide the classes.
    shown = {by: names for by, names in groups.items() if len(set(names)) <= len(plots.COLOURS)}
    if not shown:
        return None
    description = (
        f"{' and '.join(panels)} of the test embeddings of {title}, coloured by {' and by '.join(shown)}."
    )
    caption = f"{title}, first seed. Neighbours are alike; distances between far groups mean little."
    return Picture(plots.png(plots.scatter(panels, shown)), description, caption, is_wide=True)


def _sampled(path: Path) -> dict[str, NDArray[Any]]:
    arrays = read_embeddings(path)
    rows = np.random.default_rng(0).permutation(len(arrays["id"]))[:MAX_POINTS]
    return {name: array[rows] for name, array in arrays.items()}


def _fold_clouds(folds: Mapping[str, Mapping[str, NDArray[Any]]], title: str, method: str) -> Picture | None:
    classes = {target for arrays in folds.values() for target in arrays["target"].tolist()}
    if len(classes) > len(plots.COLOURS):
        return None
    shown = dict(list(folds.items())[:MAX_FOLD_PANELS])
    panels = {
        fold.rpartition("/")[2]: (project(arrays["embedding"], method), arrays["target"].tolist())
        for fold, arrays in shown.items()
    }
    description = f"{method} of the test embeddings of {title}, a panel per fold, coloured by class."
    caption = (
        f"{title}, first seed, {len(shown)} of {len(folds)} folds. Every fold's network is another, so each is "
        "projected by itself. Neighbours are alike; distances between far groups mean little."
    )
    return Picture(plots.png(plots.clouds(panels)), description, caption, is_wide=True)


def augmentation(run: Run) -> Pieces:
    """Draw log-mel spectrograms of one training recording with and without augmentation."""
    name, folders = run.first_detailed("spectrograms.npz")
    if not folders:
        return []
    with np.load(next(iter(folders.values())) / "spectrograms.npz", allow_pickle=False) as arrays:
        hop_ms = float(arrays["hop_ms"])
        clip = str(arrays["clip"])
        views = {str(n): arrays[f"view_{i}"] for i, n in enumerate(arrays["names"])}
    drawing = plots.png(plots.spectrogram_grid(views, hop_ms))
    description = f"Log-mel spectrograms of recording {clip}: {', '.join(views)}."
    caption = (
        f"Recording {clip} through the front-end of {system_title(run.results, name)}, which trims the ends "
        "and takes the level out, so shift and gain hardly show. 'As trained' shows draws with the training's "
        "settings."
    )
    return [Picture(drawing, description, caption, is_wide=True)]


SECTIONS = (
    Section("summary", "Classification", summary),
    Section("speakers", "Speakers", speakers),
    Section("few-labels", "Few labels", few_labels),
    Section("control", "Leaky control", leaky),
    Section("cross-corpus", "Another corpus", cross_corpus),
    Section("kinds", "Kinds of recordings", groups),
    Section("frozen", "Choices and layers", frozen_embeddings),
    Section("others", "Other partitions", others),
    Section("learning", "Learning curves", learning),
    Section("confusion", "Confusions", confusions),
    Section("embeddings", "Embeddings", embedding),
    Section("examples", "Listen", examples),
    Section("augmentation", "Augmentation", augmentation),
)
