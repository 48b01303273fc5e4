"""The kinds of rows: what each must hold, how its seeds are put together, and its main figures in words.

A kind of one's own is a module with `REQUIRED`, `summarise` and `figures`, and a line here; its tables stand in
`markdown.KIND_TABLES` and its parts of the page in `report.KIND_SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..scoring import classification, pretraining
from ..scoring.recognition import scores
from ..scoring.scored_system import CLASSIFICATION, PRETRAINING, RECOGNITION, kind_of


@dataclass(frozen=True)
class ResultType:
    """A kind of rows.

    Attributes:
        required: keys of metrics.json beside `rows.COMMON`.
        summarise: rows of one system and partition -> what the summary says of them beside the common keys.
        figures: row -> its main figures in one line.
    """

    required: tuple[str, ...]
    summarise: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
    figures: Callable[[Mapping[str, Any]], str]


RESULT_TYPES: Mapping[str, ResultType] = {
    CLASSIFICATION: ResultType(classification.REQUIRED, classification.summarise, classification.figures),
    RECOGNITION: ResultType(scores.REQUIRED, scores.summarise, scores.figures),
    PRETRAINING: ResultType(pretraining.REQUIRED, pretraining.summarise, pretraining.figures),
}


def figures(row: Mapping[str, Any]) -> str:
    """The main figures of a row in one line.

    Args:
        row: what metrics.json holds.

    Returns:
        Words, by its kind.
    """
    return RESULT_TYPES[kind_of(row)].figures(row)
