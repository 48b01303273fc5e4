"""A run that was scored: its folder and its results, as the sections of the report read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import tables
from ..scoring.embeddings import PROJECTIONS
from ..scoring.scored_system import CLASSIFICATION


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

    def row_folder(self, protocol: str, row: str) -> Path | None:
        """Finds the folder of a row's first seed.

        Args:
            protocol: such as `published`.
            row: system.

        Returns:
            The folder, or None when it was not run or is not here.
        """
        seeds = [r["seed"] for r in self.results["rows"] if r["protocol"] == protocol and r["row"] == row]
        folder = self.folder / "rows" / protocol / row / f"seed{min(seeds)}" if seeds else None
        return folder if folder and folder.is_dir() else None

    def detailed(self, protocol: str, kind: str = CLASSIFICATION) -> tuple[str, Path | None]:
        """The system shown in detail.

        Args:
            protocol: such as `published`.
            kind: of the rows.

        Returns:
            Its row name, and the folder of its first seed.
        """
        name = tables.detailed_row(self.results, protocol, kind) or ""
        return name, self.row_folder(protocol, name)


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
