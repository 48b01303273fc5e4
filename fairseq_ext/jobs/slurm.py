"""A run as a job array of Slurm, submitted through submitit.

The jobs divide the chunks among themselves by leases, so the others finish what one that dies leaves. A job that is
preempted, times out or loses its node is requeued (`--requeue`, and the signal of submitit before the time limit). The
waiting command only reads the folder and `squeue`: killed and run again, it finds the jobs by their name, which holds
the token of the plan, and waits again.
"""

import logging
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..optional import import_optional
from .execution import Execution
from .finished_chunks import finished_chunks
from .items import Work
from .plan import Plan, open_plan
from .worker import Shard
from .worker_pool import TERMINATED, WorkerError, WorkerPool

_LOG = logging.getLogger(__name__)
_POLL_S = 5.0
_ANSWER_S = 60.0  # time limit of squeue and scancel
_DECISION_S = 180.0  # from Slurm's SIGTERM to its SIGKILL; GraceTime and KillWait are seconds to minutes
_WARNING_S = 90  # before the time limit, to stop in order


@dataclass(frozen=True)
class Task:
    """The work of one job of the array, by a number of worker processes.

    `folder` is absolute, `make_work` as for `run`, and `shard` the chunks of all jobs together.
    """

    folder: str
    make_work: Callable[[], Work]
    shard: Shard
    workers: int

    def __call__(self) -> None:
        """Work until every item has an outcome."""
        try:
            WorkerPool(open_plan(self.folder), self.make_work, self.shard, self.workers).run(lambda: None)
        except SystemExit as stop:
            if stop.code == TERMINATED:
                # The workers have stopped in order. Slurm now kills the job, and requeues it if it was preempted;
                # exiting before that would end the job for good.
                time.sleep(_DECISION_S)
            raise

    def checkpoint(self) -> Any:
        """Return what submitit requeues after a timeout: this task again."""
        return import_optional("submitit.helpers").DelayedSubmission(self)


def run_array(
    plan: Plan, make_work: Callable[[], Work], shard: Shard, execution: Execution, on_poll: Callable[[], None]
) -> None:
    """Submit the job array, unless it was submitted before, and wait until every item has an outcome.

    `shard` are the chunks of all jobs together.

    Raises:
        WorkerError: when Slurm does not answer at first or refuses the array, or when all jobs have ended and items
            have no outcome.
    """
    logs = (plan.folder / "slurm").resolve()
    name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', plan.folder.name)}-{plan.token}"
    if not _num_jobs(name) and _left(plan):
        task = Task(str(plan.folder.resolve()), make_work, shard, max(1, execution.workers))
        _submit(task, logs, name, execution)
    is_lost = False
    while _left(plan):
        on_poll()
        time.sleep(_POLL_S)
        try:
            num_jobs, is_lost = _num_jobs(name), False
        except WorkerError as error:  # jobs keep running without the controller
            if not is_lost:
                _LOG.warning("%s. Waiting", error)
            num_jobs, is_lost = None, True
        if num_jobs == 0 and _left(plan):
            time.sleep(_POLL_S)  # the last files may not be visible on this machine yet
            if left := _left(plan):
                raise WorkerError(_all_ended(plan, left, logs))
    # Requeued jobs would find nothing to do; running jobs end by themselves.
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--name", name, "--state", "PENDING"], check=False, timeout=_ANSWER_S)


def _left(plan: Plan) -> set[int]:
    return set(range(plan.num_chunks)) - finished_chunks(plan)


def _submit(task: Task, logs: Path, name: str, execution: Execution) -> None:
    submitit = import_optional("submitit")
    executor = submitit.SlurmExecutor(folder=logs, max_num_timeout=execution.max_requeues)
    executor.update_parameters(**_parameters(name, execution))
    try:
        with executor.batch():
            for _ in range(execution.shards):
                executor.submit(task)
    except submitit.core.utils.FailedJobError as error:
        raise WorkerError(
            f"sbatch refused the job array: {' '.join(str(error).split())}; check the options and that "
            "slurmctld runs"
        ) from error


def _parameters(name: str, execution: Execution) -> dict[str, Any]:
    """Return the options for sbatch, by the names of submitit."""
    parameters: dict[str, Any] = {
        "job_name": name,
        "time": execution.timeout_min,
        "cpus_per_task": execution.cpus or max(1, execution.workers),
        "signal_delay_s": _WARNING_S,
        "array_parallelism": execution.shards,
        "additional_parameters": {"requeue": True, **execution.slurm},
    }
    if execution.partition is not None:
        parameters["partition"] = execution.partition
    if execution.gpus:
        parameters["gpus_per_node"] = execution.gpus
    if execution.mem_gb is not None:
        parameters["mem"] = f"{round(execution.mem_gb * 1024)}M"
    return parameters


def _num_jobs(name: str) -> int:
    """Return the number of jobs of this name that are pending or running."""
    command = ["squeue", "--noheader", "--name", name, "--format", "%i"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ANSWER_S)
    except FileNotFoundError as error:
        raise WorkerError("slurm: the command squeue is missing; run this on a machine with Slurm") from error
    except subprocess.CalledProcessError as error:
        raise WorkerError(_no_answer(error.stderr or f"status {error.returncode}")) from error
    except subprocess.TimeoutExpired as error:
        raise WorkerError(_no_answer(f"no answer within {_ANSWER_S:g} s")) from error
    return len(answer.stdout.split())


def _no_answer(found: str) -> str:
    return (
        f"squeue failed: {' '.join(found.split())}; check with scontrol ping that slurmctld runs and run again, or run "
        "without --executor slurm"
    )


def _all_ended(plan: Plan, left: set[int], logs: Path) -> str:
    num_items = sum(map(plan.length, left))
    errors = sorted(logs.glob("*.err"), key=lambda path: path.stat().st_mtime)
    tail = errors[-1].read_text(errors="replace").splitlines()[-10:] if errors else ["there is no log"]
    return (
        f"{plan.folder}: all jobs have ended, but chunks with {num_items} items are unfinished; look into {logs} and "
        "run again. The newest log ends:\n" + "\n".join(tail)
    )
