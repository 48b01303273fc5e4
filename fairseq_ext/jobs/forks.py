"""Forks of a process that has imported what takes seconds to import, such as fairseq.

A forked process can use neither CUDA, if its parent did, nor a lock that a thread of the parent holds: the parent only
imports.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def start_fork(run: Callable[[], int | None]) -> int:
    """Call `run` in a fork that ends with this process, and return the fork's process number.

    Its exit status is what `run` returns, None = 0, or that of the `SystemExit` it raises; 1 after another exception,
    whose traceback is printed.
    """
    sys.stdout.flush()  # or the fork would print it a second time
    sys.stderr.flush()
    parent = os.getpid()
    if pid := os.fork():
        return pid
    if sys.platform == "linux":  # elsewhere it goes on when its parent is killed outright
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # If the parent ended before prctl, no signal will come.
    status = _status_of(run) if os.getppid() == parent else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # what the parent was doing is not for its fork to end


def _status_of(run: Callable[[], int | None]) -> int:
    try:
        return run() or 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
