"""Worker processes on this machine: started anew when they die, stopped with the command that started them."""

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
from .committed import done_chunks
from .faults import ContractError
from .items import Work
from .parts import StorageError
from .plan import Plan, open_plan
from .worker import Share, work_through

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5
_GRACE_S = 10.0  # between being asked to stop and being killed
_END_S = 1.0  # for workers that pause to notice that all is done
_MAX_DEAD_STARTS = 3
_FATAL = 70  # exit status of a worker that has sent word why no item can be worked on (EX_SOFTWARE)
TERMINATED = 128 + signal.SIGTERM  # exit status after being asked to stop
_STOPPING = [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]  # Slurm's warnings go to all processes of a job


@contextmanager
def exit_on(signals: list[signal.Signals]) -> Iterator[None]:
    """Turns signals into `SystemExit`, so that what is under way is left in order; a no-op outside the main thread.

    Args:
        signals: which.

    Yields:
        Nothing.
    """
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
    share: Share,
) -> None:
    """The life of a worker process."""
    os.environ.update(surroundings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent asks to stop
    with exit_on(_STOPPING):
        threading.Thread(target=_leave_with_parent, args=(parent,), daemon=True).start()
        try:
            work = _made(make_work)
            reports.send("")
            work_through(open_plan(folder), work, share)
        except WorkerError as error:
            reports.send(str(error))
            sys.exit(_FATAL)
        except (StorageError, ContractError) as error:
            reports.send(f"{folder}: a worker gave up: {error}")
            sys.exit(_FATAL)
        except Exception:
            reports.send(f"{folder}: a worker gave up: {traceback.format_exc()}")
            sys.exit(_FATAL)


def _made(make_work: Callable[[], Work]) -> Work:
    try:
        return make_work()
    except (ValueError, OSError, ImportError) as error:
        # These tell a person what is amiss with the model or the machine; others are faults of the program.
        raise WorkerError(describe(error)) from error


def _surroundings(number: int, size: int) -> dict[str, str]:
    """Variables of a worker: which one it is, and its part of the cores unless that was chosen already."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores // size)))
    return {"JOBS_WORKER": str(number), "OMP_NUM_THREADS": threads}


def _leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


class WorkerError(ChildProcessError):
    """No item can be worked on; a person has to look."""


class WorkerPool:
    """Worker processes; one that dies is replaced.

    Args:
        plan: of the run.
        make_work: called once per process; must be picklable.
        share: which chunks, and how.
        size: most processes at once.
    """

    def __init__(self, plan: Plan, make_work: Callable[[], Work], share: Share, size: int) -> None:
        self._plan, self._make_work, self._share, self._size = plan, make_work, share, size
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[BaseProcess, Connection] = {}
        self._numbers: dict[BaseProcess, int] = {}
        self._ready: set[BaseProcess] = set()
        self._num_dead_starts = 0

    def run(self, on_look: Callable[[], None]) -> None:
        """Works until all items of the share have outcomes.

        Args:
            on_look: called every now and then.

        Raises:
            WorkerError: when the work cannot be made or does not keep its contract, or there is no room.
        """
        with exit_on([signal.SIGTERM]):
            try:
                while num_left := len(self._share.chunks(self._plan) - done_chunks(self._plan)):
                    while len(self._workers) < min(self._size, num_left):
                        self._start()
                    wait([p.sentinel for p in self._workers], timeout=_LOOK_EVERY_S)
                    self._look()
                    on_look()
                self._join(_END_S)
            finally:
                self._stop()

    def _start(self) -> None:
        reports, theirs = self._context.Pipe(duplex=False)
        number = min(set(range(self._size)) - set(self._numbers.values()))
        arguments = (_surroundings(number, self._size), os.getpid(), theirs, str(self._plan.folder))
        process = self._context.Process(target=_worker_main, args=(*arguments, self._make_work, self._share))
        process.start()
        theirs.close()
        self._workers[process], self._numbers[process] = reports, number

    def _look(self) -> None:
        for process, reports in list(self._workers.items()):
            ended = not process.is_alive()
            self._read(process, reports)
            if ended:
                self._bury(process)

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

    def _bury(self, process: BaseProcess) -> None:
        self._workers.pop(process).close()
        self._numbers.pop(process)
        if process.exitcode == 0:
            return
        _LOG.warning("worker %s ended with status %s; another takes its place", process.pid, process.exitcode)
        if process not in self._ready:
            self._num_dead_starts += 1
        if self._num_dead_starts >= _MAX_DEAD_STARTS:
            raise WorkerError(
                f"{self._plan.folder}: workers that start expected, found {_MAX_DEAD_STARTS} that died with status "
                f"{process.exitcode} (-N: by signal N) before their first item; try --workers 0 to see why"
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
