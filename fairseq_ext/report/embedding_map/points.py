"""The points of a map: embeddings of the test utterances of a headline's detailed system, and what is known of each.

Shapes: N utterances, D values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scoring.embedding_files import ABOUT
from ...scoring.embedding_files import read_embeddings as read_embedding_folder
from ...scoring.groups import GROUPS_FILE, read_group_file
from ...scoring.predictions import read_embeddings
from ...scoring.scored_system import read_json
from ..classification.folds import PREDICTIONS, read_folds
from ..run import Run


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
    """Gather the points of a headline's detailed system, first seed; None where there are no embeddings.

    Networks that were trained on different folds have nothing in common, so that their embeddings cannot be laid on one
    map: then it is that of the first fold.
    """
    _, folders = run.detailed(headline)
    if not folders or not all((folder / PREDICTIONS).is_file() for folder in folders.values()):
        return None
    if (points := _points(run, folders)) or len(folders) < 2:
        return points
    fold = next(iter(folders))
    if (points := _points(run, {fold: folders[fold]})) is None:
        return None
    source = f"{points.source} of {fold}, one of {len(folders)} folds, each with a network of its own"
    return replace(points, source=source)


def _points(run: Run, folders: Mapping[str, Path]) -> Points | None:
    predictions = read_folds(folders.values())
    if (found := _vectors(run, folders, predictions.ids)) is None:
        return None
    vectors, source = found
    targets = tuple(predictions.labels[i] for i in predictions.targets)
    groups = {"class": targets, "speaker": predictions.speakers}
    groups |= dict(_other_groups(folders.values(), predictions.ids))
    predicted = tuple(predictions.labels[i] for i in predictions.predicted)
    return Points(predictions.ids, vectors, groups, predicted, source)


def _vectors(
    run: Run, folders: Mapping[str, Path], ids: Sequence[str]
) -> tuple[NDArray[np.float32], str] | None:
    """Return the embeddings of utterances and what they are: of the layer that most folds chose."""
    if embeddings := embeddings_of(
        run.folder, [read_json(folder / "config.json") for folder in folders.values()]
    ):
        chosen = [read_json(folder / "metrics.json")["choice"] for folder in folders.values()]
        read = Counter((str(choice["layer"]), choice["pooling"]) for choice in chosen)
        ((layers, pooling), _) = read.most_common(1)[0]
        found = read_embedding_folder(embeddings)
        # Several layers, side by side in an ensemble's member, are written 2+3+4.
        vectors = np.concatenate([found.columns(int(n), pooling) for n in layers.split("+")], axis=1)
        return vectors[found.rows(ids)], f"{embeddings.name}, layer {layers}, {pooling}"
    path = next(iter(folders.values())) / "embeddings.npz"
    if len(folders) > 1 or not path.is_file():
        return None
    arrays = read_embeddings(path)
    at = {str(key): row for row, key in enumerate(arrays["id"])}
    return arrays["embedding"][[at[key] for key in ids]], "the network's embedding"


def embeddings_of(run: Path, configs: Sequence[Mapping[str, Any]]) -> Path | None:
    """Return the folder below RUN/embeddings that classifiers of these configurations read; None without one."""
    models = [config.get("model") or {} for config in configs]
    encoders = {(model.get("encoder"), model.get("encoder_sha256")) for model in models}
    for path in sorted(run.glob(f"embeddings/*/{ABOUT}")):
        about = read_json(path)
        if encoders == {(about.get("encoder"), about.get("sha256"))}:
            return path.parent
    return None


def _other_groups(folders: Iterable[Path], ids: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the kinds of groups that every fold tells apart, with the group of each utterance."""
    paths = [folder / GROUPS_FILE for folder in folders]
    if not all(path.is_file() for path in paths):
        return
    files = [read_group_file(path) for path in paths]
    for kind in files[0][1]:
        known = {k: v for of, groups in files for k, v in zip(of, groups.get(kind, of), strict=True)}
        yield kind, tuple(known[key] for key in ids)
