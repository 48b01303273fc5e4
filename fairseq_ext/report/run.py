"""A run that was scored: its folder and its results, as the sections of the report read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..scoring.embeddings import PROJECTIONS
from ..scoring.scored_system import CLASSIFICATION, scores_folder
from . import tables


@dataclass(frozen=True)
class Run:
    """What a section may read.

    Attributes:
        folder: run folder.
        results: what results.json holds.
        projections: which projections of embeddings to draw.
    """

    folder: Path
    results: Mapping[str, Any]
    projections: Sequence[str] = PROJECTIONS

    def system_folder(self, partition: str, row: str) -> Path | None:
        """Finds the folder of a row's first seed.

        Args:
            partition: such as `published`.
            row: system.

        Returns:
            The folder, or None when it was not run or is not here.
        """
        seeds = [
            r["seed"] for r in self.results["systems"] if r["partition"] == partition and r["system"] == row
        ]
        folder = scores_folder(self.folder) / partition / row / f"seed{min(seeds)}" if seeds else None
        return folder if folder and folder.is_dir() else None

    def detailed(self, partition: str, kind: str = CLASSIFICATION) -> tuple[str, Path | None]:
        """The system shown in detail.

        Args:
            partition: such as `published`.
            kind: of the rows.

        Returns:
            Its row name, and the folder of its first seed.
        """
        name = tables.detailed_system(self.results, partition, kind) or ""
        return name, self.system_folder(partition, name)


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        key: short name, unique on the page.
        title: heading.
        make: run -> HTML, or None when there is nothing to show.
    """

    key: str
    title: str
    make: Callable[[Run], str | None]
