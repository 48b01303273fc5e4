"""Reopen finished chunks for items that are to be retried; remove what killed workers left in them."""

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
    """Reopen the finished chunks of a shard for items to be done `again`; all other outcomes stay.

    Returns whether there is a chunk to work on again.
    """
    done = shard.chunks(plan) & finished_chunks(plan)
    wanted = [chunk for chunk in sorted(done) if any(map(again, read_chunk(plan, chunk)))]
    leases = Leases(plan.work, shard.lease_s)
    for chunk, lease in _lease_finished(plan, wanted, leases):
        _reopen_chunk(plan, chunk, lease, again)
    if held := finished_chunks(plan) & set(wanted):
        _LOG.warning("%s: chunks held by another worker are not retried: %s", plan.folder, sorted(held))
    return bool(set(wanted) - held)


def remove_leftovers(plan: Plan, shard: Shard) -> None:
    """Remove journals and leases of finished chunks, left by processes that were killed right after a commit."""
    leases = Leases(plan.work, shard.lease_s)
    left = (leases.chunks | chunks_with_journals(plan)) & shard.chunks(plan)
    for chunk, _ in _lease_finished(plan, left, leases):
        shutil.rmtree(journals_folder(plan, chunk), ignore_errors=True)


def _lease_finished(plan: Plan, chunks: Iterable[int], leases: Leases) -> Iterator[tuple[int, Lease]]:
    """Yield the finished chunks among some, each with a lease on it; those that another worker holds are left out."""
    for chunk in chunks:
        lease = leases.claim(chunk) if chunk in finished_chunks(plan) else None
        if lease is None:
            continue
        try:
            # Asked again under the lease: another command may have reopened the chunk in between.
            if chunk in finished_chunks(plan):
                yield chunk, lease
        finally:
            lease.release()


def _reopen_chunk(plan: Plan, chunk: int, lease: Lease, again: Callable[[Outcome], bool]) -> None:
    kept = [(i, o) for i, o in enumerate(read_chunk(plan, chunk)) if not again(o)]
    folder = journals_folder(plan, chunk)
    # A journal of an earlier attempt would bring its failures back. The file in done/ is what counts as long as it is
    # there, so a process killed anywhere in here does no harm.
    shutil.rmtree(folder, ignore_errors=True)
    with closing(Journal(folder, f"reopened-{secrets.token_hex(6)}")) as journal:
        for index, outcome in kept:
            journal.outcome(index, outcome)
        journal.sync()
    lease.confirm()
    finished_path(plan, chunk).unlink()
