"""Benchmark of the bookkeeping of `fairseq_ext.jobs` per item of trivial work, compared with a plain pool.

All ways write one JSON line per item. `plain` is a loop in one process; `pool` is concurrent.futures with chunks;
`jobs` is `fairseq_ext.jobs.run`; `again` is the same call once more, which only compares the items with the plan and
counts; `update` is called with one item more, so that all outcomes go into a new plan.
CPU time is of the process and its children, so that other load on the machine does not count.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fairseq_ext.jobs import Execution, Item, Work, one_by_one, run

CHUNK = 512


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="how many (default: 100000)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    return parser.parse_args()


def items(num_items: int) -> Iterator[Item]:
    """Yield items like those of clips."""
    return (
        Item(f"id{i // 100:05d}/clip/{i:07d}", {"path": f"{i}.mp4", "start_s": i / 4})
        for i in range(num_items)
    )


def label(item: Item) -> dict[str, Any]:
    """Return a label like those of Whisper."""
    return {"language": "fr", "text": f"la phrase de {item.id}", "avg_logprob": -0.25}


def make_work() -> Work:
    """Make the work of `jobs`."""
    return one_by_one(label)


def plain(path: Path, num_items: int, workers: int) -> None:
    """Run a plain loop."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(label(item))}\n" for item in items(num_items))


def pool(path: Path, num_items: int, workers: int) -> None:
    """Run concurrent.futures."""
    with (
        open(path, "w", encoding="utf-8") as file,
        ProcessPoolExecutor(workers, get_context("spawn")) as executor,
    ):
        results = executor.map(label, items(num_items), chunksize=CHUNK)
        file.writelines(f"{json.dumps(result)}\n" for result in results)


def jobs(path: Path, num_items: int, workers: int) -> None:
    """Run `fairseq_ext.jobs`."""
    execution = Execution(workers=workers, progress=False)
    summary = run(path, items(num_items), make_work, settings={}, execution=execution)
    assert summary.states["done"] == num_items


def update(path: Path, num_items: int, workers: int) -> None:
    """Run `fairseq_ext.jobs` with one item more."""
    execution = Execution(workers=workers, progress=False, update=True)
    summary = run(path, items(num_items + 1), make_work, settings={}, execution=execution)
    assert summary.states["done"] == num_items + 1


def cpu_s() -> float:
    """Return the CPU seconds of this process and its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(
    way: Callable[[Path, int, int], None], path: Path, num_items: int, workers: int
) -> tuple[float, float]:
    """Return CPU seconds and wall seconds."""
    wall_s, used_s = time.perf_counter(), cpu_s()
    way(path, num_items, workers)
    return cpu_s() - used_s, time.perf_counter() - wall_s


def main() -> None:
    """Run all ways and print a table."""
    args = parse_args()
    print(f"{args.items} items, {args.workers} workers, {os.cpu_count()} cores")
    print("| way | CPU microseconds per item | wall seconds |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ways = {"plain": (plain, "a"), "pool": (pool, "b")}
        ways |= {"jobs": (jobs, "c"), "again": (jobs, "c"), "update": (update, "c")}
        for name, (way, path) in ways.items():
            used_s, wall_s = measure(way, root / path, args.items, args.workers)
            print(f"| {name} | {1e6 * used_s / args.items:.0f} | {wall_s:.1f} |", flush=True)


if __name__ == "__main__":
    main()
