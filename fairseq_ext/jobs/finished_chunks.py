"""Chunks whose items all have an outcome.

FOLDER/work-TOKEN/done/CHUNK holds a line of counts by state, then one outcome per item in the order of the
plan. It appears by a hard link, which fails when the file is there: of two attempts that finish, the first wins,
and what is there does not change. Only `upkeep.reopen` takes it away, for items that are to be tried again.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .checked_lines import encode, read_checked
from .items import Outcome
from .journal import StorageError, to_outcome, to_record
from .plan import Plan

_ADVICE = "remove this file and run again, its items are then done anew"


def finished_path(plan: Plan, chunk: int) -> Path:
    """Where the outcomes of a chunk appear.

    Args:
        plan: of the run.
        chunk: its index.

    Returns:
        The path.
    """
    return plan.work / "done" / f"{chunk:07d}"


def journals_folder(plan: Plan, chunk: int) -> Path:
    """Where the attempts at a chunk write.

    Args:
        plan: of the run.
        chunk: its index.

    Returns:
        The path.
    """
    return plan.work / "parts" / f"{chunk:07d}"


def finished_chunks(plan: Plan) -> set[int]:
    """Lists the chunks whose items all have an outcome.

    Args:
        plan: of the run.

    Returns:
        Their indices.
    """
    return _numbers(plan, "done")


def chunks_with_journals(plan: Plan) -> set[int]:
    """Lists the chunks at which attempts are under way or were left.

    Args:
        plan: of the run.

    Returns:
        Their indices.
    """
    return _numbers(plan, "parts")


def _numbers(plan: Plan, name: str) -> set[int]:
    try:
        names = os.listdir(plan.work / name)
    except FileNotFoundError as error:
        raise StorageError(
            f"{plan.work}: the plan that this command began with expected, found it gone: another command has made a "
            "new one (--update), or the folder was removed; run again"
        ) from error
    return {int(name) for name in names if name.isdigit()}


def commit(plan: Plan, chunk: int, outcomes: Sequence[Outcome], parts: Iterable[Path]) -> None:
    """Writes the outcomes of a chunk, unless another attempt was first, and removes the parts they came from.

    Args:
        plan: of the run.
        chunk: its index.
        outcomes: one per item, in the order of the plan.
        parts: the files of the attempts; only these are removed, for others may come.

    Raises:
        StorageError: when there is no room, or the parts are gone because another attempt was first.
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
        os.link(temporary, path)
        _flush_folder(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(f"{path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    for part in parts:
        part.unlink(missing_ok=True)
    with suppress(OSError):
        journals_folder(plan, chunk).rmdir()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_counts(plan: Plan, chunk: int) -> Counter[str]:
    """Reads how many items of a done chunk ended in which state.

    Args:
        plan: of the run.
        chunk: its index.

    Returns:
        Number of items by state.

    Raises:
        ValueError: when the file is damaged.
    """
    return Counter(next(read_checked(finished_path(plan, chunk), _ADVICE))["counts"])


def read_chunk(plan: Plan, chunk: int) -> Iterator[Outcome]:
    """Reads the outcomes of a done chunk.

    Args:
        plan: of the run.
        chunk: its index.

    Yields:
        One outcome per item, in the order of the plan.

    Raises:
        ValueError: when the file is damaged.
    """
    path = finished_path(plan, chunk)
    records = list(read_checked(path, _ADVICE))[1:]
    if len(records) != plan.length(chunk):
        raise ValueError(f"{path}: {plan.length(chunk)} outcomes expected, found {len(records)}; {_ADVICE}")
    yield from map(to_outcome, records)
