"""Write the films of a corpus, and the table of truth: what is said when, and which damage was planted.

A corpus of films plans its `films.Film` and calls `write_films`; `add_amount` and `write_as_asked` make its command.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..files import atomic_write
from ..leftovers import remove_leftovers
from ..optional import import_optional
from .corpus_folder import claim, describe, making
from .films import TRUTH_COLUMNS, Film, TruthRow, make_film

__all__ = ["TRUTH_FILE", "add_amount", "write_as_asked", "write_films"]

TRUTH_FILE = "SYNTHETIC_truth.tsv"
# Raise it whenever audio or picture changes, so that a folder of an older version is not continued.
_VERSION = 1
_ABOUT = (
    "This corpus is synthetic: spoken by the espeak-ng synthesiser and shown by drawn faces, not by people. Results on "
    f"it say nothing about real speakers. {TRUTH_FILE} tells what is said when, and what was planted: missing and "
    "damaged files, pictures without a face, second faces."
)


def write_films(
    root: Path,
    films: Sequence[Film],
    settings: Mapping[str, object],
    *,
    num_workers: int = 1,
    progress: bool = True,
) -> list[TruthRow]:
    """Claim a folder and write all films of a corpus into it, or those that are missing.

    Args:
        root: folder of the corpus, created when missing.
        films: all films of the corpus.
        settings: everything that decides the films; `corpus` is the corpus's name.
        num_workers: number of processes.
        progress: show a progress bar.

    Returns:
        The rows of `TRUTH_FILE` (columns: `TRUTH_COLUMNS`), in the order of the films.
    """
    import_optional("cv2")
    claim(root, _ABOUT, {"version": _VERSION, **settings})
    files = {film.name: film.files for film in films}

    def is_there(name: str) -> bool:
        return all((root / path).is_file() for path in files[name])

    truth = root / TRUTH_FILE
    known = _read_truth(truth, films)
    missing = [film for film in films if film.name not in known or not is_there(film.name)]
    if missing:
        by_name = {film.name: film for film in missing}
        options: dict[str, Any] = {"num_workers": num_workers, "progress": progress}
        options |= {"is_there": is_there, "title": str(settings["corpus"])}
        with making(root, list(by_name), partial(_make, root, by_name), **options) as made:
            known |= {name: [tuple(row) for row in result["rows"]] for name, result in made.items()}
            for folder in {(root / path).parent for film in films for path in film.files} | {root}:
                remove_leftovers(folder)  # also where this call writes nothing
            with atomic_write(truth) as file:
                rows = (row for film in films for row in known[film.name])
                file.writelines("\t".join(row) + "\n" for row in (TRUTH_COLUMNS, *rows))
    return [row for film in films for row in known[film.name]]


def _make(root: Path, films: Mapping[str, Film], name: str) -> dict[str, Any]:
    return {"rows": make_film(root, films[name])}


def _read_truth(truth: Path, films: Sequence[Film]) -> dict[str, list[TruthRow]]:
    """Return the rows of the films that are in the table; empty until all films have been written once."""
    found: dict[str, list[TruthRow]] = {}
    lines = truth.read_text(encoding="utf-8").split("\n")[1:] if truth.exists() else []
    for row in (tuple(line.split("\t")) for line in lines):
        if len(row) == len(TRUTH_COLUMNS):
            found.setdefault(row[0], []).append(row)
    return {
        film.name: found[film.name] for film in films if len(found.get(film.name, ())) == len(film.sentences)
    }


def add_amount(parser: argparse.ArgumentParser, of: str, *, has_speakers: bool = True) -> None:
    """Add the options for the amount of speech of the split `of`, which `write_as_asked` reads."""
    if has_speakers:
        parser.add_argument("--speakers", type=int, metavar="N", help=f"speakers of {of} (default: a demo's)")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help=f"minutes of {of}, about (default: a demo's)"
    )


def write_as_asked(
    args: argparse.Namespace,
    write: Callable[..., dict[str, int]],
    sizes: Callable[..., object],
    **options: Any,
) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now.

    Args:
        args: parsed command line, with the options of `add_amount`.
        write: writes the corpus.
        sizes: makes the corpus's `Sizes` of the amount, its method `of`.
        **options: further arguments of `write`.

    Raises:
        ValueError: when only one of two amounts was given.
    """
    amount = [getattr(args, name) for name in ("speakers", "minutes") if hasattr(args, name)]
    if set(amount) != {None}:
        if None in amount:
            raise ValueError("--speakers and --minutes go together; give both")
        options["sizes"] = sizes(*amount)
    return describe(write(args.out, seed=args.seed, num_workers=args.workers, **options), args.out)
