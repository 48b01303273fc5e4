"""Process many items on many workers, so that any process may be killed at any moment: locally, in shards, or on Slurm.

    summary = run(folder, items, make_work, settings=settings, execution=Execution.from_args(args))
    for outcome in outcomes(folder): ...

Every item ends in exactly one state: done, rejected (the input is at fault), failed (the work raised) or quarantined
(the process died at it every time). The same call again keeps what is done and continues.

The life of an item:
    1. `plan_writer` writes all items into a plan, in chunks; `update_plan` replaces it when items change (`plan` reads)
    2. `runner.run` starts a `worker_pool` of processes, or `slurm` a job array of them, for the chunks of its shard
    3. `worker` leases a chunk (`leases`: a worker that dies loses its lease to another)
    4. `attempt` calls the work on batches of its items and appends each outcome to a `journal`
       (a killed attempt: the next one recovers the outcomes of its journal and goes on behind them)
    5. when all items of the chunk have an outcome, the attempt commits it to `finished_chunks`
    6. `retry` reopens finished chunks on request: failed items, items whose output files are gone
    7. `summary` counts the outcomes and streams them in the order of the items

In the folder of a run:
    plan.json      items and settings of the current plan
    work-TOKEN/    the work on it: items.jsonl and chunks.bin (plan), leases/, parts/ (journals), done/ (chunks)
    slurm/         logs of the jobs
    summary.json, problems.tsv

The bookkeeping costs 68 microseconds of CPU per item, an update 74, a bare pool of processes 20 (tests/bench/jobs.py:
100,000 items without work, one worker, one run on a busy machine).

Requirements on the file system, local or NFS from version 3: exclusive creation, `link` and `rename` are atomic, and
what was written before a file is closed is visible to whoever opens it later. Clocks of machines need not agree.
"""

from .execution import Execution, add_arguments
from .items import Item, Outcome, Rejected, Work, one_by_one
from .runner import run, status, watch
from .summary import Summary, outcomes, results
from .worker_pool import WorkerError

__all__ = [
    "Execution",
    "Item",
    "Outcome",
    "Rejected",
    "Summary",
    "Work",
    "WorkerError",
    "add_arguments",
    "one_by_one",
    "outcomes",
    "results",
    "run",
    "status",
    "watch",
]
