"""The page's section about self-supervised trainings: the table, and the curves of everything that shows a collapse."""

from __future__ import annotations

from collections.abc import Sequence

from ...scoring.scored_system import PRETRAINING, of_result_type
from ..learning import learning_curves
from ..pieces import Piece
from ..plots import Panel
from ..result_type import Section
from ..run import Run
from . import tables

PANELS = (
    Panel("loss", "Loss", "bits"),
    Panel("contrastive", "Contrastive loss", "bits"),
    Panel("accuracy", "Accuracy", "right targets, %"),
    Panel("diversity", "Diversity loss", "share of codes not in use"),
    Panel("code_perplexity", "Code perplexity", "codes, as chosen"),
    Panel("prob_perplexity", "Probability perplexity", "codes, mean probability"),
)
CAPTION = (
    "First seed. A collapse would show as a code perplexity that falls to the number of code books, or an accuracy "
    "of 100 %."
)


def pretraining(run: Run) -> Sequence[Piece]:
    """Show what was pre-trained, and how its losses went."""
    partitions = list(
        dict.fromkeys(s["partition"] for s in of_result_type(run.results["summary"], PRETRAINING))
    )
    curves = learning_curves(run, partitions, PRETRAINING, PANELS, CAPTION)
    return [*tables.all_tables(run.results), *curves]


SECTIONS = (Section("ssl", "Self-supervised pre-training", pretraining),)
