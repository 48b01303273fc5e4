"""Input and output of a run: items of work, and the one outcome that each ends with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

State = Literal["done", "rejected", "failed", "quarantined"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of work: its input as JSON can hold it, and an id unique within the run, which may be a path."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Rejected(Exception):
    """Raised by the work when the input is at fault, so that a retry would not help.

    Args:
        reason: short name to count by, such as "no_face".
        detail: what was found, for the user.
        result: measurements to keep all the same, as JSON can hold them.
    """

    def __init__(self, reason: str, detail: str = "", result: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason, detail, result)
        self.reason = reason
        self.detail = detail
        self.result: Mapping[str, Any] = dict(result or {})

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


Work = Callable[[Sequence[Item]], Iterable[Mapping[str, Any] | Exception]]
"""One result or exception per item, in the order of the items."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an item.

    Attributes:
        state: "done"; "rejected": the input is at fault; "failed": the work raised; "quarantined": the process
            died every time the item was tried.
        reason: reason of a rejection, class of an exception, "died" in quarantine; empty when done.
        detail: explanation for the user.
        result: what the work returned, or the measurements of a rejection; otherwise empty.
    """

    id: str
    state: State
    reason: str = ""
    detail: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


def one_by_one(function: Callable[[Item], Mapping[str, Any]]) -> Work:
    """Make work of a function of one item that returns its result or raises `Rejected` or another exception.

    An exception is the outcome of its item alone. The work yields each result as soon as it is there.
    """

    def work(items: Sequence[Item]) -> Iterator[Mapping[str, Any] | Exception]:
        for item in items:
            try:
                yield function(item)
            except Exception as error:
                yield error

    return work
