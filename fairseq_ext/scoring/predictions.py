"""The predictions of a classifier, one line per utterance: predictions.tsv, and embeddings.npz beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_path, atomic_write, read_lines, split_row

COLUMNS = ("id", "speaker", "target", "prediction")


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier over a split; N utterances, C labels.

    Attributes:
        ids: N utterance ids.
        speakers: N speaker names.
        targets: true class, (N,) int64.
        scores: a score per class, higher is likelier, (N, C) float32.
        labels: C names.
    """

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    targets: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = {len(self.ids), len(self.speakers), len(self.targets), len(self.scores)}
        if len(rows) != 1 or self.scores.ndim != 2 or self.scores.shape[1] != len(self.labels):
            raise ValueError(
                f"predictions: expected as many speakers, targets and score rows as ids ({len(self.ids)}) "
                f"and {len(self.labels)} scores each, found {len(self.speakers)}, {len(self.targets)}, "
                f"{self.scores.shape}; score every utterance once"
            )

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each utterance, (N,)."""
        return np.asarray(self.scores.argmax(axis=1), dtype=np.int64)


def class_numbers(names: Sequence[str], labels: Sequence[str], where: str) -> NDArray[np.int64]:
    """Convert N label names to class numbers, (N,), in the order of `labels`; `where` names their file in the message.

    Raises:
        ValueError: a name is not among the labels.
    """
    known = {label: i for i, label in enumerate(labels)}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ValueError(
            f"{where}: expected labels among {list(labels)}, found {unknown}; score with the checkpoint "
            "trained on these labels"
        )
    return np.array([known[name] for name in names], dtype=np.int64)


def joined(folds: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several folds as those of one test set; a class that a fold lacks scores -inf there."""
    labels = tuple(dict.fromkeys(label for fold in folds for label in fold.labels))
    columns = [[labels.index(label) for label in fold.labels] for fold in folds]
    scores = [np.full((len(fold.ids), len(labels)), -np.inf, np.float32) for fold in folds]
    for all_classes, known, fold in zip(scores, columns, folds, strict=True):
        all_classes[:, known] = fold.scores
    return Predictions(
        ids=tuple(name for fold in folds for name in fold.ids),
        speakers=tuple(name for fold in folds for name in fold.speakers),
        targets=np.concatenate([np.array(c)[fold.targets] for c, fold in zip(columns, folds, strict=True)]),
        scores=np.concatenate(scores),
        labels=labels,
    )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions.tsv atomically."""
    header = [*COLUMNS, *(f"score_{label}" for label in predictions.labels)]
    with atomic_write(path) as file:
        file.write("\t".join(header) + "\n")
        for i, predicted in enumerate(predictions.predicted):
            names = (predictions.labels[predictions.targets[i]], predictions.labels[predicted])
            scores = (f"{value:.6g}" for value in predictions.scores[i])
            file.write("\t".join([predictions.ids[i], predictions.speakers[i], *names, *scores]) + "\n")


def read_predictions(path: Path) -> Predictions:
    """Read predictions.tsv.

    Raises:
        ValueError: the header or a row is not of this format.
    """
    lines = list(read_lines(path))
    header = lines[0].split("\t") if lines else []
    if tuple(header[:4]) != COLUMNS or not all(name.startswith("score_") for name in header[4:]):
        raise ValueError(
            f"{path}:1: expected columns {COLUMNS} and scores, found {header}; rerun fairseq-ext score classifier"
        )
    rows = [split_row(line, len(header), f"{path}:{number}") for number, line in enumerate(lines[1:], 2)]
    labels = tuple(name.removeprefix("score_") for name in header[4:])
    return Predictions(
        ids=tuple(row[0] for row in rows),
        speakers=tuple(row[1] for row in rows),
        targets=class_numbers([row[2] for row in rows], labels, str(path)),
        scores=np.array([row[4:] for row in rows], dtype=np.float32).reshape(len(rows), len(labels)),
        labels=labels,
    )


def write_embeddings(
    path: Path,
    ids: Sequence[str],
    speakers: Sequence[str],
    targets: Sequence[str],
    embedding: NDArray[np.float32],
) -> None:
    """Write embeddings.npz (arrays id, speaker, target (N,), embedding (N, D)) atomically."""
    columns: dict[str, Any] = {
        "id": np.array(ids),
        "speaker": np.array(speakers),
        "target": np.array(targets),
    }
    # An open file: numpy would add .npz to the name of a temporary path.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **columns, embedding=embedding)


def read_embeddings(path: Path) -> dict[str, NDArray[Any]]:
    """Read embeddings.npz: arrays `id`, `speaker`, `target` (N,) and `embedding` (N, D)."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("id", "speaker", "target", "embedding")}
