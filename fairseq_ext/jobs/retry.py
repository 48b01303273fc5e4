"""What is done to chunks that are done: opening them for items to be tried again, clearing up after killed workers."""

import logging
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from .finished_chunks import chunks_with_journals, finished_chunks, finished_path, journals_folder, read_chunk
from .items import Outcome
from .journal import Journal
from .leases import Lease, Leases
from .plan import Plan
from .worker import Shard

_LOG = logging.getLogger(__name__)


def reopen_chunks(plan: Plan, shard: Shard, again: Callable[[Outcome], bool]) -> bool:
    """Reopen the finished chunks of a shard for items that are to be tried again; all other outcomes stay.

    Args:
        plan: plan of the run.
        shard: chunks of this command.
        again: whether the item of an outcome is to be tried again.

    Returns:
        Whether there is a chunk to work on again.
    """
    done = shard.chunks(plan) & finished_chunks(plan)
    wanted = [chunk for chunk in sorted(done) if any(map(again, read_chunk(plan, chunk)))]
    leases = Leases(plan.work, shard.lease_s)
    for chunk, lease in _lease_finished(plan, wanted, leases):
        _reopen_chunk(plan, chunk, lease, again)
    if held := finished_chunks(plan) & set(wanted):
        _LOG.warning("%s: chunks held by another worker are not tried again: %s", plan.folder, sorted(held))
    return bool(set(wanted) - held)


def remove_leftovers(plan: Plan, shard: Shard) -> None:
    """Removes parts and leases of done chunks, left by processes that were killed right after a commit.

    Args:
        plan: of the run.
        shard: which chunks.
    """
    leases = Leases(plan.work, shard.lease_s)
    left = (leases.chunks | chunks_with_journals(plan)) & shard.chunks(plan)
    for chunk, _ in _lease_finished(plan, left, leases):
        shutil.rmtree(journals_folder(plan, chunk), ignore_errors=True)


def _lease_finished(plan: Plan, chunks: Iterable[int], leases: Leases) -> Iterator[tuple[int, Lease]]:
    """Leases those of the chunks that are done and that nobody holds, one after the other."""
    for chunk in chunks:
        lease = leases.claim(chunk) if chunk in finished_chunks(plan) else None
        if lease is None:
            continue
        try:
            if chunk in finished_chunks(plan):
                yield chunk, lease
        finally:
            lease.release()


def _reopen_chunk(plan: Plan, chunk: int, lease: Lease, again: Callable[[Outcome], bool]) -> None:
    kept = [(i, o) for i, o in enumerate(read_chunk(plan, chunk)) if not again(o)]
    folder = journals_folder(plan, chunk)
    # A part of an earlier attempt would bring its failures back. As long as the file in done/ is there, it is
    # what counts, so this may end anywhere and be done again.
    shutil.rmtree(folder, ignore_errors=True)
    with closing(Journal(folder, f"reopened-{secrets.token_hex(6)}")) as part:
        for index, outcome in kept:
            part.outcome(index, outcome)
        part.sync()
    lease.confirm()
    finished_path(plan, chunk).unlink()
