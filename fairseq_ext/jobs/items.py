"""What goes in and what comes out: an item of work, and the one outcome that it ends with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

State = Literal["done", "rejected", "failed", "quarantined"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of work.

    Attributes:
        id: unique within its run; it may be a path with slashes.
        data: what the work needs to know, as JSON can hold it (numbers, texts, lists, mappings).
    """

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Rejected(Exception):
    """Raised by the work when the input is at fault, so that trying again would not help.

    Args:
        reason: a slug to count by, such as "no_face".
        detail: what was found, for a person.
        result: measurements that are worth keeping all the same, as JSON can hold them.
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
    """What became of an item.

    Attributes:
        id: of the item.
        state: "done"; "rejected": the input is at fault; "failed": the work raised; "quarantined": the process
            died every time the item was tried.
        reason: the slug of a rejection, the class of an exception, "died" in quarantine; empty when done.
        detail: for a person.
        result: what the work returned; of a rejection what it was given, otherwise empty.
    """

    id: str
    state: State
    reason: str = ""
    detail: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


def one_by_one(function: Callable[[Item], Mapping[str, Any]]) -> Work:
    """Makes work of a function of one item; an exception is the outcome of its item alone.

    Args:
        function: returns the result of an item, as JSON can hold it, or raises `Rejected` or another exception.

    Returns:
        The work. Results are handed over one at a time, as they come.
    """

    def work(items: Sequence[Item]) -> Iterator[Mapping[str, Any] | Exception]:
        for item in items:
            try:
                yield function(item)
            except Exception as error:
                yield error

    return work
