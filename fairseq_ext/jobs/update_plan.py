"""Another plan in the place of one: items were added, changed or taken away, the others keep their outcome.

A plan on which nothing was done yet, for want of the right model, say, gives way to other settings too.

The new plan is written beside the old one with what is kept of it, and then named in FOLDER/work-OLD/next.json, by a
hard link as plan.json is: it counts from then on, killed before that nothing has changed, and of several processes
that do this at once one wins. Of the old plan nothing but that file stays.
"""

import filecmp
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from .finished_chunks import chunks_with_journals, commit, finished_chunks, journals_folder, read_chunk
from .items import Item, Outcome
from .journal import Journal, recover
from .leases import Leases
from .plan import NEXT, PLAN, Plan, open_plan
from .plan_writer import check_settings, draft_plan, first_difference, make_plan, write_header

_LOG = logging.getLogger(__name__)
_OPEN_CHUNKS = 8  # of the old plan: items are mostly in the same order as before


def update_plan(
    folder: str | os.PathLike[str],
    items: Iterable[Item],
    settings: Mapping[str, Any],
    batch_size: int,
    *,
    lease_s: float,
    shown: bool = True,
) -> Plan:
    """Makes the plan of a run one of these items; those whose id and data are as before keep their outcome.

    Args:
        folder: of the run; without a plan this is `make_plan`.
        items: what is to be done from now on.
        settings: must be those of before, unless nothing has been done.
        batch_size: as for `make_plan`.
        lease_s: how long a chunk stays with a worker that gives no sign of life.
        shown: False for no progress bar.

    Returns:
        The plan; the one that is there when the items are the same.

    Raises:
        ValueError: for ids that cannot be used, for other settings, while workers are busy with the old plan, or
            when another process has renewed it first.
    """
    root = Path(folder)
    if not (root / PLAN).exists():
        return make_plan(root, items, settings, batch_size)
    old = open_plan(root)
    if not is_unstarted(root):
        check_settings(old, settings)
    with draft_plan(root, items, settings, batch_size) as fresh:
        is_same = filecmp.cmp(_items(fresh), _items(old), shallow=False)
        if is_same and first_difference(old.settings, settings) is None:
            return old
        _refuse_while_busy(old, lease_s)
        kept = _copy_outcomes(old, fresh, shown=shown)
        _publish(old, fresh)
    num_items = fresh.num_items
    if kept:
        _LOG.info("%s: %d items instead of %d, %d keep their outcome", root, num_items, old.num_items, kept)
    return fresh


def is_unstarted(folder: str | os.PathLike[str]) -> bool:
    """Tells whether no item of a plan has been worked on.

    Args:
        folder: of the run.

    Returns:
        False also where there is no plan.
    """
    if not (Path(folder) / PLAN).exists():
        return False
    plan = open_plan(folder)
    return not finished_chunks(plan) and not chunks_with_journals(plan)


def _items(plan: Plan) -> Path:
    return plan.work / "items.jsonl"


def _refuse_while_busy(plan: Plan, lease_s: float) -> None:
    if held := Leases(plan.work, lease_s).held():
        raise ValueError(
            f"{plan.folder}: no worker expected while its items change, found {len(held)} at work; wait until they "
            "have ended, or stop them"
        )


def _copy_outcomes(old: Plan, fresh: Plan, *, shown: bool) -> int:
    """Writes the outcomes of items that are the same into the new plan; returns how many."""
    from tqdm import tqdm

    known, num_kept = _EarlierOutcomes(old), 0
    chunks = tqdm(range(fresh.num_chunks), desc="update", unit="chunk", disable=not shown, leave=False)
    for chunk in chunks:
        pairs = enumerate(zip(fresh.items(chunk), fresh.lines(chunk), strict=True))
        found = {index: known.outcome(item, line) for index, (item, line) in pairs}
        kept = {index: outcome for index, outcome in found.items() if outcome is not None}
        num_kept += len(kept)
        if kept:
            _write_kept(fresh, chunk, kept)
    return num_kept


class _EarlierOutcomes:
    """What is known about the items of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._done = plan, finished_chunks(plan)
        self._places = {
            item.id: (chunk, index)
            for chunk in range(plan.num_chunks)
            for index, item in enumerate(plan.items(chunk))
        }
        self._chunk = lru_cache(_OPEN_CHUNKS)(self._read)

    def _read(self, chunk: int) -> tuple[list[bytes], Mapping[int, Outcome]]:
        plan = self._plan
        if chunk in self._done:
            outcomes = dict(enumerate(read_chunk(plan, chunk)))
        else:
            outcomes = recover(journals_folder(plan, chunk), plan.items(chunk)).outcomes
        return plan.lines(chunk), outcomes

    def outcome(self, item: Item, line: bytes) -> Outcome | None:
        """Of an item that is written as before."""
        if item.id not in self._places:
            return None
        chunk, index = self._places[item.id]
        lines, outcomes = self._chunk(chunk)
        return outcomes.get(index) if lines[index] == line else None


def _write_kept(plan: Plan, chunk: int, kept: Mapping[int, Outcome]) -> None:
    with closing(Journal(journals_folder(plan, chunk), f"kept-{secrets.token_hex(6)}")) as part:
        for index, outcome in kept.items():
            part.outcome(index, outcome)
        part.sync()
    if len(kept) == plan.length(chunk):
        commit(plan, chunk, [kept[index] for index in range(len(kept))], [part.path])


def _publish(old: Plan, fresh: Plan) -> None:
    path = fresh.work / PLAN
    write_header(fresh, path)
    try:
        os.link(path, old.work / NEXT)
    except FileExistsError as error:
        raise ValueError(
            f"{old.folder}: the items to change by this command alone, found that another has just done so; run again"
        ) from error
    finally:
        path.unlink()
