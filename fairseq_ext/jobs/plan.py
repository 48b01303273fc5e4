"""What is to be done: items in order, in chunks that one worker takes at a time. A plan never changes.

FOLDER/plan.json says of a plan its token, counts and settings; FOLDER/work-TOKEN/ holds `items.jsonl` (a
record per item, as `checked_lines.py` writes them), `chunks.bin` (where each chunk starts in it, 64-bit little-endian, and
the end) and all that is done on it. plan.json appears by a hard link, when the rest is there (`plan_writer.py`). A plan of
other items comes in its place by a file next.json in the work folder of the one before (`update_plan.py`).
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checked_lines import decode, encode
from .items import Item

PLAN = "plan.json"
NEXT = "next.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk.

    Attributes:
        folder: of the run.
        token: tells this plan from all others.
        num_items: how many.
        chunk_size: items per chunk; the last one may have fewer.
        settings: what the outcomes depend on besides the items.
    """

    folder: Path
    token: str
    num_items: int
    chunk_size: int
    settings: Mapping[str, Any]

    @property
    def num_chunks(self) -> int:
        """How many chunks."""
        return -(-self.num_items // self.chunk_size)

    @property
    def work(self) -> Path:
        """The folder of this plan within that of the run."""
        return work_folder(self.folder, self.token)

    def length(self, chunk: int) -> int:
        """How many items a chunk has.

        Args:
            chunk: its index.

        Returns:
            The number of its items.
        """
        return min(self.chunk_size, self.num_items - chunk * self.chunk_size)

    def items(self, chunk: int) -> list[Item]:
        """Reads the items of a chunk.

        Args:
            chunk: its index.

        Returns:
            Its items.

        Raises:
            ValueError: when the plan is damaged.
        """
        path = self.work / "items.jsonl"
        lines = enumerate(self.lines(chunk), 1)
        return [to_item(line, path, chunk * self.chunk_size + number) for number, line in lines]

    def lines(self, chunk: int) -> list[bytes]:
        """Reads the items of a chunk as they were written.

        Args:
            chunk: its index.

        Returns:
            A line per item, unchecked.
        """
        with open(self.work / "chunks.bin", "rb") as file:
            file.seek(8 * chunk)
            start, end = struct.unpack("<2Q", file.read(16))
        with open(self.work / "items.jsonl", "rb") as file:
            file.seek(start)
            return file.read(end - start).splitlines(keepends=True)


def to_item(line: bytes, path: Path, number: int) -> Item:
    """Reads an item.

    Args:
        line: as `to_line` writes it.
        path: that it is from, for the message.
        number: of the line, likewise.

    Returns:
        The item.

    Raises:
        ValueError: for a damaged line.
    """
    record = decode(line)
    if record is None:
        raise ValueError(
            f"{path}:{number}: an item and its checksum expected, found a damaged line; "
            "remove the folder and run again"
        )
    return Item(**record)


def work_folder(folder: Path, token: str) -> Path:
    """Where a plan and what is done on it are.

    Args:
        folder: of the run.
        token: of the plan.

    Returns:
        The path.
    """
    return folder / f"work-{token}"


def open_plan(folder: str | os.PathLike[str]) -> Plan:
    """Opens the plan of a run.

    Args:
        folder: of the run.

    Returns:
        The plan.

    Raises:
        ValueError: when there is none.
    """
    found = list(plans(Path(folder)))
    if not found:
        raise ValueError(f"{Path(folder) / PLAN}: a plan expected, found none; start the run first")
    return found[-1]


def plans(root: Path) -> Iterator[Plan]:
    """Follows the plans of a run.

    Args:
        root: folder of the run.

    Yields:
        The first plan and those that came in its place; the last one counts.
    """
    path = root / PLAN
    while path.exists():
        plan = Plan(folder=root, **json.loads(path.read_text(encoding="utf-8")))
        yield plan
        path = plan.work / NEXT


def to_line(item: Item) -> bytes:
    """Writes an item; items that are equal look the same.

    Args:
        item: the item.

    Returns:
        Its line.

    Raises:
        ValueError: for data that JSON cannot hold.
    """
    try:
        return encode({"id": item.id, "data": dict(item.data)}, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item {item.id!r}: data as JSON can hold it expected, {error}; convert it"
        ) from error


def chunks_of_shard(plan: Plan, shards: int, shard_id: int) -> Iterator[int]:
    """Names the chunks of a shard: every chunk belongs to exactly one.

    Args:
        plan: of the run.
        shards: how many there are.
        shard_id: which one, from 0.

    Yields:
        The indices of its chunks.
    """
    yield from range(shard_id, plan.num_chunks, shards)
