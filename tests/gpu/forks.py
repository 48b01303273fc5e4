"""Functions and programs in forks of this process, which has imported fairseq: that takes 5 to 12 s of a core.

A fork that uses the GPU gives all of its memory back when it ends, and its peak is its own. CUDA must not have begun in
this process: it cannot begin again in a fork.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P, T = ParamSpec("P"), TypeVar("T")
FORK = get_context("fork")
LINES_OF_A_FAILURE = 15


def in_fork(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns in a fork, or raise what it raises there."""
    with ProcessPoolExecutor(1, mp_context=FORK) as pool:
        return pool.submit(function, *args, **kwargs).result()


def run_program(path: Path, arguments: Sequence[Any], log: Path, timeout_s: float | None = None) -> float:
    """Run a Python file as a program in a fork, its output in a file; return the seconds it took.

    Raises:
        RuntimeError: with the end of its output, where it failed.
        TimeoutError: it took longer than `timeout_s` and was ended, with what it had started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    process = FORK.Process(target=_become, args=(path, [str(argument) for argument in arguments], log))
    process.start()
    process.join(timeout_s)
    if process.exitcode is None:
        process.terminate()  # trainings end with the process that started them
        process.join()
        raise TimeoutError(f"{path.name} {arguments[0]}: not done after {timeout_s:.0f} s; its output: {log}")
    if process.exitcode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
        raise RuntimeError("\n".join([*tail, f"{path.name}: exit status {process.exitcode}"]))
    return time.monotonic() - start


def _become(path: Path, arguments: list[str], log: Path) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name="__main__")


def check_cuda(device: str) -> None:
    """Raise RuntimeError where CUDA had begun before the fork."""
    if device != "cuda":
        return
    import torch

    if torch.cuda._is_in_bad_fork():
        raise RuntimeError(
            "CUDA began before the fork: an import asked the CUDA runtime for devices; set "
            "PYTORCH_NVML_BASED_CUDA_CHECK=1, and see that libnvidia-ml.so.1 is found"
        )
