"""The points of a map: embeddings of the test utterances of a headline's detailed system, and what is known of each.

Shapes: N utterances, D values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scoring.embedding_files import read_embeddings as read_embedding_folder
from ...scoring.embeddings import read_split
from ...scoring.predictions import read_embeddings
from ...scoring.scored_system import read_json
from ..classification.folds import PREDICTIONS, read_folds
from ..run import Run

# Colours beside class and speaker, where a manifest has such label files.
OTHER_LABELS = ("gender", "intensity", "sentence")


@dataclass(frozen=True)
class Points:
    """N utterances on a map.

    Attributes:
        vectors: embeddings, (N, D).
        groups: what points are coloured by -> the group of each point; `class` and `speaker` come first.
        predicted: predicted class of each.
        source: which embeddings these are, for the caption.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    groups: Mapping[str, tuple[str, ...]]
    predicted: tuple[str, ...]
    source: str = ""

    def subset(self, rows: Sequence[int]) -> Points:
        """Return the points at some positions."""
        groups = {name: _at(values, rows) for name, values in self.groups.items()}
        ids, predicted = _at(self.ids, rows), _at(self.predicted, rows)
        return replace(self, ids=ids, vectors=self.vectors[list(rows)], groups=groups, predicted=predicted)


def _at(values: Sequence[str], rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(values[row] for row in rows)


def points_of(run: Run, headline: str) -> Points | None:
    """Gather the points of a headline's detailed system, first seed.

    None where there are no embeddings, or where those of the folds cannot be laid on one map: networks that were
    trained on different folds have nothing in common.
    """
    _, folders = run.detailed(headline)
    if not folders or not all((folder / PREDICTIONS).is_file() for folder in folders.values()):
        return None
    predictions = read_folds(folders.values())
    if (found := _vectors(run, folders, predictions.ids)) is None:
        return None
    vectors, source = found
    targets = tuple(predictions.labels[i] for i in predictions.targets)
    groups = {"class": targets, "speaker": predictions.speakers}
    groups |= dict(_other_groups(run, folders, predictions.ids))
    predicted = tuple(predictions.labels[i] for i in predictions.predicted)
    return Points(predictions.ids, vectors, groups, predicted, source)


def _vectors(
    run: Run, folders: Mapping[str, Path], ids: Sequence[str]
) -> tuple[NDArray[np.float32], str] | None:
    """Return the embeddings of utterances and what they are: of the layer that most folds chose."""
    choices = [read_json(folder / "metrics.json").get("choice", {}) for folder in folders.values()]
    names = {choice.get("embeddings") for choice in choices}
    if names != {None} and len(names) == 1 and (run.folder / (name := str(names.pop()))).is_dir():
        ((layer, pooling), _) = Counter((c["layer"], c["pooling"]) for c in choices).most_common(1)[0]
        embeddings = read_embedding_folder(run.folder / name)
        return embeddings.columns(layer, pooling)[embeddings.rows(ids)], f"layer {layer}, {pooling}"
    if len(folders) > 1:
        return None
    path = next(iter(folders.values())) / "embeddings.npz"
    if not path.is_file():
        return None
    arrays = read_embeddings(path)
    at = {str(key): row for row, key in enumerate(arrays["id"])}
    return arrays["embedding"][[at[key] for key in ids]], "the network's embedding"


def _other_groups(
    run: Run, folders: Mapping[str, Path], ids: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for label in OTHER_LABELS:
        known: dict[str, str] = {}
        for partition in folders:
            manifests = run.folder / "manifests" / partition
            if (manifests / f"test.{label}").is_file():
                split: Any = read_split(manifests, "test", label)
                known |= dict(zip(split.ids, split.targets, strict=True))
        if known:
            yield label, tuple(known.get(key) or "not known" for key in ids)
