"""Journals: what workers write while they work on a chunk, one append-only file per attempt, a checksum per line.

FOLDER/work-TOKEN/parts/CHUNK/ATTEMPT holds, before each batch, which items it has ("start"), then an outcome per
item, and "stop" when the worker stopped in order. Items that were started and have neither an outcome nor
a "stop" after them are those at which the process died.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..file_errors import explain
from .checked_lines import Record, decode, encode
from .items import Item, Outcome

# A killed process loses nothing that it wrote; a machine that goes down loses what came after the last fsync, which is
# then done again. An fsync after each of many short items would cost more than their work.
_SYNC_EVERY_S = 2.0


class StorageError(Exception):
    """The folder of the run cannot be written to; not the fault of an item."""


class Journal:
    """The journal of one attempt, named after it, at a chunk; the folder of the chunk is created when missing."""

    def __init__(self, folder: Path, attempt: str) -> None:
        self.path = folder / attempt
        try:
            folder.mkdir(exist_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY
            self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise StorageError(explain(error, folder, to="write")) from error
        self._synced_s = time.monotonic()

    def start(self, indices: Sequence[int]) -> None:
        """Record which items, by their indices in the chunk, are about to be worked on."""
        self._write(encode({"start": indices}))

    def outcome(self, index: int, outcome: Outcome) -> None:
        """Append the outcome of the item with an index in the chunk.

        Raises:
            TypeError: for a result that JSON cannot hold; nothing is written.
        """
        self._write(encode({"index": index, **to_record(outcome)}))
        if time.monotonic() - self._synced_s > _SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        os.fsync(self._descriptor)
        self._synced_s = time.monotonic()

    def stop(self) -> None:
        """Record that the worker stopped in order during the batch."""
        self._write(encode({"stop": True}))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise StorageError(explain(error, self.path, to="write")) from error
        if written != len(line):
            raise StorageError(
                f"{self.path}: only {written} of {len(line)} bytes could be written; free some space and run again"
            )

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def to_record(outcome: Outcome) -> Record:
    """Convert an outcome to a record, without its empty fields."""
    record: Record = {"id": outcome.id, "state": outcome.state}
    values: dict[str, Any] = {"reason": outcome.reason, "detail": outcome.detail, "result": outcome.result}
    return record | {key: value for key, value in values.items() if value}


def to_outcome(record: Mapping[str, Any]) -> Outcome:
    """Convert a record of `to_record` to an outcome; other keys are ignored."""
    return Outcome(
        record["id"],
        record["state"],
        record.get("reason", ""),
        record.get("detail", ""),
        record.get("result", {}),
    )


@dataclass(slots=True)
class Recovered:
    """What the journals of earlier attempts at a chunk hold.

    Attributes:
        outcomes: outcomes by index of the item in the chunk.
        deaths: number of attempts that died at an item without an outcome, by index of the item.
        num_damaged: number of torn or corrupted lines; their items are done again.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    num_damaged: int = 0
    paths: list[Path] = field(default_factory=list)


def attempts(folder: Path) -> list[Path]:
    """List the journals of a chunk, sorted; the temporary file of a commit is not among them."""
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def recover(folder: Path, items: Sequence[Item]) -> Recovered:
    """Read the journals of earlier attempts at a chunk, however these ended; their folder need not exist."""
    found = Recovered()
    for path in attempts(folder):
        found.paths.append(path)
        _recover_file(path.read_bytes().splitlines(keepends=True), items, found)
    # Another attempt got past these items, so they are not what kills workers.
    for index in found.outcomes:
        found.deaths.pop(index, None)
    return found


def _recover_file(lines: Iterable[bytes], items: Sequence[Item], found: Recovered) -> None:
    in_progress: set[int] = set()
    for line in lines:
        record = decode(line)
        if record is None:
            found.num_damaged += 1
        elif "start" in record:
            in_progress = set(record["start"])
        elif "stop" in record:
            in_progress = set()
        elif items[record["index"]].id == record["id"]:
            in_progress.discard(record["index"])
            found.outcomes.setdefault(record["index"], to_outcome(record))
    found.deaths.update(in_progress)
