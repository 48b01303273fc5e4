"""A worker: leases chunk after chunk until all items of its shard have an outcome."""

import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .attempt import process_chunk
from .finished_chunks import finished_chunks
from .items import Work
from .journal import StorageError
from .leases import Lease, LeaseLost, Leases
from .plan import Plan, chunks_of_shard

_LOG = logging.getLogger(__name__)
_POLL_S = (0.1, 2.0)  # first and longest pause while other workers hold all chunks that are left


@dataclass(frozen=True, slots=True)
class Shard:
    """The chunks that the workers of a command divide among themselves, and how they work.

    Attributes:
        batch_size: largest number of items per call of the work.
        shard_id: index of this shard, from 0.
        lease_s: seconds without a sign of life after which a worker loses its chunk.
        max_deaths: number of attempts that may die at an item before it is quarantined.
    """

    batch_size: int = 1
    shards: int = 1
    shard_id: int = 0
    lease_s: float = 60.0
    max_deaths: int = 3

    def chunks(self, plan: Plan) -> set[int]:
        """Return the indices of the chunks of this shard."""
        return set(chunks_of_shard(plan, self.shards, self.shard_id))


def run_worker(plan: Plan, work: Work, shard: Shard, on_chunk: Callable[[], None] = lambda: None) -> None:
    """Work until every item of the shard has an outcome, waiting for chunks that other workers hold.

    Raises:
        StorageError: when the disk is full.
        ContractError: when the work does not return one result per item.
    """
    for chunk, lease in _claims(plan, shard.chunks(plan), shard.lease_s):
        try:
            process_chunk(plan, chunk, work, lease, batch_size=shard.batch_size, max_deaths=shard.max_deaths)
        except LeaseLost:
            _LOG.warning("chunk %d was taken over by another worker, which keeps its outcomes", chunk)
        except StorageError:
            # The folder of its journals is gone when another worker has committed the chunk.
            if chunk not in finished_chunks(plan):
                raise
        finally:
            lease.release()
        on_chunk()


def _claims(plan: Plan, todo: set[int], lease_s: float) -> Iterable[tuple[int, Lease]]:
    pause_s = _POLL_S[0]
    while left := todo - finished_chunks(plan):
        claimed = _claim_one(plan, left, lease_s)
        if claimed is None:
            time.sleep(random.uniform(0.5, 1.0) * min(pause_s, lease_s / 4))
            pause_s = min(2 * pause_s, _POLL_S[1])
        else:
            yield claimed
            pause_s = _POLL_S[0]


def _claim_one(plan: Plan, todo: set[int], lease_s: float) -> tuple[int, Lease] | None:
    leases = Leases(plan.work, lease_s)
    for chunk in sorted(todo, key=lambda chunk: (chunk in leases.chunks, chunk)):
        lease = leases.claim(chunk)
        if lease is None:
            continue
        # It may have been finished and released since `todo` was read.
        if chunk not in finished_chunks(plan):
            return chunk, lease
        lease.release()
    return None
