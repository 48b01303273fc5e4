"""Build report.html: one page that holds everything a run has to show and opens from disk, offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from ..files import atomic_write
from . import extras, html, provenance
from .embedding_map.scripts import scripts_of
from .embedding_map.sections import MAPS
from .pieces import Piece
from .registry import RESULT_TYPES
from .result_type import Section
from .run import Run

# A page that mail programs and browsers on telephones still take, and what maps to turn and listen to need beside it.
MAX_PAGE_BYTES = 8_000_000
MAX_MAPS_BYTES = 12_000_000


def sections() -> list[Section]:
    """Return the sections: corpus, every result type's, maps, attribution, and where the figures come from."""
    of_types = [section for result_type in RESULT_TYPES.values() for section in result_type.sections]
    return [extras.CORPUS, *of_types, extras.COMPARISON, MAPS, extras.ATTRIBUTION, provenance.SECTION]


def render(run: Run, parts: Sequence[Section] | None = None) -> str:
    """Make the page from sections, None = all; those with nothing to show are left out."""
    about = run.results["about"]
    made = list(_made(run, sections() if parts is None else parts))
    return html.render(
        "page",
        title=str(about.get("title", "Results")),
        intro=str(about.get("intro", "")),
        warning=provenance.synthetic_note(run.results) or "",
        tiles=[tile for result_type in RESULT_TYPES.values() for tile in result_type.tiles(run)],
        sections=made,
        scripts=scripts_of(piece for _, pieces in made for piece in pieces),
        origins=provenance.origins(run.results),
    )


def _made(run: Run, parts: Sequence[Section]) -> Iterator[tuple[Section, Sequence[Piece]]]:
    for section in (progress := tqdm(parts, desc="report", unit="section", disable=None)):
        progress.set_postfix_str(section.key)
        if pieces := section.make(run):
            yield section, pieces


def write_report(run: Run, parts: Sequence[Section] | None = None) -> Path:
    """Write report.html into the run's folder, from sections, None = all.

    Raises:
        ValueError: the page is larger than `MAX_PAGE_BYTES`.
    """
    text = render(run, parts)
    path = run.folder / "report.html"
    most = MAX_PAGE_BYTES + (MAX_MAPS_BYTES if "<script" in text else 0)
    if (size := len(text.encode("utf-8"))) > most:
        raise ValueError(f"{path}: expected at most {most} bytes, found {size}; leave out a section")
    with atomic_write(path) as file:
        file.write(text)
    return path
