"""The entry points: `run` plans, works on this machine or on Slurm and counts; `status` and `watch` only look."""

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import slurm
from .errors import ContractError
from .execution import Execution
from .finished_chunks import finished_chunks
from .items import Item, Outcome, State, Work
from .journal import StorageError
from .plan import Plan, open_plan
from .plan_writer import make_plan
from .progress import ProgressBar
from .retry import remove_leftovers, reopen_chunks
from .summary import Summary, write_summary
from .update_plan import is_unstarted, update_plan
from .worker import Shard, run_worker
from .worker_pool import WorkerError, WorkerPool, exit_on

_POLL_EVERY_S = 1.0
_WATCH_EVERY_S = 2.0


def run(
    folder: str | os.PathLike[str],
    items: Iterable[Item],
    make_work: Callable[[], Work],
    *,
    settings: Mapping[str, Any],
    execution: Execution,
    batch_size: int = 1,
    output_exists: Callable[[Outcome], bool] | None = None,
) -> Summary:
    """Bring every item to exactly one outcome: done, rejected, failed or quarantined.

    May be killed at any moment and called again: finished work is kept. Prints nothing but the progress bar. Of the
    counts that are returned, items of other shards may be missing.

    Args:
        folder: folder of the run, with all its state; `outcomes` reads it.
        items: items, streamed; always the same in the same order, except for an update.
        make_work: called once per process to make the work (load a model, say). A function of an importable
            module, or a `functools.partial` of one; not a lambda, nor on Slurm a function of the script itself.
            A worker finds its number in the environment variable JOBS_WORKER, to choose its GPU, and OMP_NUM_THREADS
            set to its share of the cores unless it was set before.
        settings: settings that the outcomes depend on, as JSON can hold them.
        batch_size: largest number of items per call of the work.
        output_exists: whether the files that the work wrote for a done item are still there; items for which they
            are not are done again, once. None: the work writes none, or nobody removes them.

    Raises:
        ValueError: for an empty batch, for other settings than those of the first run, and for other items unless
            it is an update.
        WorkerError: when the work cannot be made or breaks its contract, when the disk is full, or when all jobs of
            Slurm have ended and items are missing.
    """
    if batch_size < 1:
        raise ValueError(f"batch size: expected 1 or more, found {batch_size}")
    if execution.watch:
        return watch(folder, shown=execution.progress)
    _check_picklable(make_work, execution)
    shard = _shard(execution, batch_size)
    if execution.update or is_unstarted(folder):
        lease_s, shown = execution.lease_s, execution.progress
        plan = update_plan(folder, items, settings, batch_size, lease_s=lease_s, shown=shown)
    else:
        plan = make_plan(folder, items, settings, batch_size)
    try:
        return _work(plan, make_work, shard, execution, output_exists)
    except (StorageError, ContractError) as error:
        raise WorkerError(f"{plan.folder}: {error}") from error


def _work(
    plan: Plan,
    make_work: Callable[[], Work],
    shard: Shard,
    execution: Execution,
    output_exists: Callable[[Outcome], bool] | None,
) -> Summary:
    if states := _states_to_retry(execution):
        reopen_chunks(plan, shard, lambda outcome: outcome.state in states)
    with _bar(plan, shard, execution) as on_poll:
        _process(plan, make_work, shard, execution, on_poll)
        # Only now: outcomes that a killed attempt left in its journal are in finished chunks from here on.
        if output_exists is not None and reopen_chunks(
            plan, shard, lambda outcome: outcome.state == "done" and not output_exists(outcome)
        ):
            _process(plan, make_work, shard, execution, on_poll)
    remove_leftovers(plan, shard)
    return write_summary(plan)


def _process(
    plan: Plan, make_work: Callable[[], Work], shard: Shard, execution: Execution, on_poll: Callable[[], None]
) -> None:
    if execution.executor == "slurm":
        slurm.run_array(plan, make_work, shard, execution, on_poll)
    elif execution.workers:
        WorkerPool(plan, make_work, shard, execution.workers).run(on_poll)
    else:
        _process_here(plan, make_work, shard, on_poll)


def _states_to_retry(execution: Execution) -> set[State]:
    states: set[State] = {"rejected"} if execution.retry_rejected else set()
    return states | {"failed", "quarantined"} if execution.retry_failed else states


def _shard(execution: Execution, batch_size: int) -> Shard:
    shards, shard_id = execution.shards, execution.shard_id
    if execution.executor == "slurm":  # the jobs lease chunks from one pool
        shards, shard_id = 1, 0
    return Shard(batch_size, shards, shard_id or 0, execution.lease_s, execution.max_deaths)


def _check_picklable(make_work: Callable[[], Work], execution: Execution) -> None:
    if execution.executor == "local" and execution.workers == 0:
        return
    module = getattr(getattr(make_work, "func", make_work), "__module__", "")
    try:
        pickle.dumps(make_work)
    except Exception as error:
        raise ValueError(
            f"make_work: {make_work!r} cannot be pickled ({error}); pass a function of a module, or a partial "
            "of one"
        ) from error
    if execution.executor == "slurm" and module == "__main__":
        raise ValueError(
            f"make_work: a Slurm job cannot import {make_work!r} from the script itself; move it into a module"
        )


def _process_here(
    plan: Plan, make_work: Callable[[], Work], shard: Shard, on_poll: Callable[[], None]
) -> None:
    if shard.chunks(plan) <= finished_chunks(plan):
        return
    with exit_on([signal.SIGTERM]):
        run_worker(plan, make_work(), shard, on_poll)


@contextmanager
def _bar(plan: Plan, shard: Shard, execution: Execution) -> Iterator[Callable[[], None]]:
    if not execution.progress:
        yield lambda: None
        return
    bar = ProgressBar(plan, shard.chunks(plan))
    polled_s = time.monotonic()

    def on_poll() -> None:
        nonlocal polled_s
        if time.monotonic() - polled_s > _POLL_EVERY_S:
            bar.update()
            polled_s = time.monotonic()

    try:
        yield on_poll
    finally:
        bar.close()


def status(folder: str | os.PathLike[str]) -> Summary:
    """Count what a run has finished so far, wherever it runs; items of unfinished chunks are missing.

    Raises:
        ValueError: when there is no plan.
    """
    return write_summary(open_plan(folder))


def watch(folder: str | os.PathLike[str], *, shown: bool = True) -> Summary:
    """Show the progress of a run that was started elsewhere, over all shards, until every item has its outcome.

    Raises:
        ValueError: when there is no plan.
    """
    plan = open_plan(folder)
    bar = ProgressBar(plan, set(range(plan.num_chunks)), shown=shown)
    try:
        bar.update()
        while len(finished_chunks(plan)) < plan.num_chunks:
            time.sleep(_WATCH_EVERY_S)
            bar.update()
    finally:
        bar.close()
    return write_summary(plan)
