"""report.html: one page that holds everything a run has to show and opens from disk, offline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from tqdm import tqdm

from ..manifest import atomic_write
from . import markdown, page, tables
from .scored_run import Run
from .sections import SECTIONS, Section

# A page that mail programs and browsers on telephones still take.
MAX_PAGE_BYTES = 8_000_000


def render(run: Run, sections: Sequence[Section] = SECTIONS) -> str:
    """Makes the page.

    Args:
        run: run folder and results.
        sections: parts of the page, in order; those with nothing to show are left out.

    Returns:
        The HTML document.
    """
    title = str(run.results["about"].get("title", "Results"))
    made = list(_made(run, sections))
    lines = "".join(f"<div>{escape(line)}</div>" for line in markdown.provenance(run.results))
    return page.page(title, _head(run), made, lines)


def _made(run: Run, sections: Sequence[Section]) -> Iterator[tuple[str, str, str]]:
    for section in (progress := tqdm(sections, desc="report", unit="section", disable=None)):
        progress.set_postfix_str(section.key)
        if html := section.make(run):
            yield section.key, section.title, html


def _head(run: Run) -> str:
    warning = markdown.synthetic_note(run.results)
    banner = f'<p class="banner" role="note">{escape(warning)}</p>' if warning else ""
    intro = run.results["about"].get("intro", "")
    lead = f'<p class="lead">{escape(intro)}</p>' if intro else ""
    return f"{lead}{banner}{_tiles(run)}"


def _tiles(run: Run) -> str:
    """The handful of figures to take away, for the detailed system."""
    name = tables.detailed_row(run.results)
    found = [s for s in tables.summaries(run.results, tables.PUBLISHED) if s["row"] == name]
    if not found:
        return ""
    accuracy, f1, count = *(found[0]["metrics"][m] for m in ("accuracy", "macro_f1")), len(found[0]["seeds"])
    title = tables.row_title(run.results, str(name))
    seeds = "1 seed" if count == 1 else f"mean of {count} seeds"
    title = f"{title}; 95 % interval {tables.interval(accuracy)}"
    tiles = [
        (f"{tables.percent(accuracy['mean'])} %", f"accuracy on unseen speakers, {title}, {seeds}"),
        (f"{tables.percent(f1['mean'])} %", "macro-F1"),
        *_speaker_tiles(run, str(name)),
    ]
    return '<div class="tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(figure: str, words: str) -> str:
    return f'<div class="tile"><b>{escape(figure)}</b><span>{escape(words)}</span></div>'


def _speaker_tiles(run: Run, name: str) -> list[tuple[str, str]]:
    found = [s for s in tables.summaries(run.results, tables.LEFT_OUT) if s["row"] == name]
    if not found:
        return []
    scores = {s["protocol"].removeprefix(tables.LEFT_OUT): s["metrics"]["macro_f1"]["mean"] for s in found}
    worst = min(scores, key=lambda speaker: scores[speaker])
    mean = sum(scores.values()) / len(scores)
    return [
        (f"{tables.percent(mean)} %", f"macro-F1, each of {len(scores)} speakers left out in turn"),
        (f"{tables.percent(scores[worst])} %", f"macro-F1 of the hardest speaker, {worst}"),
    ]


def write_report(run: Run, sections: Sequence[Section] = SECTIONS) -> Path:
    """Writes report.html into the run's folder.

    Args:
        run: run folder and results.
        sections: parts of the page.

    Returns:
        The page's path.

    Raises:
        ValueError: the page is too large to be handed around.
    """
    started = time.perf_counter()
    html = render(run, sections)
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
