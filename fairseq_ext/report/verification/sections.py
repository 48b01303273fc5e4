"""The page's section about verification: the tables, and the DET curves of the systems of each."""

from __future__ import annotations

from collections.abc import Sequence

from ...scoring.scored_system import VERIFICATION, of_result_type
from ..partitions import in_order, system_title
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
    found = of_result_type(run.results["summary"], VERIFICATION)
    pieces: list[Piece] = []
    for (partition, label), (errors, *pairs) in tables.by_partition(run.results).items():
        mine = {s["system"]: s["det"] for s in found if (s["partition"], s["label"]) == (partition, label)}
        curves = {system_title(run.results, name): mine[name] for name in in_order(run.results, mine)}
        description = f"Miss rate against false alarm rate of {', '.join(curves)}."
        pieces += [errors, Picture(png(det(curves)), description, CAPTION), *pairs]
    return pieces


SECTIONS = (Section("verification", "Verification", verification),)
