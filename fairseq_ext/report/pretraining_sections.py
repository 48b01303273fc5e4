"""The page's part about self-supervised trainings: the table and the curves of everything that shows a collapse."""

from __future__ import annotations

from ..scoring.scored_system import PRETRAINING, of_kind
from . import page, pretraining_tables
from .learning import learning_curves
from .plots import Panel
from .run import Run, Section

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


def pretraining(run: Run) -> str | None:
    """What was pre-trained, and how it went.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    made = [page.table(table) for table in pretraining_tables.all_tables(run.results)]
    partitions = list(dict.fromkeys(s["partition"] for s in of_kind(run.results["summary"], PRETRAINING)))
    curves = learning_curves(run, partitions, PRETRAINING, PANELS, CAPTION)
    return "".join([*made, *([curves] if curves else [])]) or None


SECTIONS: list[Section] = [Section("ssl", "Self-supervised pre-training", pretraining)]
