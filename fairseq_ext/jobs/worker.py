"""One worker: takes chunk after chunk until all of its shard have their outcomes."""

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
_POLL_S = (0.1, 2.0)  # first and longest pause while others hold all that is left


@dataclass(frozen=True, slots=True)
class Shard:
    """What workers share out among themselves, and how.

    Attributes:
        batch_size: most items per call of the work.
        shards: parts of the chunks, each for a command of its own.
        shard_id: which part, from 0.
        lease_s: how long a chunk stays with a worker that gives no sign of life.
        max_deaths: an item at which so many attempts died is quarantined.
    """

    batch_size: int = 1
    shards: int = 1
    shard_id: int = 0
    lease_s: float = 60.0
    max_deaths: int = 3

    def chunks(self, plan: Plan) -> set[int]:
        """Names the chunks of this shard.

        Args:
            plan: of the run.

        Returns:
            Their indices.
        """
        return set(chunks_of_shard(plan, self.shards, self.shard_id))


def run_worker(plan: Plan, work: Work, shard: Shard, on_chunk: Callable[[], None] = lambda: None) -> None:
    """Works until every item of the shard has an outcome, waiting for chunks that other workers hold.

    Args:
        plan: of the run.
        work: called with batches of items.
        shard: which chunks, and how.
        on_chunk: called after each chunk.

    Raises:
        StorageError: when there is no room to write.
        ContractError: when the work does not return one result per item.
    """
    for chunk, lease in _claims(plan, shard.chunks(plan), shard.lease_s):
        try:
            process_chunk(plan, chunk, work, lease, batch_size=shard.batch_size, max_deaths=shard.max_deaths)
        except LeaseLost:
            _LOG.warning("chunk %d was taken over by another worker; what it has is kept", chunk)
        except StorageError:
            # Its folder is gone when another worker has committed the chunk.
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
        # It may have been done and released between the two looks at the disk.
        if chunk not in finished_chunks(plan):
            return chunk, lease
        lease.release()
    return None
