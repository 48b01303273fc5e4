"""A plan: the items in order, in chunks that one worker leases at a time. A plan never changes.

FOLDER/plan.json holds token, counts and settings of a plan. FOLDER/work-TOKEN/ holds `items.jsonl` (a line per item, as
in `checked_lines.py`), `chunks.bin` (the offsets of the chunks in it and its length, 64-bit little-endian) and all
progress on the plan. plan.json appears last, by a hard link (`plan_writer.py`). A plan for other items replaces it by a
file next.json in the work folder of the earlier plan (`update_plan.py`).
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..file_errors import FileError, reading
from .checked_lines import decode, encode
from .items import Item

PLAN = "plan.json"
NEXT = "next.json"
HEADER = ("token", "num_items", "chunk_size", "settings")  # keys of plan.json
_ADVICE = "delete the folder of the run and run again"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk, under a unique token; the last chunk may have fewer items than `chunk_size`.

    `settings` are what the outcomes depend on, besides the items.
    """

    folder: Path
    token: str
    num_items: int
    chunk_size: int
    settings: Mapping[str, Any]

    @property
    def num_chunks(self) -> int:
        """Return the number of chunks."""
        return -(-self.num_items // self.chunk_size)

    @property
    def work(self) -> Path:
        """Folder of this plan within that of the run."""
        return work_folder(self.folder, self.token)

    def length(self, chunk: int) -> int:
        """Return the number of items of a chunk."""
        return min(self.chunk_size, self.num_items - chunk * self.chunk_size)

    def items(self, chunk: int) -> list[Item]:
        """Read the items of a chunk; raise ValueError when the plan is damaged."""
        path = self.work / "items.jsonl"
        lines = enumerate(self.lines(chunk), 1)
        return [to_item(line, path, chunk * self.chunk_size + number) for number, line in lines]

    def lines(self, chunk: int) -> list[bytes]:
        """Read the lines of the items of a chunk, without verifying their checksums."""
        bounds, items = self.work / "chunks.bin", self.work / "items.jsonl"
        with reading(bounds, "the table of a plan", advice=_ADVICE), open(bounds, "rb") as file:
            file.seek(8 * chunk)
            start, end = struct.unpack("<2Q", file.read(16))
        with reading(items, advice=_ADVICE), open(items, "rb") as file:
            file.seek(start)
            lines = file.read(end - start).splitlines(keepends=True) if start <= end else []
        if len(lines) != self.length(chunk):  # an offset is wrong, or the list was cut off
            raise FileError(
                f"{bounds}: expected {self.length(chunk)} items in chunk {chunk} of {items.name}, found {len(lines)}; "
                f"{_ADVICE}"
            )
        return lines


def to_item(line: bytes, path: Path, number: int) -> Item:
    """Decode the line of an item; its file and number are for the message.

    Raises:
        ValueError: for a damaged line.
    """
    record = decode(line)
    if record is None:
        raise ValueError(f"{path}:{number}: damaged line (its checksum does not match); {_ADVICE}")
    return Item(**record)


def work_folder(folder: Path, token: str) -> Path:
    """Return the folder of the work on a plan."""
    return folder / f"work-{token}"


def open_plan(folder: str | os.PathLike[str]) -> Plan:
    """Open the plan of a run; raise ValueError when there is none, FileError when it is damaged."""
    found = list(plans(Path(folder)))
    if not found:
        raise ValueError(f"{Path(folder) / PLAN}: no such plan; start the run first")
    return found[-1]


def plans(root: Path) -> Iterator[Plan]:
    """Yield the plans of a run: the first one and those that replaced it; the last one is current."""
    path = root / PLAN
    while path.exists():
        with reading(path, "a plan", advice=_ADVICE):
            header = json.loads(path.read_text(encoding="utf-8"))
            plan = Plan(root, *(header[name] for name in HEADER))
        yield plan
        path = plan.work / NEXT


def to_line(item: Item) -> bytes:
    """Encode an item as a line; equal items give equal lines.

    Raises:
        ValueError: for data that JSON cannot hold.
    """
    try:
        return encode({"id": item.id, "data": dict(item.data)}, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item {item.id!r}: its data cannot be written as JSON: {error}; convert it"
        ) from error


def chunks_of_shard(plan: Plan, shards: int, shard_id: int) -> Iterator[int]:
    """Yield the chunks of a shard; every chunk belongs to exactly one shard."""
    yield from range(shard_id, plan.num_chunks, shards)
