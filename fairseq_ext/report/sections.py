"""The page's parts about classifiers, and where every row comes from.

Each is a function from a run to HTML, or None when there is nothing to show. Which parts a page has: `report`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np

from ..scoring.embeddings import project
from ..scoring.predictions import read_embeddings
from ..scoring.scored_system import CLASSIFICATION, of_kind
from . import page, partition_tables, plots, result_types, score_plots, tables
from .examples import examples
from .learning import learning_curves
from .markdown import other_partitions, short_commit
from .run import Run, Section
from .score_tables import headline, one_speaker, per_class, per_speaker

# More points say nothing more to the eye, and t-SNE takes minutes on them.
MAX_POINTS = 3000


def _html(made: Iterable[tables.Table | None]) -> str | None:
    return "\n".join(page.table(table) for table in made if table) or None


def summary(run: Run) -> str | None:
    """Scores under the first partitions, with intervals.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    heads = tables.headlines(run.results)
    return _html([*(headline(run.results, p) for p in heads), one_speaker(run.results)])


def speakers(run: Run) -> str | None:
    """Scores of each speaker.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    results = run.results
    spoken = [per_speaker(results, p) for p in tables.headlines(results)]
    shown = _html([partition_tables.left_out(results), *spoken, partition_tables.selection(results)])
    values = _left_out_values(run.results)
    if not values:
        return shown
    drawing = score_plots.bars(values, "Each speaker when nobody had heard them", "macro-F1, %")
    words = "Bars of macro-F1 by left-out speaker; the table above holds the same figures."
    return (shown or "") + page.figure(plots.png(drawing), words)


def _left_out_values(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for s in tables.summaries(results, tables.LEFT_OUT):
        speaker = s["partition"].removeprefix(tables.LEFT_OUT)
        values.setdefault(tables.system_title(results, s["system"]), {})[speaker] = s["metrics"]["macro_f1"][
            "mean"
        ]
    return values


def few_labels(run: Run) -> str | None:
    """Accuracy against the number of labelled recordings.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    shown = _html([partition_tables.label_efficiency(run.results)])
    number_of = {partition: n for n, partition in partition_tables.label_partitions(run.results).items()}
    curves: dict[str, dict[float, Mapping[str, float]]] = {}
    systems = partition_tables.labelled_systems(run.results)
    for system in systems:
        every = of_kind(run.results["summary"], CLASSIFICATION)
        mine = [s for s in every if s["system"] == system and s["partition"] in number_of]
        points = {float(number_of[s["partition"]]): s["metrics"]["accuracy"] for s in mine}
        if points:
            curves[tables.system_title(run.results, system)] = points
    if not shown or not curves:
        return shown
    words = "Accuracy against the number of labelled recordings; the table above holds the same figures."
    return shown + page.figure(
        plots.png(score_plots.efficiency({"Unseen speakers: accuracy with few labels": curves})), words
    )


def leaky(run: Run) -> str | None:
    """The controls with shared speakers, labelled as such.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return _html(partition_tables.leaky_controls(run.results))


def others(run: Run) -> str | None:
    """Protocols that no other section shows.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return "\n".join(page.table(table) for table in other_partitions(run.results)) or None


def learning(run: Run) -> str | None:
    """Learning curves of the first partitions' systems, first seed.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    caption = f"First seed. {run.results['about'].get('validation', '')}".strip()
    heads = tables.headlines(run.results)
    return learning_curves(run, heads, CLASSIFICATION, plots.LOSS_AND_ACCURACY, caption)


def confusions(run: Run) -> str | None:
    """Confusion matrices under the first partitions, the detailed system first, and its scores per class.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return "".join(_confusions(run, partition) for partition in tables.headlines(run.results)) or None


def _confusions(run: Run, partition: str) -> str:
    name, _ = run.detailed(partition)
    found = sorted(tables.summaries(run.results, partition), key=lambda s: s["system"] != name)
    drawn = []
    for s in found:
        title = tables.system_title(run.results, s["system"])
        image = plots.png(plots.confusion(s["confusion"], s["labels"], title))
        drawn.append(page.figure(image, f"Confusion matrix of {title}, all seeds together. {_worst(s)}"))
    rest = "".join(drawn[1:])
    more = f"<details><summary>The other systems</summary>{rest}</details>" if rest else ""
    return f'<div class="side">{drawn[0]}{_html([per_class(run.results, partition)]) or ""}</div>{more}'


def _worst(summary_: Mapping[str, Any]) -> str:
    table = np.array(summary_["confusion"])
    np.fill_diagonal(table, 0)
    if not table.any():
        return "No confusions."
    spoken, answered = np.unravel_index(table.argmax(), table.shape)
    labels = summary_["labels"]
    return f"The most frequent: {labels[spoken]} taken for {labels[answered]}, {table.max()} times."


def embedding(run: Run) -> str | None:
    """t-SNE and UMAP of the detailed system's embeddings, by class and by speaker.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    drawn = (_embedding(run, partition) for partition in tables.headlines(run.results))
    return "".join(figure for figure in drawn if figure) or None


def _embedding(run: Run, partition: str) -> str | None:
    name, folder = run.detailed(partition)
    if folder is None or not (folder / "embeddings.npz").is_file() or not run.projections:
        return None
    arrays = read_embeddings(folder / "embeddings.npz")
    if len(arrays["id"]) < 4:
        return None
    rows = np.random.default_rng(0).permutation(len(arrays["id"]))[:MAX_POINTS]
    panels = {method: project(arrays["embedding"][rows], method) for method in run.projections}
    groups = {"class": arrays["target"][rows].tolist(), "speaker": arrays["speaker"][rows].tolist()}
    # More colours than the eye tells apart would only hide the classes.
    shown = {by: names for by, names in groups.items() if len(set(names)) <= len(plots.COLOURS)}
    if not shown:
        return None
    title = tables.system_title(run.results, name)
    words = f"{' and '.join(panels)} of the test embeddings of {title}, coloured by {' and by '.join(shown)}."
    caption = f"{title}, first seed. Neighbours are alike; distances between far groups mean little."
    return page.figure(plots.png(plots.scatter(panels, shown)), words, caption, wide=True)


def augmentation(run: Run) -> str | None:
    """Log-mel spectrograms of one training recording with and without augmentation.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    heads = tables.headlines(run.results)
    name, folder = run.detailed(heads[0]) if heads else ("", None)
    if folder is None or not (folder / "spectrograms.npz").is_file():
        return None
    with np.load(folder / "spectrograms.npz", allow_pickle=False) as arrays:
        hop_ms = float(arrays["hop_ms"])
        clip = str(arrays["clip"])
        views = {str(n): arrays[f"view_{i}"] for i, n in enumerate(arrays["names"])}
    drawing = plots.png(plots.spectrogram_grid(views, hop_ms))
    words = f"Log-mel spectrograms of recording {clip}: {', '.join(views)}."
    caption = (
        f"Recording {clip} through the front-end of {tables.system_title(run.results, name)}, which trims the ends "
        "and takes the level out, so shift and gain hardly show. 'As trained' shows draws with the training's "
        "settings."
    )
    return page.figure(drawing, words, caption, wide=True)


def provenance(run: Run) -> str:
    """Where every row comes from.

    Args:
        run: the run.

    Returns:
        HTML.
    """
    header = ("System", "Protocol", "Seed", "n", "Figures", "Commit", "Config", "Device", "Data")
    lines = tuple(
        (
            *(
                tables.system_title(run.results, row["system"]),
                row["partition"],
                str(row["seed"]),
                str(row["n"]),
            ),
            *(result_types.figures(row), short_commit(row["commit"]), row["config_hash"]),
            *(row.get("device", tables.NOTHING), row["data"]),
        )
        for row in run.results["systems"]
    )
    every = page.table(tables.Table("rows", "Every scored row", header, lines))
    commands = "".join(
        f"<li><code>{escape(c)}</code></li>" for c in sorted({r["command"] for r in run.results["systems"]})
    )
    return (
        f"<details open><summary>{len(lines)} rows</summary>{every}</details>"
        f"<details><summary>Commands</summary><ul>{commands}</ul></details>"
    )


SECTIONS: list[Section] = [
    Section("summary", "Classification", summary),
    Section("speakers", "Speakers", speakers),
    Section("few-labels", "Few labels", few_labels),
    Section("control", "Leaky control", leaky),
    Section("others", "Other partitions", others),
    Section("learning", "Learning curves", learning),
    Section("confusion", "Confusions", confusions),
    Section("embeddings", "Embeddings", embedding),
    Section("examples", "Listen", examples),
    Section("augmentation", "Augmentation", augmentation),
    Section("provenance", "Provenance", provenance),
]
