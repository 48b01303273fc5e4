"""Tables and pictures that other tools left in a run's folder: RUN/attribution/ and RUN/corpus/.

A table is a JSON file `{"title", "header": [...], "rows": [[...], ...], "note"}`, all cells text; it goes into
results.json, RESULTS.md and the page. A picture is a PNG with a JSON file of the same name beside it:
`{"title", "caption", "description"}`, the last for readers who cannot see it; it goes onto the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from . import page
from .run import Run, Section
from .tables import Results, Table

FOLDERS = {"corpus": "Corpus", "attribution": "Attribution"}
# Of all pictures of a folder, so that the page stays small enough to be handed around.
MAX_PICTURE_BYTES = 2_000_000


def read_tables(run: Path) -> list[dict[str, Any]]:
    """Reads the tables of all folders.

    Args:
        run: run folder.

    Returns:
        `folder`, `key`, `title`, `header`, `rows`, `note` of each, in the order of the file names.

    Raises:
        ValueError: a file is not of the format.
    """
    found = []
    for folder in FOLDERS:
        for path in sorted((run / folder).glob("*.json")):
            content = _read(path)
            if "header" in content:
                found.append({"folder": folder, "key": f"{folder}-{path.stem}", **_checked(content, path)})
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, found {error}; run the tool that wrote it again") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: expected an object with a title, found {content!r:.60}; see report/extras.py"
        )
    return content


def _checked(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    header, rows = content["header"], content.get("rows", [])
    cells = [header, *rows] if isinstance(header, list) and isinstance(rows, list) else [None]
    is_text = all(isinstance(row, list) and all(isinstance(cell, str) for cell in row) for row in cells)
    if not is_text or any(len(row) != len(header) for row in rows):
        raise ValueError(
            f"{path}: expected rows of text, each as long as the header, found others; mend its writer"
        )
    title, note = (str(content.get(key, default)) for key, default in (("title", path.stem), ("note", "")))
    return {"title": title, "header": header, "rows": rows, "note": note}


def tables(results: Results, folder: str | None = None) -> list[Table]:
    """The tables that were left by other tools.

    Args:
        results: the results.
        folder: of which folder; None for all.

    Returns:
        The tables.
    """
    return [
        Table(t["key"], t["title"], tuple(t["header"]), tuple(map(tuple, t["rows"])), t["note"])
        for t in results.get("tables", [])
        if folder in (None, t["folder"])
    ]


def _section(run: Run, folder: str) -> str | None:
    made = [page.table(table) for table in tables(run.results, folder)]
    return "".join([*made, *_pictures(run.folder / folder)]) or None


def _pictures(folder: Path) -> list[str]:
    drawn = []
    budget = MAX_PICTURE_BYTES
    for path in sorted(folder.glob("*.png")):
        facts = _read(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
        title, caption = str(facts.get("title", path.stem)), str(facts.get("caption", ""))
        content = path.read_bytes()
        budget -= len(content)
        if budget < 0:
            drawn.append(f'<p class="note">{escape(title)}: left out, the page would grow too large.</p>')
            continue
        description = str(facts.get("description", f"{title}. {caption}"))
        drawn.append(f"<h3>{escape(title)}</h3>" + page.figure(content, description, caption, wide=True))
    return drawn


def corpus(run: Run) -> str | None:
    """Tables and pictures of the corpus.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return _section(run, "corpus")


def attribution(run: Run) -> str | None:
    """Tables and pictures of what the network looks at.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return _section(run, "attribution")


CORPUS = Section("corpus", FOLDERS["corpus"], corpus)
ATTRIBUTION = Section("attribution", FOLDERS["attribution"], attribution)
