"""Show tables and pictures that other tools left in a run's folder: RUN/corpus/, attribution/, comparison/.

A table is a JSON file `{"title", "header": [...], "rows": [[...], ...], "note"}`, all cells text; it goes into
results.json, RESULTS.md and the page. A picture is a PNG with a JSON file of the same name beside it:
`{"title", "caption", "description"}`, the last for readers who cannot see it; it goes onto the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..scoring.scored_system import read_json
from .partitions import Results
from .pieces import Picture, Piece
from .result_type import Section
from .run import Run
from .tables import Table

FOLDERS = {"corpus": "Corpus", "attribution": "Attribution", "comparison": "Comparison of systems"}
# Of all pictures of a folder, so that the page stays small enough to be mailed.
MAX_PICTURE_BYTES = 2_000_000


def read_tables(run: Path) -> list[dict[str, Any]]:
    """Read the tables of all folders: `folder`, `key`, `title`, `header`, `rows`, `note` of each, by file name.

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
    return read_json(path, "run the tool that wrote it again; see fairseq_ext/report/extras.py")


def _checked(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    header, rows = content["header"], content.get("rows", [])
    cells = [header, *rows] if isinstance(header, list) and isinstance(rows, list) else [None]
    is_text = all(isinstance(row, list) and all(isinstance(cell, str) for cell in row) for row in cells)
    if not is_text or any(len(row) != len(header) for row in rows):
        raise ValueError(
            f"{path}: expected rows of text, each as long as the header; correct the tool that wrote it"
        )
    title, note = (str(content.get(key, default)) for key, default in (("title", path.stem), ("note", "")))
    return {"title": title, "header": header, "rows": rows, "note": note}


def tables(results: Results, folder: str | None = None) -> list[Table]:
    """Return the tables that other tools left in a folder, one of `FOLDERS`; None for all."""
    return [
        Table(t["key"], t["title"], tuple(t["header"]), tuple(map(tuple, t["rows"])), t["note"])
        for t in results.get("tables", [])
        if folder in (None, t["folder"])
    ]


def _pieces(run: Run, folder: str) -> Sequence[Piece]:
    return [*tables(run.results, folder), *_pictures(run.folder / folder)]


def _pictures(folder: Path) -> Iterator[Piece]:
    budget = MAX_PICTURE_BYTES
    for path in sorted(folder.glob("*.png")):
        about = _read(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
        title, caption = str(about.get("title", path.stem)), str(about.get("caption", ""))
        content = path.read_bytes()
        budget -= len(content)
        if budget < 0:
            yield f"{title}: left out, the page would grow too large."
        else:
            description = str(about.get("description", f"{title}. {caption}"))
            yield Picture(content, description, caption, title, is_wide=True)


CORPUS, ATTRIBUTION, COMPARISON = (
    Section(folder, title, partial(_pieces, folder=folder)) for folder, title in FOLDERS.items()
)
