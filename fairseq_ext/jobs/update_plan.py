"""Replace the plan of a run: items were added, changed or removed, the others keep their outcome.

A plan on which no work was done yet, because the model was missing, say, may change its settings too.

The new plan is written beside the old one with the outcomes that are kept, then named in FOLDER/work-OLD/next.json by a
hard link, as plan.json is. From then on it is current. A process killed before that has changed nothing; of several
processes that do this at once one wins. Of the old plan only that file stays.
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
_OPEN_CHUNKS = 8  # of the old plan, in memory: items are mostly in the same order as before


def update_plan(
    folder: str | os.PathLike[str],
    items: Iterable[Item],
    settings: Mapping[str, Any],
    batch_size: int,
    *,
    lease_s: float,
    shown: bool = True,
) -> Plan:
    """Make these the items of a run, and return its plan; those whose id and data have not changed keep their outcome.

    Without a plan in the folder one is made; with the same items the old one stays. Settings may only change when no
    work was done. For `batch_size` see `make_plan`, for `lease_s` see `Execution`.

    Raises:
        ValueError: for invalid ids, for other settings, while workers are busy with the old plan, or when another
            process has replaced it first.
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
        _LOG.info("%s: %d items instead of %d; %d keep their outcome", root, num_items, old.num_items, kept)
    return fresh


def is_unstarted(folder: str | os.PathLike[str]) -> bool:
    """Return whether a run has a plan on which no work was done."""
    if not (Path(folder) / PLAN).exists():
        return False
    plan = open_plan(folder)
    return not finished_chunks(plan) and not chunks_with_journals(plan)


def _items(plan: Plan) -> Path:
    return plan.work / "items.jsonl"


def _refuse_while_busy(plan: Plan, lease_s: float) -> None:
    if held := Leases(plan.work, lease_s).held():
        raise ValueError(
            f"{plan.folder}: the items cannot change while workers are busy ({len(held)} are); wait until they have "
            "ended, or stop them"
        )


def _copy_outcomes(old: Plan, fresh: Plan, *, shown: bool) -> int:
    """Copy the outcomes of unchanged items to the new plan; return their number."""
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
    """The outcomes of an earlier plan."""

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
        """Return the outcome of an item whose line has not changed."""
        if item.id not in self._places:
            return None
        chunk, index = self._places[item.id]
        lines, outcomes = self._chunk(chunk)
        return outcomes.get(index) if lines[index] == line else None


def _write_kept(plan: Plan, chunk: int, kept: Mapping[int, Outcome]) -> None:
    with closing(Journal(journals_folder(plan, chunk), f"kept-{secrets.token_hex(6)}")) as journal:
        for index, outcome in kept.items():
            journal.outcome(index, outcome)
        journal.sync()
    if len(kept) == plan.length(chunk):
        commit(plan, chunk, [kept[index] for index in range(len(kept))], [journal.path])


def _publish(old: Plan, fresh: Plan) -> None:
    path = fresh.work / PLAN
    write_header(fresh, path)
    try:
        os.link(path, old.work / NEXT)
    except FileExistsError as error:
        raise ValueError(
            f"{old.folder}: another command has just changed the items too; run again"
        ) from error
    finally:
        path.unlink()
