"""Work on many items that loses nothing: by several processes, by any scheduler's shards, or as a job array of Slurm.

    summary = run(folder, items, make_work, settings=settings, execution=Execution.from_args(args))
    for outcome in outcomes(folder): ...

Every item ends in exactly one of done, rejected (the input is at fault), failed (the work raised) and quarantined
(the process died at it every time). Any process may be killed at any moment; the same call again keeps what is
done and goes on. `outcomes` refuses a run that is not finished.

In the folder of a run:
    plan.json      the items and settings (`plan.py`). Others are refused (`plan_writer.py`), but other items can be asked
                   for: those that have not changed keep their outcome (`update_plan.py`)
    work-TOKEN/    the work on that plan:
        items.jsonl, chunks.bin
        leases/    who works on which chunk of items (`leases.py`)
        parts/     what workers write while they work, readable after any death (`journal.py`)
        done/      chunks whose items all have an outcome (`finished_chunks.py`)
    slurm/         logs of the jobs
    summary.json, problems.tsv

The books cost 68 microseconds of CPU per item, an update 74, a bare pool of processes 20 (tests/bench/jobs.py: 100,000
items without work, one worker, one run on a busy machine).

Assumed of the file system, local or NFS from version 3: exclusive creation, `link` and `rename` are atomic, and what
was written before a file is closed is there for whoever opens it later. Clocks of machines need not agree.
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
