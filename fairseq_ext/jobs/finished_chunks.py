"""Finished chunks: those whose items all have an outcome.

FOLDER/work-TOKEN/done/CHUNK holds a line of counts by state, then one outcome per item in the order of the
plan. It appears by a hard link, which fails when the file is there: of two attempts that finish, the first wins,
and what is there does not change. Only `retry.reopen_chunks` removes it, for items that are to be retried.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..file_errors import explain
from ..files import flush_to_disk
from .checked_lines import encode, read_checked
from .items import Outcome
from .journal import StorageError, to_outcome, to_record
from .plan import Plan

_ADVICE = "delete this file and run again: its items are done again"


def finished_path(plan: Plan, chunk: int) -> Path:
    """Return the path at which the outcomes of a chunk appear."""
    return plan.work / "done" / f"{chunk:07d}"


def journals_folder(plan: Plan, chunk: int) -> Path:
    """Return the folder that the attempts at a chunk write to."""
    return plan.work / "parts" / f"{chunk:07d}"


def finished_chunks(plan: Plan) -> set[int]:
    """Return the indices of the chunks whose items all have an outcome."""
    return _numbers(plan, "done")


def chunks_with_journals(plan: Plan) -> set[int]:
    """Return the indices of the chunks at which attempts are in progress or were killed."""
    return _numbers(plan, "parts")


def _numbers(plan: Plan, name: str) -> set[int]:
    try:
        names = os.listdir(plan.work / name)
    except FileNotFoundError as error:
        raise StorageError(
            f"{plan.work}: the plan of this command is gone: another command replaced it (--update), or the folder was "
            "deleted; run again"
        ) from error
    return {int(name) for name in names if name.isdigit()}


def commit(plan: Plan, chunk: int, outcomes: Sequence[Outcome], journals: Iterable[Path]) -> None:
    """Write a chunk's outcomes, in the order of the plan, unless another attempt was first, and remove their journals.

    Only the journals that the outcomes are from are removed, as others may appear.

    Raises:
        StorageError: when the disk is full, or the journals are gone because another attempt was first.
    """
    path = finished_path(plan, chunk)
    temporary = journals_folder(plan, chunk) / f".{secrets.token_hex(6)}"
    counts = Counter(outcome.state for outcome in outcomes)
    try:
        with open(temporary, "wb") as file:
            file.write(encode({"counts": counts}))
            file.writelines(encode(to_record(outcome)) for outcome in outcomes)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # fails where a rename would replace the file of the first attempt
        flush_to_disk(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(explain(error, path, to="write")) from error
    finally:
        temporary.unlink(missing_ok=True)
    for journal in journals:
        journal.unlink(missing_ok=True)
    with suppress(OSError):
        journals_folder(plan, chunk).rmdir()


def read_counts(plan: Plan, chunk: int) -> Counter[str]:
    """Count the items of a finished chunk by state.

    Raises:
        ValueError: when the file is damaged.
    """
    return Counter(next(read_checked(finished_path(plan, chunk), _ADVICE))["counts"])


def read_chunk(plan: Plan, chunk: int) -> Iterator[Outcome]:
    """Read the outcomes of a finished chunk, one per item in the order of the plan.

    Raises:
        ValueError: when the file is damaged.
    """
    path = finished_path(plan, chunk)
    records = list(read_checked(path, _ADVICE))[1:]
    if len(records) != plan.length(chunk):
        raise ValueError(f"{path}: expected {plan.length(chunk)} outcomes, found {len(records)}; {_ADVICE}")
    yield from map(to_outcome, records)
