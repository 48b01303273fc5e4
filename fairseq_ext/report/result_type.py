"""What a type of result is: everything that results.json, RESULTS.md, the terminal and the page need of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .partitions import Results
from .pieces import Piece
from .run import Run
from .tables import Table

# A system scored with one seed, as its metrics.json describes it.
System = Mapping[str, Any]


@dataclass(frozen=True)
class Fold:
    """A system scored on one fold, with the folder of its scores and of the fold's manifests."""

    system: System
    scores: Path
    manifests: Path


def _nothing(_: Any) -> list[Any]:
    return []


@dataclass(frozen=True)
class Section:
    """One section of the page; `make` turns a run into pieces, and the page leaves out a section without any."""

    key: str
    title: str
    make: Callable[[Run], Sequence[Piece]]


@dataclass(frozen=True)
class Tile:
    """A figure to take away, such as `92.1 %`, on top of the page, and its name with its conditions."""

    figure: str
    text: str


@dataclass(frozen=True)
class ShortForm:
    """What results.json keeps of results of a type.

    Attributes:
        system: scored system -> what is kept of it; `ResultType.summarise` takes that too.
        summary: summary, and whether RESULTS.md shows the system in detail -> what is kept of it.
    """

    system: Callable[[System], dict[str, Any]]
    summary: Callable[[Mapping[str, Any], bool], dict[str, Any]]


@dataclass(frozen=True)
class ResultType:
    """A type of result.

    Attributes:
        name: value of `kind` in metrics.json.
        required: keys of metrics.json, beside `scored_system.COMMON`.
        summarise: seeds of one system and partition -> what the summary holds of them, beside the common keys.
        figures: scored system -> its main figures in one line.
        tables: results -> tables of RESULTS.md.
        main_tables: results -> those of them that the terminal shows.
        sections: sections of the page.
        tiles: run -> figures on top of the page.
        pool: folds of a system, of one seed -> scores of all their predictions together, under the keys of
            metrics.json, or None where they are no folds. None = results of this type are not pooled.
        short_form: what results.json keeps; None = everything.
    """

    name: str
    required: tuple[str, ...]
    summarise: Callable[[Sequence[System]], dict[str, Any]]
    figures: Callable[[System], str]
    tables: Callable[[Results], Sequence[Table]] = _nothing
    main_tables: Callable[[Results], Sequence[Table]] = _nothing
    sections: Sequence[Section] = ()
    tiles: Callable[[Run], Sequence[Tile]] = _nothing
    pool: Callable[[Sequence[Fold]], dict[str, Any] | None] | None = None
    short_form: ShortForm | None = None
