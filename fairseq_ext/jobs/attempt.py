"""One attempt of a worker at a chunk: keep what earlier attempts left, do the rest, commit."""

import logging
import os
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from .errors import ContractError, is_out_of_memory, outcome_of, raise_if_disk_full
from .finished_chunks import commit, journals_folder
from .items import Item, Outcome, Work
from .journal import Journal, Recovered, StorageError, recover
from .leases import Lease
from .plan import Plan

_LOG = logging.getLogger(__name__)
_END = object()


def process_chunk(
    plan: Plan, chunk: int, work: Work, lease: Lease, *, batch_size: int, max_deaths: int
) -> None:
    """Bring every item of a chunk to an outcome and commit the outcomes; for both numbers see `worker.Shard`.

    Raises:
        LeaseLost: when another worker has taken over.
        StorageError: when the disk of the run or of the work is full.
        ContractError: when the work does not return one result per item.
    """
    items = plan.items(chunk)
    folder = journals_folder(plan, chunk)
    recovered = recover(folder, items)
    if recovered.num_damaged:
        _LOG.warning("%s: %d damaged lines; their items are done again", folder, recovered.num_damaged)
    journal = Journal(folder, f"{os.getpid()}-{secrets.token_hex(6)}")
    attempt = _Attempt(items, work, lease, journal, recovered.outcomes)
    try:
        attempt.quarantine(recovered, max_deaths)
        attempt.work_through(_batches(recovered, len(items), batch_size))
    except BaseException:
        with suppress(StorageError):
            journal.stop()
        raise
    finally:
        journal.close()
    lease.confirm()
    outcomes = [attempt.outcomes[index] for index in range(len(items))]
    commit(plan, chunk, outcomes, [*recovered.paths, journal.path])


def _batches(recovered: Recovered, num_items: int, batch_size: int) -> list[list[int]]:
    """Return the batches that are left to do; items at which a process may have died come last and alone."""
    left = [index for index in range(num_items) if index not in recovered.outcomes]
    fresh = [index for index in left if index not in recovered.deaths]
    batches = [fresh[i : i + batch_size] for i in range(0, len(fresh), batch_size)]
    return batches + [[index] for index in left if index in recovered.deaths]


class _Attempt:
    """The state of one attempt: the outcomes so far, and the journal that each is written to at once."""

    def __init__(
        self, items: Sequence[Item], work: Work, lease: Lease, journal: Journal, outcomes: dict[int, Outcome]
    ) -> None:
        self.items, self.work, self.lease, self.journal = items, work, lease, journal
        self.outcomes = outcomes

    def quarantine(self, recovered: Recovered, max_deaths: int) -> None:
        for index, deaths in recovered.deaths.items():
            if deaths >= max_deaths:
                detail = f"the worker process died {deaths} times at this item"
                self._record(index, Outcome(self.items[index].id, "quarantined", "died", detail))

    def work_through(self, batches: list[list[int]]) -> None:
        queue = deque(batches)
        limit = max(map(len, batches), default=1)
        while queue:
            batch = [index for index in queue.popleft() if index not in self.outcomes]
            if not batch:
                continue
            if len(batch) > limit:
                queue.extendleft([batch[limit:], batch[:limit]])  # the last one ends up first
                continue
            self.lease.check()
            left, error = self._run(batch)
            if error is not None and len(batch) > 1 and is_out_of_memory(error):
                limit = len(batch) // 2  # for the rest of the chunk: its items tend to be alike
                queue.appendleft(left)
            elif error is not None and len(left) > 1:  # one item spoils the batch: find it
                queue.extendleft([index] for index in reversed(left))
            elif error is not None:
                self._record(left[0], outcome_of(self.items[left[0]], error))

    def _run(self, batch: list[int]) -> tuple[list[int], Exception | None]:
        """Run a batch; return the items left without an outcome and the exception, or nothing and None."""
        self.journal.start(batch)
        results = self._results(batch)
        for position, index in enumerate(batch):
            try:
                value = next(results)
            except (StorageError, ContractError):
                raise
            except Exception as error:
                raise_if_disk_full(error)
                return batch[position:], error
            self._record(index, outcome_of(self.items[index], value))
        return [], None

    def _results(self, batch: list[int]) -> Iterator[Any]:
        """Yield the results of a batch; raise unless there is exactly one per item."""
        returned = self.work([self.items[index] for index in batch])
        if isinstance(returned, Sequence) and len(returned) != len(batch):
            raise ContractError(_contract(len(batch), str(len(returned))))
        iterator = iter(returned)
        for position in range(len(batch)):
            value = next(iterator, _END)
            if value is _END:
                raise ContractError(_contract(len(batch), str(position)))
            if position == len(batch) - 1 and next(iterator, _END) is not _END:
                raise ContractError(_contract(len(batch), "more"))
            yield value

    def _record(self, index: int, outcome: Outcome) -> None:
        try:
            self.journal.outcome(index, outcome)
        except (TypeError, ValueError, RecursionError) as error:
            outcome = outcome_of(
                self.items[index], TypeError(f"the result cannot be written as JSON: {error}")
            )
            self.journal.outcome(index, outcome)
        self.outcomes[index] = outcome
        self.lease.check()


def _contract(expected: int, found: str) -> str:
    return (
        f"work: expected one result per item, {expected}, found {found}; fix the work function and run again"
    )
