"""Blocks of recordings: an item of work and a file OUT/parts/START.npz each, until all are there.

What a command computes of a corpus on many workers (embeddings, voice features) is written block by block, and becomes
the files of the result in the end. `voice_corpus` and `corpus_embedding` say what a block holds.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..file_errors import reading
from ..files import atomic_path
from ..jobs import Outcome

PARTS = "parts"  # below OUT


def part(out: Path, name: str) -> Path:
    """Return the file of a block."""
    return out / PARTS / f"{name}.npz"


def has_part(out: Path, outcome: Outcome) -> bool:
    """Return whether the file of a block that is done is there."""
    return part(out, outcome.id).is_file()


def write_part(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the arrays of a block."""
    with atomic_path(path, durable=False) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_part(path: Path, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Read arrays of a block; None = all of them."""
    with (
        reading(path, "a block of recordings", advice="delete it and run again"),
        np.load(path, allow_pickle=False) as content,
    ):
        return {name: content[name] for name in (content.files if names is None else names)}


def check_done(outcomes: Sequence[Outcome], jobs_folder: Path) -> None:
    """Check that every block was done.

    Raises:
        ValueError: one has failed.
    """
    if lost := [outcome for outcome in outcomes if outcome.state != "done"]:
        raise ValueError(
            f"{len(lost)} of {len(outcomes)} blocks have failed, the first by {lost[0].reason}: {lost[0].detail}; "
            f"see {jobs_folder / 'problems.tsv'} and run again"
        )


def skipped_of(outcomes: Sequence[Outcome], num_used: int, num_rows: int, what: str) -> list[tuple[str, str]]:
    """Return id and reason of the recordings that blocks have skipped.

    Args:
        num_used: number of recordings that were not.
        num_rows: number of all recordings.
        what: what could not be done with them, for the message, such as "embedded".

    Raises:
        ValueError: nothing is left.
    """
    skipped = [(id_, reason) for outcome in outcomes for id_, reason in outcome.result["skipped"]]
    if not num_used:
        reason = f", the first since {skipped[0][1]}" if skipped else ""
        raise ValueError(f"none of {num_rows} recordings could be {what}{reason}")
    return skipped


def remove_parts(out: Path, jobs_name: str) -> None:
    """Remove what only a run that is not finished needs."""
    for name in (PARTS, PurePath(jobs_name).parts[0]):
        shutil.rmtree(out / name, ignore_errors=True)
