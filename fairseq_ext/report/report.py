"""report.html: one page that holds everything a run has to show and opens from disk, offline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from tqdm import tqdm

from ..manifest import atomic_write
from . import extras, markdown, page, pretraining_sections, sections
from .recognition import sections as recognition_sections
from .run import Run, Section
from .tiles import tiles

# The parts of a page, by kind of rows; those with nothing to show are left out.
SECTIONS: list[Section] = [
    extras.CORPUS,
    *recognition_sections.SECTIONS,
    extras.ATTRIBUTION,
    *pretraining_sections.SECTIONS,
    *sections.SECTIONS,
]

# A page that mail programs and browsers on telephones still take.
MAX_PAGE_BYTES = 8_000_000


def render(run: Run, parts: Sequence[Section] = SECTIONS) -> str:
    """Makes the page.

    Args:
        run: run folder and results.
        parts: of the page, in order; those with nothing to show are left out.

    Returns:
        The HTML document.
    """
    title = str(run.results["about"].get("title", "Results"))
    made = list(_made(run, parts))
    lines = "".join(f"<div>{escape(line)}</div>" for line in markdown.provenance(run.results))
    return page.page(title, _head(run), made, lines)


def _made(run: Run, parts: Sequence[Section]) -> Iterator[tuple[str, str, str]]:
    for section in (progress := tqdm(parts, desc="report", unit="section", disable=None)):
        progress.set_postfix_str(section.key)
        if html := section.make(run):
            yield section.key, section.title, html


def _head(run: Run) -> str:
    warning = markdown.synthetic_note(run.results)
    banner = f'<p class="banner" role="note">{escape(warning)}</p>' if warning else ""
    intro = run.results["about"].get("intro", "")
    lead = f'<p class="lead">{escape(intro)}</p>' if intro else ""
    return f"{lead}{banner}{tiles(run)}"


def write_report(run: Run, parts: Sequence[Section] = SECTIONS) -> Path:
    """Writes report.html into the run's folder.

    Args:
        run: run folder and results.
        parts: of the page.

    Returns:
        The page's path.

    Raises:
        ValueError: the page is too large to be handed around.
    """
    started = time.perf_counter()
    html = render(run, parts)
    size = len(html.encode("utf-8"))
    if size > MAX_PAGE_BYTES:
        raise ValueError(
            f"{run.folder}/report.html: expected at most {MAX_PAGE_BYTES} bytes, found {size} after "
            f"{time.perf_counter() - started:.0f} s; leave out a section"
        )
    path = run.folder / "report.html"
    with atomic_write(path) as file:
        file.write(html)
    return path
