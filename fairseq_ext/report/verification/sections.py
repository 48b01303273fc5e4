"""The page's section about verification: the tables, and the DET curves of the systems of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..partitions import Results, Summary, in_order, system_title
from ..pieces import Picture, Piece
from ..plots import png
from ..result_type import Section
from ..run import Run
from ..score_plots import det
from . import tables

CAPTION = (
    "Both errors on normal-deviate axes (first seed): the nearer to the lower left corner, the better; on the dashed "
    "line they are equal."
)


def verification(run: Run) -> Sequence[Piece]:
    """Show each table with its curves."""
    found = tables.groups(run.results)
    pieces: list[Piece] = []
    for key, (errors, *pairs) in tables.by_partition(run.results).items():
        curves = _curves(run.results, key[0], found[key])
        description = f"Miss rate against false alarm rate of {', '.join(curves)}."
        pieces += [errors, Picture(png(det(curves)), description, CAPTION), *pairs]
    return pieces


def _curves(results: Results, place: str, found: Sequence[Summary]) -> dict[str, Any]:
    """Return the curve of each system, of a family of each of its folds."""
    ordered = in_order(results, [s["system"] for s in found])
    mine = sorted(found, key=lambda s: (ordered.index(s["system"]), s["partition"]))
    fold = {s["partition"]: s["partition"].removeprefix(place) for s in mine} if place.endswith("/") else {}
    names = [
        ", ".join(filter(None, (system_title(results, s["system"]), fold.get(s["partition"])))) for s in mine
    ]
    return {name: s["det"] for name, s in zip(names, mine, strict=True)}


SECTIONS = (Section("verification", "Verification", verification),)
