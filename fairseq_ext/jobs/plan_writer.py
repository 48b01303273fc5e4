"""Writing a plan, once: of several processes that do so at the same time one wins, and the others compare.

Items or settings other than those of the plan that is there are refused.
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

from ..files import write_bytes
from .items import Item
from .plan import NEXT, PLAN, Plan, open_plan, plans, to_item, to_line, work_folder

_NUM_CHUNKS = 256  # of a run of middling size: enough to keep dozens of workers busy until the end
_MAX_CHUNK = 512  # items; what is listed again and again (FOLDER/done) stays short for millions of items
_ABANDONED_S = 24 * 3600
_ADVICE = "pass what the first run was given, or use another folder"
_ADVICE_ITEMS = "pass --update to keep what has not changed and go on with these, or use another folder"


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
    if (root / PLAN).exists():
        plan = check_settings(open_plan(root), settings)
        _compare_items(plan, items)
        return plan
    with draft_plan(root, items, settings, batch_size) as fresh:
        if _publish(fresh):
            return fresh
        # Another process was first. Items may be such as can be read but once: ours are in the file.
        plan = check_settings(open_plan(root), settings)
        _compare_items(plan, _read_items(fresh.work))
        return plan


@contextmanager
def draft_plan(
    root: Path, items: Iterable[Item], settings: Mapping[str, Any], batch_size: int
) -> Iterator[Plan]:
    """Writes a plan that does not count yet; unless it does at the end of the block, it is removed.

    Args:
        root: folder of the run.
        items: what is to be done.
        settings: as JSON can hold them.
        batch_size: chunks are made of whole batches.

    Yields:
        The plan.

    Raises:
        ValueError: for ids and settings that cannot be used.
    """
    try:
        json.dumps(settings)
    except TypeError as error:
        raise ValueError(f"{root}: settings as JSON can hold them expected, {error}; convert them") from error
    root.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(6)
    work = work_folder(root, token)
    try:
        num_items, chunk_size = _write(work, items, batch_size)
        yield Plan(root, token, num_items, chunk_size, settings)
    finally:
        if (root / PLAN).exists() and open_plan(root).token == token:
            _remove_stale_plans(root)
        else:
            shutil.rmtree(work, ignore_errors=True)


def write_header(plan: Plan, path: Path) -> None:
    """Writes what plan.json says of a plan.

    Args:
        plan: the plan.
        path: of the file.
    """
    header = {name: getattr(plan, name) for name in ("token", "num_items", "chunk_size", "settings")}
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
    """Returns the number of items and the size of the chunks."""
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
    """Removes plans that were replaced, and what processes left that were killed while they wrote one."""
    *replaced, current = (plan.work for plan in plans(root))
    for work in replaced:
        _clear_work_folder(work)
    now_s = current.stat().st_ctime  # by the server's clock
    for path in root.glob("work-*"):
        with suppress(OSError):
            if path not in {*replaced, current} and now_s - path.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)


def _clear_work_folder(work: Path) -> None:
    """Leaves only the name of the next plan."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != NEXT:
            path.unlink(missing_ok=True)


def _check_id(name: str, seen: set[str]) -> None:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"item {name!r}: an id of printable characters expected, found this; choose another")
    if name in seen:
        raise ValueError(f"item {name!r}: one item of this id expected, found two; make the ids unique")
    seen.add(name)


def _chunk_size(num_items: int, batch_size: int) -> int:
    wanted = min(_MAX_CHUNK, -(-num_items // _NUM_CHUNKS))
    return batch_size * max(1, -(-wanted // batch_size))


def check_settings(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    """Makes sure that a plan is for some settings.

    Args:
        plan: on disk.
        settings: that are wanted now.

    Returns:
        The plan.

    Raises:
        ValueError: naming the first setting that differs.
    """
    change = first_difference(plan.settings, settings)
    if change is not None:
        raise ValueError(f"{plan.folder}: the settings of its plan expected, {change}; {_ADVICE}")
    return plan


def first_difference(planned: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Compares settings, or the data of items.

    Args:
        planned: as JSON gave them back.
        found: as JSON can hold them.

    Returns:
        The first key that differs with both values, in words; None when all are equal.
    """
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
    path = plan.work / "items.jsonl"
    with open(path, "rb") as file:
        for number, (line, item) in enumerate(zip_longest(file, items), 1):
            if item is None or line is None:
                found = f"the end after {number - 1}" if item is None else f"one more, {item.id!r}"
                raise ValueError(
                    f"{plan.folder}: {plan.num_items} items expected, found {found}; {_ADVICE_ITEMS}"
                )
            if line != to_line(item):
                raise ValueError(_difference(plan.folder, number, to_item(line, path, number), item))


def _difference(folder: Path, number: int, planned: Item, found: Item) -> str:
    if planned.id != found.id:
        return f"{folder}: {planned.id!r} expected as item {number}, found {found.id!r}; {_ADVICE_ITEMS}"
    change = first_difference(planned.data, found.data)
    return f"{folder}: item {planned.id!r} as planned expected, {change}; {_ADVICE_ITEMS}"
