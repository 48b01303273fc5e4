"""What workers write while they work on a chunk: one append-only file per attempt, a checksum per line.

FOLDER/work-TOKEN/parts/CHUNK/ATTEMPT holds, before each batch, which items it has ("start"), then an outcome per
item, and "stop" when the worker gave up on its own accord. Items that were started and have neither an outcome nor
a "stop" after them are those at which the process died.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checked_lines import Record, decode, encode
from .items import Item, Outcome

# A killed process loses nothing that it wrote; a machine that goes down loses what came after the last fsync,
# and that is done again. Waiting for the disk after each of many short items would cost more than their work.
_SYNC_EVERY_S = 2.0


class StorageError(Exception):
    """The folder of the run cannot be written; not the fault of any item."""


class Journal:
    """The file of one attempt at a chunk.

    Attributes:
        path: of the file.

    Args:
        folder: of the parts of the chunk; it is created.
        attempt: name of the file.
    """

    def __init__(self, folder: Path, attempt: str) -> None:
        self.path = folder / attempt
        try:
            folder.mkdir(exist_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY
            self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise StorageError(f"{folder}: {error}") from error
        self._synced_s = time.monotonic()

    def start(self, indices: Sequence[int]) -> None:
        """Says which items are about to be worked on.

        Args:
            indices: of the items in the chunk.
        """
        self._write(encode({"start": indices}))

    def outcome(self, index: int, outcome: Outcome) -> None:
        """Appends an outcome.

        Args:
            index: of the item in the chunk.
            outcome: what became of it; its result must be as JSON can hold it.

        Raises:
            TypeError: for a result that JSON cannot hold; nothing is written.
        """
        self._write(encode({"index": index, **to_record(outcome)}))
        if time.monotonic() - self._synced_s > _SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Waits until the disk has what was written."""
        os.fsync(self._descriptor)
        self._synced_s = time.monotonic()

    def stop(self) -> None:
        """Says that the batch under way was given up on the worker's own accord."""
        self._write(encode({"stop": True}))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise StorageError(f"parts: {error}") from error
        if written != len(line):
            raise StorageError(f"parts: {len(line)} bytes expected to fit, found room for {written}")

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def to_record(outcome: Outcome) -> Record:
    """Turns an outcome into a record; what is empty is left out.

    Args:
        outcome: what became of an item.

    Returns:
        The record.
    """
    record: Record = {"id": outcome.id, "state": outcome.state}
    values: dict[str, Any] = {"reason": outcome.reason, "detail": outcome.detail, "result": outcome.result}
    return record | {key: value for key, value in values.items() if value}


def to_outcome(record: Mapping[str, Any]) -> Outcome:
    """Turns a record into an outcome.

    Args:
        record: as `to_record` makes it; other keys are ignored.

    Returns:
        The outcome.
    """
    return Outcome(
        record["id"],
        record["state"],
        record.get("reason", ""),
        record.get("detail", ""),
        record.get("result", {}),
    )


@dataclass(slots=True)
class Recovered:
    """What earlier attempts at a chunk left.

    Attributes:
        outcomes: by index of the item in the chunk.
        deaths: by index, how many attempts died at an item that has no outcome.
        num_damaged: lines that are torn or changed; what they said is done again.
        paths: the files that said so.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    num_damaged: int = 0
    paths: list[Path] = field(default_factory=list)


def attempts(folder: Path) -> list[Path]:
    """Lists the files of the attempts at a chunk.

    Args:
        folder: of the parts of the chunk; it need not exist.

    Returns:
        Their paths, sorted; what is being put together for the commit is none.
    """
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def recover(folder: Path, items: Sequence[Item]) -> Recovered:
    """Reads what earlier attempts at a chunk left, however they ended.

    Args:
        folder: of the parts of the chunk; it need not exist.
        items: of the chunk.

    Returns:
        Outcomes and deaths.
    """
    found = Recovered()
    for path in attempts(folder):
        found.paths.append(path)
        _recover_file(path.read_bytes().splitlines(keepends=True), items, found)
    for index in found.outcomes:
        found.deaths.pop(index, None)
    return found


def _recover_file(lines: Iterable[bytes], items: Sequence[Item], found: Recovered) -> None:
    underway: set[int] = set()
    for line in lines:
        record = decode(line)
        if record is None:
            found.num_damaged += 1
        elif "start" in record:
            underway = set(record["start"])
        elif "stop" in record:
            underway = set()
        elif items[record["index"]].id == record["id"]:
            underway.discard(record["index"])
            found.outcomes.setdefault(record["index"], to_outcome(record))
    found.deaths.update(underway)
