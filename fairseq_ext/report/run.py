"""A run that was scored: its folder and its results, as the sections of the report read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..scoring.embeddings import PROJECTIONS
from ..scoring.provenance import manifest_rate_hz
from ..scoring.scored_system import CLASSIFICATION, read_json, scores_folder
from .partitions import detailed_system, headline_summaries, headlines


def sample_rate_hz(folder: Path) -> int:
    """Read the rate at which the manifests of a scored system count samples, Hz, from its training's configuration."""
    return manifest_rate_hz(read_json(folder / "config.json")["task"])


@dataclass(frozen=True)
class Run:
    """What a section may read: the folder, results.json, and which projections of embeddings to draw."""

    folder: Path
    results: Mapping[str, Any]
    projections: Sequence[str] = PROJECTIONS

    def trainings(
        self, headline: str, system: str, result_type: str = CLASSIFICATION
    ) -> dict[str, tuple[Path, Path]]:
        """Return the folders of a system's first seed: partition -> its folder under `train` and under `scores`.

        They need not exist. There are several partitions for a family of folds, none where the system was not scored.
        """
        for s in headline_summaries(self.results, headline, result_type):
            if s["system"] == system:
                name = Path(system) / f"seed{min(s['seeds'])}"
                scores, train = scores_folder(self.folder), self.folder / "train"
                return {p: (train / p / name, scores / p / name) for p in s.get("folds", [headline])}
        return {}

    def detailed(self, headline: str, result_type: str = CLASSIFICATION) -> tuple[str, dict[str, Path]]:
        """Return the name of the system shown in detail, and partition -> its existing folder of scores, first seed."""
        name = detailed_system(self.results, headline, result_type) or ""
        trainings = self.trainings(headline, name, result_type)
        return name, {p: scores for p, (_, scores) in trainings.items() if scores.is_dir()}

    def first_detailed(self, file: str, result_type: str = CLASSIFICATION) -> tuple[str, dict[str, Path]]:
        """Return `detailed` of the first headline, with the folders that hold a certain file."""
        name, folders = "", dict[str, Path]()
        if heads := headlines(self.results, result_type):
            name, folders = self.detailed(heads[0], result_type)
        return name, {p: folder for p, folder in folders.items() if (folder / file).is_file()}
