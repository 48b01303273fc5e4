"""Rows: one scored system each. Its name, its kind, and the files of its folder that every kind writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..manifest import atomic_write
from . import provenance

CLASSIFICATION, RECOGNITION, PRETRAINING = "classification", "recognition", "pretraining"
# What metrics.json and results.json say of every row, whatever its kind.
COMMON = ("system", "partition", "seed", "n", "data", "commit", "config_hash")


@dataclass(frozen=True)
class ScoredSystem:
    """The name of one scored system, and what its metrics.json says of its making.

    Attributes:
        name: such as `temporal_cnn`.
        partition: who was trained on and who is tested, such as `published` or `loso/george`.
        seed: of the training.
        data: whether the recordings are real.
        command: command line that scored it.
    """

    name: str
    partition: str
    seed: int
    data: Literal["real", "synthetic"]
    command: str

    def folder(self, scores: Path) -> Path:
        """The row's folder.

        Args:
            scores: folder of all scored systems.

        Returns:
            `scores/<partition>/<system>/seed<k>`.
        """
        return scores / self.partition / self.name / f"seed{self.seed}"

    def facts(
        self, kind: str, cfg: Any, *, device: str = "cpu", num_parameters: int | None = None
    ) -> dict[str, Any]:
        """What metrics.json says of the row beside its scores.

        Args:
            kind: one of `kinds.RESULT_TYPES`.
            cfg: configuration of the training.
            device: torch device that scored it.
            num_parameters: of the network.

        Returns:
            Name -> value, the row's name first.
        """
        return {
            "system": self.name,
            "kind": kind,
            "partition": self.partition,
            "seed": self.seed,
            "data": self.data,
            "commit": provenance.commit(),
            "config_hash": provenance.config_hash(cfg),
            "command": self.command,
            "device": provenance.device_name(device),
            "num_parameters": num_parameters,
        }


def scores_folder(run: Path) -> Path:
    """Return the folder of a run that holds its scored systems.

    Args:
        run: run folder.

    Returns:
        `RUN/scores`, or `RUN/rows` where an earlier version has begun it under that name.
    """
    earlier = run / "rows"
    return earlier if earlier.is_dir() else run / "scores"


def kind_of(item: Mapping[str, Any]) -> str:
    """The kind of a row or of a summary.

    Args:
        item: from metrics.json or results.json.

    Returns:
        Its kind; those that do not say it are classifications.
    """
    return str(item.get("kind", CLASSIFICATION))


def of_kind(items: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """Picks the rows or summaries of one kind.

    Args:
        items: from results.json.
        kind: such as `recognition`.

    Returns:
        Those of the kind, in their order.
    """
    return [item for item in items if kind_of(item) == kind]


def is_scored(folder: Path) -> bool:
    """Says whether a row is complete.

    Args:
        folder: the row's folder.

    Returns:
        True when it holds metrics.json.
    """
    return (folder / "metrics.json").is_file()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, whole or not at all.

    Args:
        path: file to write.
        value: what it holds; NaN is refused, since other readers would refuse it.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")
