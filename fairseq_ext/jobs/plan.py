"""What is to be done, written once and never changed: items in order, in chunks that one worker takes at a time.

FOLDER/plan/ holds `header.json` (counts and settings), `items.jsonl` (a record per item, as `records.py` writes
them) and `chunks.bin` (where each chunk starts in it, 64-bit little-endian, and the end). It appears whole, by
the renaming of its folder: of several processes that write it at once, one wins and the others compare.
"""

import json
import os
import secrets
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..files import write_bytes
from .items import Item
from .records import decode, encode

_NUM_CHUNKS = 256  # of a run of middling size: enough to keep dozens of workers busy until the end
_MAX_CHUNK = 512  # items; what is listed again and again (FOLDER/done) stays short for millions of items
_ABANDONED_S = 24 * 3600
_ADVICE = "pass what the first run was given, or use another folder"


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
        with open(self.folder / "plan" / "chunks.bin", "rb") as file:
            file.seek(8 * chunk)
            start, end = struct.unpack("<2Q", file.read(16))
        path = self.folder / "plan" / "items.jsonl"
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read(end - start).splitlines(keepends=True)
        return [_item(line, path, chunk * self.chunk_size + number) for number, line in enumerate(lines, 1)]


def _item(line: bytes, path: Path, number: int) -> Item:
    record = decode(line)
    if record is None:
        raise ValueError(
            f"{path}:{number}: an item and its checksum expected, found a damaged line; "
            "remove the folder and run again"
        )
    return Item(**record)


def open_plan(folder: str | os.PathLike[str]) -> Plan:
    """Opens the plan of a run.

    Args:
        folder: of the run.

    Returns:
        The plan.

    Raises:
        ValueError: when there is none.
    """
    path = Path(folder) / "plan" / "header.json"
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: a plan expected, found none; start the run first") from error
    return Plan(folder=Path(folder), **header)


def make_plan(
    folder: str | os.PathLike[str], items: Iterable[Item], settings: Mapping[str, Any], batch_size: int
) -> Plan:
    """Writes the plan of a run, or checks that the one that is there is of the same items and settings.

    The items are streamed; their ids are held to find two of one name (about 0.15 GB per million).

    Args:
        folder: of the run.
        items: what is to be done, always in the same order.
        settings: what the outcomes depend on besides the items, as JSON can hold it.
        batch_size: chunks are made of whole batches.

    Returns:
        The plan.

    Raises:
        ValueError: for ids that cannot be used, and for items or settings other than the plan's.
    """
    root = Path(folder)
    try:
        json.dumps(settings)
    except TypeError as error:
        raise ValueError(f"{root}: settings as JSON can hold them expected, {error}; convert them") from error
    if not (root / "plan").exists():
        root.mkdir(parents=True, exist_ok=True)
        temporary = root / f".plan.{secrets.token_hex(6)}"
        try:
            _write(temporary, items, settings, batch_size)
            os.rename(temporary, root / "plan")
        except OSError:
            if not (root / "plan").exists():
                raise
            # Another process was first. Items may be such as can be read but once: ours are in the file.
            items = list(_read_items(temporary))
        else:
            _clear_up(root)
            return open_plan(root)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    plan = _same_settings(open_plan(root), settings)
    _compare_items(plan, items)
    return plan


def _write(folder: Path, items: Iterable[Item], settings: Mapping[str, Any], batch_size: int) -> None:
    folder.mkdir()
    starts, size, seen = [0], 0, set[str]()
    with open(folder / "items.jsonl", "wb") as file:
        for item in items:
            _check_id(item.id, seen)
            size += file.write(_line(item))
            starts.append(size)
        file.flush()
        os.fsync(file.fileno())
    num_items = len(starts) - 1
    chunk_size = _chunk_size(num_items, batch_size)
    bounds = [*starts[:-1:chunk_size], size]
    write_bytes(folder / "chunks.bin", struct.pack(f"<{len(bounds)}Q", *bounds))
    header = {
        "token": secrets.token_hex(6),
        "num_items": num_items,
        "chunk_size": chunk_size,
        "settings": settings,
    }
    text = json.dumps(header, ensure_ascii=False, indent=1)
    write_bytes(folder / "header.json", f"{text}\n".encode())


def _read_items(folder: Path) -> Iterator[Item]:
    path = folder / "items.jsonl"
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            yield _item(line, path, number)


def _clear_up(root: Path) -> None:
    """Removes what processes left that were killed while they wrote a plan; by the server's clock."""
    now_s = (root / "plan").stat().st_ctime
    for path in root.glob(".plan.*"):
        with suppress(OSError):
            if now_s - (path / "items.jsonl").stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)


def _line(item: Item) -> bytes:
    try:
        return encode({"id": item.id, "data": dict(item.data)}, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item {item.id!r}: data as JSON can hold it expected, {error}; convert it"
        ) from error


def _check_id(name: str, seen: set[str]) -> None:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"item {name!r}: an id of printable characters expected, found this; choose another")
    if name in seen:
        raise ValueError(f"item {name!r}: one item of this id expected, found two; make the ids unique")
    seen.add(name)


def _chunk_size(num_items: int, batch_size: int) -> int:
    wanted = min(_MAX_CHUNK, -(-num_items // _NUM_CHUNKS))
    return batch_size * max(1, -(-wanted // batch_size))


def _same_settings(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    change = _first_change(plan.settings, settings)
    if change is not None:
        raise ValueError(f"{plan.folder}: the settings of its plan expected, {change}; {_ADVICE}")
    return plan


def _first_change(planned: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    before, now = (_flat(json.loads(json.dumps(dict(values)))) for values in (planned, found))
    for key in sorted(before.keys() | now.keys()):
        texts = [repr(values[key]) if key in values else "nothing" for values in (before, now)]
        if texts[0] != texts[1]:
            return f"{key} = {texts[0]}, found {texts[1]}"
    return None


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted keys."""
    if not isinstance(value, dict) or not value:
        return {prefix or "settings": value} if prefix or value else {}
    parts = (_flat(inner, f"{prefix}.{key}" if prefix else str(key)) for key, inner in value.items())
    return {key: inner for part in parts for key, inner in part.items()}


def _compare_items(plan: Plan, items: Iterable[Item]) -> None:
    path = plan.folder / "plan" / "items.jsonl"
    with open(path, "rb") as file:
        for number, (line, item) in enumerate(zip_longest(file, items), 1):
            if item is None or line is None:
                found = f"the end after {number - 1}" if item is None else f"one more, {item.id!r}"
                raise ValueError(f"{plan.folder}: {plan.num_items} items expected, found {found}; {_ADVICE}")
            if line != _line(item):
                raise ValueError(_difference(plan.folder, number, _item(line, path, number), item))


def _difference(folder: Path, number: int, planned: Item, found: Item) -> str:
    if planned.id != found.id:
        return f"{folder}: {planned.id!r} expected as item {number}, found {found.id!r}; {_ADVICE}"
    change = _first_change(planned.data, found.data)
    return f"{folder}: item {planned.id!r} as planned expected, {change}; {_ADVICE}"


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
