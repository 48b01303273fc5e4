"""The name of a scored system, and the files and metadata that every result type writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..file_errors import reading
from ..files import atomic_write
from . import provenance

CLASSIFICATION, RECOGNITION, PRETRAINING = "classification", "recognition", "pretraining"
VERIFICATION = "verification"
# Keys of metrics.json and results.json that every result type has.
COMMON = ("system", "partition", "seed", "n", "data", "commit", "config_hash")


@dataclass(frozen=True)
class ScoredSystem:
    """The name of one scored system and its origin.

    Attributes:
        name: name of the system, such as `temporal_cnn`.
        partition: name of the partition into training and test data, such as `published` or `loso/george`.
        seed: seed of the training.
        data: whether the recordings are real.
        command: command line that wrote the scores.
    """

    name: str
    partition: str
    seed: int
    data: Literal["real", "synthetic"]
    command: str

    @property
    def title(self) -> str:
        """Name for the terminal, such as `published/temporal_cnn seed 1`."""
        return f"{self.partition}/{self.name} seed {self.seed}"

    def folder(self, scores: Path) -> Path:
        """Return the folder of the system's files, `scores/<partition>/<system>/seed<k>`."""
        return scores / self.partition / self.name / f"seed{self.seed}"

    def metadata(
        self, result_type: str, cfg: Any, *, device: str = "cpu", num_parameters: int | None = None
    ) -> dict[str, Any]:
        """Return the entries of metrics.json that are not scores, the system's name first.

        Args:
            result_type: result type, such as `classification`; stored under the key `kind`.
            cfg: configuration of the training.
            device: torch device the system was scored on.
            num_parameters: number of parameters of the network; None = it has none.
        """
        return {
            "system": self.name,
            "kind": result_type,
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
    """Return `RUN/scores`, or `RUN/rows` where an earlier version has begun it under that name."""
    earlier = run / "rows"
    return earlier if earlier.is_dir() else run / "scores"


def result_type_of(item: Mapping[str, Any]) -> str:
    """Return the result type of a scored system or a summary; `classification` where the entry has none."""
    return str(item.get("kind", CLASSIFICATION))


def of_result_type(items: Iterable[Mapping[str, Any]], result_type: str) -> list[Mapping[str, Any]]:
    """Select the scored systems or summaries of one result type, in their order."""
    return [item for item in items if result_type_of(item) == result_type]


def is_scored(folder: Path) -> bool:
    """Return whether the folder of a system's files holds metrics.json."""
    return (folder / "metrics.json").is_file()


def read_json(path: Path, advice: str = "delete it and score the system again") -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FileError: it cannot be read, or holds something else; the message ends in the advice.
    """
    with reading(path, "a JSON object", advice=advice):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"found {type(content).__name__}")
        return content


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN is refused, as other JSON readers refuse it."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")
