"""Write a plan once: of several processes that do so at the same time one wins, and the others compare.

Other items or settings than those of the existing plan are refused.
"""

import json
import os
import secrets
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..file_errors import writing
from ..files import write_bytes
from .items import Item
from .plan import HEADER, NEXT, PLAN, Plan, open_plan, plans, to_item, to_line, work_folder

_NUM_CHUNKS = 256  # of a medium-sized run: enough to keep dozens of workers busy until the end
_MAX_CHUNK = 512  # items; few enough chunks that listing FOLDER/done stays cheap for millions of items
_ABANDONED_S = 24 * 3600  # no command writes a plan for a day: it was killed
_ADVICE = "pass the settings of the first run, or use another folder"
_ADVICE_ITEMS = (
    "pass --update to continue with these items and keep what has not changed, or use another folder"
)


def make_plan(
    folder: str | os.PathLike[str], items: Iterable[Item], settings: Mapping[str, Any], batch_size: int
) -> Plan:
    """Write the plan of a run, or check that the existing one has the same items, in the same order, and settings.

    The items are streamed; their ids are held to find two of one name (about 0.15 GB per million). A chunk has a
    multiple of `batch_size` items.

    Raises:
        ValueError: for ids that cannot be used, and for items or settings other than the plan's.
    """
    root = Path(folder)
    if (root / PLAN).exists():
        plan = check_settings(open_plan(root), settings)
        _compare_items(plan, items)
        return plan
    with draft_plan(root, items, settings, batch_size) as fresh:
        if _publish(fresh):
            return fresh
        # Another process was first. `items` may be an iterator, now exhausted: compare those in our file.
        plan = check_settings(open_plan(root), settings)
        _compare_items(plan, _read_items(fresh.work))
        return plan


@contextmanager
def draft_plan(
    root: Path, items: Iterable[Item], settings: Mapping[str, Any], batch_size: int
) -> Iterator[Plan]:
    """Write a draft of a plan; unless the block publishes it, it is removed.

    Raises:
        ValueError: for ids and settings that cannot be used.
    """
    try:
        json.dumps(settings)
    except TypeError as error:
        raise ValueError(f"{root}: the settings cannot be written as JSON: {error}; convert them") from error
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(6)
    work = work_folder(root, token)
    try:
        with writing(work / "items.jsonl"):
            num_items, chunk_size = _write(work, items, batch_size)
        yield Plan(root, token, num_items, chunk_size, settings)
    finally:
        if (root / PLAN).exists() and open_plan(root).token == token:
            _remove_stale_plans(root)
        else:
            shutil.rmtree(work, ignore_errors=True)


def write_header(plan: Plan, path: Path) -> None:
    """Write the content of plan.json."""
    header = {name: getattr(plan, name) for name in HEADER}
    write_bytes(path, f"{json.dumps(header, ensure_ascii=False, indent=1)}\n".encode())


def _publish(plan: Plan) -> bool:
    path = plan.work / PLAN
    write_header(plan, path)
    try:
        os.link(path, plan.folder / PLAN)
    except FileExistsError:
        return False
    finally:
        path.unlink()
    return True


def _write(work: Path, items: Iterable[Item], batch_size: int) -> tuple[int, int]:
    """Write the items; return their number and the size of the chunks."""
    starts, size, seen = [0], 0, set[str]()
    work.mkdir()
    with open(work / "items.jsonl", "wb") as file:
        for item in items:
            _check_id(item.id, seen)
            size += file.write(to_line(item))
            starts.append(size)
        file.flush()
        os.fsync(file.fileno())
    num_items = len(starts) - 1
    chunk_size = _chunk_size(num_items, batch_size)
    bounds = [*starts[:-1:chunk_size], size]
    write_bytes(work / "chunks.bin", struct.pack(f"<{len(bounds)}Q", *bounds))
    for name in ("leases", "parts", "done"):
        (work / name).mkdir()
    return num_items, chunk_size


def _read_items(work: Path) -> Iterator[Item]:
    path = work / "items.jsonl"
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            yield to_item(line, path, number)


def _remove_stale_plans(root: Path) -> None:
    """Remove plans that were replaced, and drafts of processes that were killed."""
    *replaced, current = (plan.work for plan in plans(root))
    for work in replaced:
        _clear_work_folder(work)
    now_s = current.stat().st_ctime  # by the clock of the file server
    for path in root.glob("work-*"):
        with suppress(OSError):
            if path not in {*replaced, current} and now_s - path.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)


def _clear_work_folder(work: Path) -> None:
    """Remove all but the name of the next plan."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != NEXT:
            path.unlink(missing_ok=True)


def _check_id(name: str, seen: set[str]) -> None:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(
            f"item {name!r}: an id needs printable characters and no spaces around it; choose another"
        )
    if name in seen:
        raise ValueError(f"item {name!r}: two items have this id; make the ids unique")
    seen.add(name)


def _chunk_size(num_items: int, batch_size: int) -> int:
    wanted = min(_MAX_CHUNK, -(-num_items // _NUM_CHUNKS))
    return batch_size * max(1, -(-wanted // batch_size))


def check_settings(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    """Return the plan; raise ValueError, naming the first setting that differs, unless it has these settings."""
    change = first_difference(plan.settings, settings)
    if change is not None:
        raise ValueError(f"{plan.folder}: the settings differ from those of its plan: {change}; {_ADVICE}")
    return plan


def first_difference(planned: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Return the first key that differs between settings, or the data of items, and both values; None if equal."""
    before, now = (_flat(json.loads(json.dumps(dict(values)))) for values in (planned, found))
    for key in sorted(before.keys() | now.keys()):
        texts = [repr(values[key]) if key in values else "nothing" for values in (before, now)]
        if texts[0] != texts[1]:
            return f"expected {key} = {texts[0]}, found {texts[1]}"
    return None


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys."""
    if not isinstance(value, dict) or not value:
        return {prefix or "settings": value} if prefix or value else {}
    parts = (_flat(inner, f"{prefix}.{key}" if prefix else str(key)) for key, inner in value.items())
    return {key: inner for part in parts for key, inner in part.items()}


def _compare_items(plan: Plan, items: Iterable[Item]) -> None:
    path = plan.work / "items.jsonl"
    with open(path, "rb") as file:
        for number, (line, item) in enumerate(zip_longest(file, items), 1):
            if item is None or line is None:
                found = f"the end after {number - 1}" if item is None else f"one more, {item.id!r}"
                raise ValueError(
                    f"{plan.folder}: expected {plan.num_items} items, found {found}; {_ADVICE_ITEMS}"
                )
            if line != to_line(item):
                raise ValueError(_difference(plan.folder, number, to_item(line, path, number), item))


def _difference(folder: Path, number: int, planned: Item, found: Item) -> str:
    if planned.id != found.id:
        return f"{folder}: expected {planned.id!r} as item {number}, found {found.id!r}; {_ADVICE_ITEMS}"
    change = first_difference(planned.data, found.data)
    return f"{folder}: item {planned.id!r} has changed: {change}; {_ADVICE_ITEMS}"
