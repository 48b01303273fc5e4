"""What an exception of the work means: a failed item, too large a batch, or a full disk, which ends the run."""

import errno
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from ..file_errors import FileError, explain
from .items import Item, Outcome, Rejected
from .journal import StorageError

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MAX_DETAIL = 2000  # characters


class ContractError(Exception):
    """The work function breaks its contract: a bug of the program, not the fault of an item."""


def outcome_of(item: Item, value: Any) -> Outcome:
    """Convert what the work returned or raised for an item to its outcome: done, rejected or failed.

    Raises:
        StorageError: when the disk is full.
        ContractError: for a value that is neither a mapping nor an exception.
    """
    if isinstance(value, Rejected):
        return Outcome(item.id, "rejected", _clean(value.reason), _clean(value.detail), value.result)
    if isinstance(value, Exception):
        raise_if_disk_full(value)
        return Outcome(item.id, "failed", type(value).__name__, _clean(f"{value}{_place(value)}"))
    if not isinstance(value, Mapping):
        raise ContractError(
            f"work: expected a mapping for {item.id!r}, found {value!r}; fix the work function and run again"
        )
    return Outcome(item.id, "done", result=dict(value))


def _clean(text: object) -> str:
    """Return a text as one line that any file can hold."""
    line = " ".join(str(text).split())
    return line[:_MAX_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a smaller batch may succeed: Python, torch or CTranslate2 (a RuntimeError) was out of memory."""
    return any(
        isinstance(e, MemoryError)
        or type(e).__name__ == "OutOfMemoryError"
        or "out of memory" in str(e).lower()
        for e in _chain(error)
    )


def raise_if_disk_full(error: Exception) -> None:
    """Raise StorageError for a disk that is full, over its quota or read-only: every item that is left would fail."""
    for e in _chain(error):
        if isinstance(e, OSError) and e.errno in _DISK_FULL:
            raise StorageError(
                str(error) if isinstance(error, FileError) else explain(e, to="write")
            ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
