"""A pool of worker processes on this machine: replaced when they die, stopped with the command that started them."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from ..optional import describe
from .errors import ContractError
from .finished_chunks import finished_chunks
from .items import Work
from .journal import StorageError
from .plan import Plan, open_plan
from .worker import Shard, run_worker

_LOG = logging.getLogger(__name__)
_POLL_EVERY_S = 0.5
_GRACE_S = 10.0  # from SIGTERM to SIGKILL
_END_S = 1.0  # for workers that are between two polls to notice that all is done
_MAX_DEAD_STARTS = 3
_FATAL = 70  # exit status (EX_SOFTWARE) of a worker that has reported why it cannot work on any item
TERMINATED = 128 + signal.SIGTERM  # exit status after SIGTERM
_STOPPING = [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]  # Slurm's warnings go to all processes of a job


@contextmanager
def exit_on(signals: list[signal.Signals]) -> Iterator[None]:
    """Turn signals into `SystemExit`, so that `finally` blocks run; a no-op outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise_exit) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _worker_main(
    surroundings: Mapping[str, str],
    parent: int,
    reports: Connection,
    folder: str,
    make_work: Callable[[], Work],
    shard: Shard,
) -> None:
    """Run a worker process."""
    os.environ.update(surroundings)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent stops its workers
    with exit_on(_STOPPING):
        threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
        try:
            work = _load_work(make_work)
            reports.send("")
            run_worker(open_plan(folder), work, shard)
        except WorkerError as error:
            reports.send(str(error))
            sys.exit(_FATAL)
        except (StorageError, ContractError) as error:
            reports.send(f"{folder}: a worker stopped: {error}")
            sys.exit(_FATAL)
        except Exception:
            reports.send(f"{folder}: a worker stopped: {traceback.format_exc()}")
            sys.exit(_FATAL)


def _load_work(make_work: Callable[[], Work]) -> Work:
    try:
        return make_work()
    except (ValueError, OSError, ImportError) as error:
        # Their message is for the user: a missing model or package. Other exceptions are bugs: keep the traceback.
        raise WorkerError(describe(error)) from error


def _worker_environment(number: int, size: int) -> dict[str, str]:
    """Return the environment variables of a worker: its number, and its share of the cores unless set already."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores // size)))
    return {"JOBS_WORKER": str(number), "OMP_NUM_THREADS": threads}


def _exit_with_parent(parent: int) -> None:
    # A command that is killed with SIGKILL cannot stop its workers.
    while os.getppid() == parent:
        time.sleep(_POLL_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


class WorkerError(ChildProcessError):
    """No item can be worked on; the message says why."""


class WorkerPool:
    """A pool of `size` worker processes at most, each with its own picklable work; one that dies is replaced."""

    def __init__(self, plan: Plan, make_work: Callable[[], Work], shard: Shard, size: int) -> None:
        self._plan, self._make_work, self._shard, self._size = plan, make_work, shard, size
        # A forked process can use neither CUDA nor a lock that a thread of the parent holds.
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[BaseProcess, Connection] = {}
        self._numbers: dict[BaseProcess, int] = {}
        self._ready: set[BaseProcess] = set()
        self._num_dead_starts = 0

    def run(self, on_poll: Callable[[], None]) -> None:
        """Work until all items of the shard have outcomes.

        Raises:
            WorkerError: when the work cannot be made or breaks its contract, or the disk is full.
        """
        with exit_on([signal.SIGTERM]):
            try:
                while num_left := len(self._shard.chunks(self._plan) - finished_chunks(self._plan)):
                    while len(self._workers) < min(self._size, num_left):
                        self._start()
                    wait([p.sentinel for p in self._workers], timeout=_POLL_EVERY_S)
                    self._poll()
                    on_poll()
                self._join(_END_S)
            finally:
                self._stop()

    def _start(self) -> None:
        reports, theirs = self._context.Pipe(duplex=False)
        number = min(set(range(self._size)) - set(self._numbers.values()))
        arguments = (_worker_environment(number, self._size), os.getpid(), theirs, str(self._plan.folder))
        process = self._context.Process(target=_worker_main, args=(*arguments, self._make_work, self._shard))
        process.start()
        theirs.close()
        self._workers[process], self._numbers[process] = reports, number

    def _poll(self) -> None:
        for process, reports in list(self._workers.items()):
            ended = not process.is_alive()  # before reading, or the last report of a worker could be lost
            self._read(process, reports)
            if ended:
                self._remove_ended(process)

    def _read(self, process: BaseProcess, reports: Connection) -> None:
        try:
            while reports.poll():
                message = reports.recv()
                if message:
                    raise WorkerError(message)
                self._ready.add(process)
                self._num_dead_starts = 0
        except EOFError:
            return

    def _remove_ended(self, process: BaseProcess) -> None:
        self._workers.pop(process).close()
        self._numbers.pop(process)
        if process.exitcode == 0:
            return
        _LOG.warning("worker %s ended with status %s; another replaces it", process.pid, process.exitcode)
        if process not in self._ready:
            self._num_dead_starts += 1
        if self._num_dead_starts >= _MAX_DEAD_STARTS:
            raise WorkerError(
                f"{self._plan.folder}: {_MAX_DEAD_STARTS} workers died before their first item, with status "
                f"{process.exitcode} (-N: by signal N); run with --workers 0 to see why"
            )

    def _stop(self) -> None:
        for process in self._workers:
            process.terminate()
        self._join(_GRACE_S)
        for process, reports in self._workers.items():
            process.kill()
            process.join()
            reports.close()
        self._workers.clear()

    def _join(self, patience_s: float) -> None:
        deadline_s = time.monotonic() + patience_s
        for process in self._workers:
            process.join(max(0.0, deadline_s - time.monotonic()))
