"""What an exception means: the item's fault, too little memory for the batch, or no room to go on at all."""

import errno
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from .items import Item, Outcome, Rejected
from .journal import StorageError

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MAX_DETAIL = 2000  # characters


class ContractError(Exception):
    """The work does not keep its contract; a fault of the program and of no item."""


def outcome_of(item: Item, value: Any) -> Outcome:
    """Turns what the work returned for an item into its outcome.

    Args:
        item: the item.
        value: a result, or what was raised.

    Returns:
        Done, rejected or failed.

    Raises:
        StorageError: when the work found no room to write.
        ContractError: for anything but a mapping or an exception.
    """
    if isinstance(value, Rejected):
        return Outcome(item.id, "rejected", _clean(value.reason), _clean(value.detail), value.result)
    if isinstance(value, Exception):
        raise_if_disk_full(value)
        return Outcome(item.id, "failed", type(value).__name__, _clean(f"{value}{_place(value)}"))
    if not isinstance(value, Mapping):
        raise ContractError(
            f"work: a mapping for {item.id!r} expected, found {value!r}; mend the work and run again"
        )
    return Outcome(item.id, "done", result=dict(value))


def _clean(text: object) -> str:
    """One line that any file can hold."""
    line = " ".join(str(text).split())
    return line[:_MAX_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def is_out_of_memory(error: Exception) -> bool:
    """Tells whether a smaller batch might do.

    Args:
        error: what the work raised.

    Returns:
        Whether it is for want of memory: Python's, torch's, or CTranslate2's (a RuntimeError that says so).
    """
    return any(
        isinstance(e, MemoryError)
        or type(e).__name__ == "OutOfMemoryError"
        or "out of memory" in str(e).lower()
        for e in _chain(error)
    )


def raise_if_disk_full(error: Exception) -> None:
    """Keeps a full disk from failing all items that are left.

    Args:
        error: what the work raised.

    Raises:
        StorageError: when it is for a full, exhausted or read-only disk.
    """
    for e in _chain(error):
        if isinstance(e, OSError) and e.errno in _DISK_FULL:
            raise StorageError(f"{e}; make room and run again") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
