"""A run as a job array of Slurm, submitted through submitit.

The jobs share out the chunks among themselves by leases, so what one that dies leaves is done by the others. A
job that is preempted, times out or loses its node goes into the queue again (`--requeue`, and submitit's signal
before the end of the time). The waiting command only reads the folder and `squeue`: killed and run again, it
finds the jobs by their name, which holds the token of the plan, and waits on.
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
from .committed import done_chunks
from .execution import Execution
from .items import Work
from .local import TERMINATED, WorkerError, WorkerPool
from .plan import Plan, open_plan
from .worker import Share

_LOG = logging.getLogger(__name__)
_POLL_S = 5.0
_ANSWER_S = 60.0  # that squeue and scancel may take
_DECISION_S = 180.0  # from Slurm's SIGTERM to its SIGKILL; GraceTime and KillWait are seconds to minutes
_WARNING_S = 90  # before the end of the time, to stop in order


@dataclass(frozen=True)
class Task:
    """What a job of the array does.

    Attributes:
        folder: of the run, absolute.
        make_work: as for `run`.
        share: of all jobs together.
        workers: processes of this job.
    """

    folder: str
    make_work: Callable[[], Work]
    share: Share
    workers: int

    def __call__(self) -> None:
        """Works until every item has an outcome."""
        try:
            WorkerPool(open_plan(self.folder), self.make_work, self.share, self.workers).run(lambda: None)
        except SystemExit as stop:
            if stop.code == TERMINATED:
                # The workers have stopped in order. Slurm now kills the job, and queues it again when it was
                # preempted; ending before that would end the job for good.
                time.sleep(_DECISION_S)
            raise

    def checkpoint(self) -> Any:
        """What submitit queues again after a timeout: the same."""
        return import_optional("submitit.helpers").DelayedSubmission(self)


def run_array(
    plan: Plan, make_work: Callable[[], Work], share: Share, execution: Execution, on_look: Callable[[], None]
) -> None:
    """Submits the array, unless it is there from before, and waits until every item has an outcome.

    Args:
        plan: of the run.
        make_work: as for `run`.
        share: of all jobs together.
        execution: what to ask Slurm for.
        on_look: called every now and then.

    Raises:
        WorkerError: when Slurm does not answer at first or refuses the array, or when the jobs have ended and items
            have no outcome.
    """
    logs = (plan.folder / "slurm").resolve()
    name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', plan.folder.name)}-{plan.token}"
    if not _num_jobs(name) and _left(plan):
        task = Task(str(plan.folder.resolve()), make_work, share, max(1, execution.workers))
        _submit(task, logs, name, execution)
    is_lost = False
    while _left(plan):
        on_look()
        time.sleep(_POLL_S)
        try:
            num_jobs, is_lost = _num_jobs(name), False
        except WorkerError as error:  # the jobs run on without the controller
            if not is_lost:
                _LOG.warning("%s. Waiting", error)
            num_jobs, is_lost = None, True
        if num_jobs == 0 and _left(plan):
            time.sleep(_POLL_S)  # the last files may still be on their way through the file server
            if left := _left(plan):
                raise WorkerError(_all_ended(plan, left, logs))
    # Jobs that were queued again would find nothing to do; those that run end by themselves.
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--name", name, "--state", "PENDING"], check=False, timeout=_ANSWER_S)


def _left(plan: Plan) -> set[int]:
    return set(range(plan.num_chunks)) - done_chunks(plan)


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
            f"sbatch: a job array expected, found: {' '.join(str(error).split())}; change the options of Slurm, or run "
            "again when it answers"
        ) from error


def _parameters(name: str, execution: Execution) -> dict[str, Any]:
    """Options of sbatch, by submitit's names."""
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
    """How many jobs of this name wait or run."""
    command = ["squeue", "--noheader", "--name", name, "--format", "%i"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ANSWER_S)
    except FileNotFoundError as error:
        raise WorkerError(
            "slurm: the command squeue expected, found none; run this where Slurm is"
        ) from error
    except subprocess.CalledProcessError as error:
        raise WorkerError(_no_answer(error.stderr or f"status {error.returncode}")) from error
    except subprocess.TimeoutExpired as error:
        raise WorkerError(_no_answer(f"none in {_ANSWER_S:g} s")) from error
    return len(answer.stdout.split())


def _no_answer(found: str) -> str:
    return (
        f"squeue: an answer of Slurm expected, found: {' '.join(found.split())}; run again when scontrol ping "
        "finds the controller up, or work without --executor slurm"
    )


def _all_ended(plan: Plan, left: set[int], logs: Path) -> str:
    num_items = sum(map(plan.length, left))
    errors = sorted(logs.glob("*.err"), key=lambda path: path.stat().st_mtime)
    tail = errors[-1].read_text(errors="replace").splitlines()[-10:] if errors else ["there is no log"]
    return (
        f"{plan.folder}: outcomes of all items expected, found that all jobs have ended and chunks with {num_items} "
        f"items are unfinished; look into {logs} and run again. The newest log ends:\n" + "\n".join(tail)
    )
