"""Work for the tests of jobs, in a module that worker processes can import, and a command to kill."""

import argparse
import functools
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_ext.jobs import (
    Execution,
    Item,
    Rejected,
    Work,
    WorkerError,
    add_arguments,
    one_by_one,
    run,
)

SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


def make_items(num_items: int) -> list[Item]:
    """Return items with ids like those of clips."""
    return [
        Item(f"fr/talk{i // 10}_é/{i:05d}", {"number": i, "span_s": [i, i + 0.5]}) for i in range(num_items)
    ]


def note(log: Path, item: Item) -> None:
    """Record that an item is worked on, in a file that all processes share."""
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(descriptor, f"{item.id}\t{os.getpid()}\n".encode())
    os.close(descriptor)


def noted(log: Path) -> list[str]:
    """Return the ids of the items that were worked on, as often as they were."""
    if not log.exists():
        return []
    return [line.split("\t")[0] for line in log.read_text(encoding="utf-8").splitlines()]


def square(log: Path, seconds: float, kills: Mapping[int, str], item: Item) -> dict[str, Any]:
    """Square the number of an item, unless that is one to be rejected, to fail, or to kill its process."""
    note(log, item)
    time.sleep(seconds)
    number = item.data["number"]
    if kills.get(number) == "exit":
        os._exit(9)
    if kills.get(number) == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if number % 10 == 3:
        raise Rejected("no_face" if number % 20 == 3 else "too_short", f"of {number}\tframes", {"rate": 0.25})
    if number % 10 == 4:
        raise KeyError(f"number {number}")
    return {"square": number**2, "texts": ["à", None], "span_s": item.data["span_s"]}


def make_squares(log: Path, seconds: float = 0.0, kills: Mapping[int, str] | None = None) -> Work:
    """Make work of one item at a time."""
    return one_by_one(functools.partial(square, log, seconds, kills or {}))


def expected_state(item: Item) -> str:
    """Return the state in which `square` leaves an item."""
    return {3: "rejected", 4: "failed"}.get(item.data["number"] % 10, "done")


def make_batches(log: Path, most: int, killer: int = -1) -> Work:
    """Make work of whole batches: a large batch is out of memory, and item `killer` ends the process."""

    def work(items: Sequence[Item]) -> list[Mapping[str, Any] | Exception]:
        for item in items:
            note(log, item)
        if len(items) > most:
            raise RuntimeError("CUDA failed with error out of memory")
        if any(item.data["number"] == killer for item in items):
            os.kill(os.getpid(), signal.SIGKILL)
        if any(item.data["number"] == 5 for item in items) and len(items) > 1:
            raise ValueError("one of these is bad")
        return [ValueError("bad") if item.data["number"] == 5 else {"batch": len(items)} for item in items]

    return work


def make_wrong(kind: str) -> Work:
    """Make work that breaks its contract."""

    def work(items: Sequence[Item]) -> Any:
        if kind == "fewer":
            return [{}] * (len(items) - 1)
        if kind == "streamed fewer":
            return iter([{}] * (len(items) - 1))
        if kind == "streamed more":
            return iter([{}] * (len(items) + 1))
        return [None] * len(items)

    return work


def environment(item: Item) -> dict[str, Any]:
    """Return environment variables of the worker; waits so that each of two workers gets some items."""
    time.sleep(0.3)
    return {name: os.environ.get(name) for name in ("JOBS_WORKER", "OMP_NUM_THREADS")}


def make_environment() -> Work:
    """Make work that returns environment variables."""
    return one_by_one(environment)


def make_none() -> Work:
    """Fail as a model that cannot be loaded."""
    raise FileNotFoundError("no such model")


def make_death() -> Work:
    """End the process as a model whose loading crashes."""
    os._exit(11)


def make_streamed(log: Path) -> Work:
    """Make work whose results come one by one and end in an exception."""

    def work(items: Sequence[Item]) -> Iterator[Mapping[str, Any]]:
        for item in items:
            note(log, item)
            if item.data["number"] == 2:
                raise Rejected("second")
            yield {}

    return work


def main() -> None:
    """Run a command like those of recipes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num-items", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--kills", type=int, nargs="*", default=[])
    add_arguments(parser)
    args = parser.parse_args()
    make = functools.partial(
        make_squares, args.folder / "worked.log", args.seconds, dict.fromkeys(args.kills, "kill")
    )
    try:
        summary = run(
            args.folder / "run",
            make_items(args.num_items),
            make,
            settings=SETTINGS,
            execution=Execution.from_args(args),
        )
    except (ValueError, WorkerError) as error:
        sys.exit(str(error))
    print(summary)
