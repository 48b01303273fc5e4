"""Write the films of a corpus: labelled as synthetic, by several processes, continued after a kill.

A film is done when its files are there and its rows stand in the table of truth, which grows with every film.
"""

import json
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ..files import atomic_write, read_lines
from .films import TRUTH_COLUMNS, Film, Row, make_film
from .speech import list_languages

__all__ = ["LABEL_FILE", "TRUTH_FILE", "claim", "write_films"]

LABEL_FILE = "SYNTHETIC.txt"
TRUTH_FILE = "SYNTHETIC_truth.tsv"
# To be raised whenever sound or picture changes, so that a folder of older films is not continued.
_VERSION = 1
_ABOUT = (
    "This corpus is synthetic: spoken by the espeak-ng synthesiser and shown by drawn faces, not by people. Results on "
    f"it say nothing about real speakers. {TRUTH_FILE} tells what is said when, and what was planted: missing and "
    "damaged files, pictures without a face, second faces.\n"
)


def claim(root: Path, settings: Mapping[str, object]) -> None:
    """Label a folder as synthetic before anything else is written; refuse one that is something else.

    Args:
        root: of the corpus, created when missing.
        settings: all that decides the content.

    Raises:
        ValueError: for a folder with other files, or a corpus of other settings.
        SpeechError: when the package espeakng-loader is missing.
        ModuleNotFoundError: when OpenCV is missing, naming what to install.
    """
    list_languages()
    _require_opencv()
    line, label = json.dumps({"version": _VERSION, **settings}), root / LABEL_FILE
    if label.exists():
        known = [text for text in read_lines(label) if text.startswith("{")]
        if known != [line]:
            raise ValueError(
                f"{label}: the settings {line} expected, found {' '.join(known)}; choose another folder"
            )
        return
    if root.exists() and any(root.iterdir()):
        raise ValueError(
            f"{root}: an empty folder or a {LABEL_FILE} expected, found other files; choose another folder"
        )
    with atomic_write(label) as file:
        file.write(f"{_ABOUT}{line}\n")


def _require_opencv() -> None:
    try:
        import cv2  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}; run pip install -e .[video]") from None


def write_films(
    root: Path, films: Sequence[Film], *, num_workers: int = 1, title: str = "films", progress: bool = True
) -> list[Row]:
    """Write all films, or those that are missing.

    Args:
        root: of the corpus; claimed.
        films: all of the corpus.
        num_workers: processes.
        title: of the progress bar.
        progress: show it.

    Returns:
        The rows of `TRUTH_FILE` (columns: `TRUTH_COLUMNS`), in the order of the films.
    """
    truth = root / TRUTH_FILE
    _remove_scratch(root, films)
    known = _known(truth, films)
    missing = [film for film in films if film.name not in known or not _are_there(root, film)]
    if missing or not truth.exists():
        with atomic_write(truth) as file:
            file.write(_line(TRUTH_COLUMNS))
            file.writelines(_line(row) for rows in known.values() for row in rows)
        with open(truth, "a", encoding="utf-8", newline="\n") as file:
            made = _run(root, missing, num_workers)
            bar = tqdm(made, title, len(missing), unit="film", disable=not progress)
            for film, rows in zip(missing, bar, strict=True):
                known[film.name] = rows
                file.write("".join(map(_line, rows)))
                file.flush()
        with atomic_write(truth) as file:
            file.write(_line(TRUTH_COLUMNS))
            file.writelines(_line(row) for film in films for row in known[film.name])
    return [row for film in films for row in known[film.name]]


def _are_there(root: Path, film: Film) -> bool:
    return all((root / path).is_file() for path in film.files)


def _remove_scratch(root: Path, films: Sequence[Film]) -> None:
    """Remove what a killed run left beside the files."""
    for folder in {(root / path).parent for film in films for path in film.files} | {root}:
        for scratch in folder.glob(".*.tmp"):
            scratch.unlink()


def _known(truth: Path, films: Sequence[Film]) -> dict[str, list[Row]]:
    """Rows of the films done so far; a film whose rows were cut off by a kill is not done."""
    wanted = {film.name: len(film.sentences) for film in films}
    found: dict[str, list[Row]] = {}
    content = truth.read_bytes().rpartition(b"\n")[0].decode("utf-8") if truth.exists() else ""
    for line in content.split("\n")[1:]:
        row = tuple(line.split("\t"))
        if row[0] in wanted and len(row) == len(TRUTH_COLUMNS):
            found.setdefault(row[0], []).append(row)
    latest = {name: rows[-wanted[name] :] for name, rows in found.items()}
    return {
        name: rows
        for name, rows in latest.items()
        if [row[1] for row in rows] == [str(number) for number in range(wanted[name])]
    }


def _line(cells: Sequence[str]) -> str:
    return "\t".join(cells) + "\n"


def _run(root: Path, films: Sequence[Film], num_workers: int) -> Iterator[list[Row]]:
    """Rows of the films, in order, as they appear."""
    roots = [root] * len(films)
    if num_workers <= 1 or len(films) <= 1:
        yield from map(make_film, roots, films)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(make_film, roots, films)


def _end_with_parent() -> None:
    """A killed parent would leave its workers waiting for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
