"""Processes that are killed, frozen and resumed, and disks that lose the end of a file: every item ends once."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_ext.jobs import Execution, outcomes, run, watch
from fairseq_ext.jobs.plan import open_plan

SPAWNED = Execution(workers=2, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it finds processes in /proc")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start commands, and stop them with their workers after the test."""
    started: list[subprocess.Popen[str]] = []

    def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
        program = [sys.executable, "-c", "import jobs_work; jobs_work.main()", str(folder), *arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # What runs in the background ignores SIGINT, and so would its children.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        started.append(subprocess.Popen(program, env=environment, text=True, preexec_fn=heed, **streams))
        return started[-1]

    yield command
    for process in started:
        for pid in [*children(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                if process.poll() is None or pid != process.pid:
                    os.kill(pid, signal.SIGKILL)
        process.communicate()


def children(parent: int) -> list[int]:
    """Return the worker processes of a command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def wait_until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "waited for a minute"
        time.sleep(0.02)


def left_behind(folder: Path) -> list[Path]:
    return [
        path for name in ("leases", "parts") for path in (open_plan(folder / "run").work / name).iterdir()
    ]


def check_all(folder: Path, jobs_work: ModuleType, num_items: int, quarantined: Sequence[int] = ()) -> None:
    found = list(outcomes(folder / "run"))
    items = jobs_work.make_items(num_items)
    assert [o.id for o in found] == [i.id for i in items]
    for number, (outcome, item) in enumerate(zip(found, items, strict=True)):
        expected = "quarantined" if number in quarantined else jobs_work.expected_state(item)
        assert outcome.state == expected
        assert outcome.state != "done" or outcome.result["square"] == number**2


def test_an_item_that_kills_its_process_is_quarantined(tmp_path: Path, jobs_work: ModuleType) -> None:
    log, items = tmp_path / "log", jobs_work.make_items(12)
    make = functools.partial(jobs_work.make_squares, log, 0.0, {5: "kill", 8: "exit"})
    settings: dict[str, str] = {}
    summary = run(tmp_path / "run", items, make, settings=settings, execution=SPAWNED)
    check_all(tmp_path, jobs_work, 12, quarantined=[5, 8])
    assert summary.reasons["quarantined"] == {"died": 2}
    assert Counter(jobs_work.noted(log)) == Counter(
        {i.id: 1 for i in items} | {items[5].id: 3, items[8].id: 3}
    )
    well = functools.partial(jobs_work.make_squares, log)
    summary = run(
        tmp_path / "run", items, well, settings=settings, execution=replace(SPAWNED, retry_failed=True)
    )
    check_all(tmp_path, jobs_work, 12)
    tries = Counter(jobs_work.noted(log))
    assert (tries[items[5].id], tries[items[4].id], tries[items[3].id]) == (4, 2, 1)


def test_a_batch_that_died_is_tried_item_by_item(tmp_path: Path, jobs_work: ModuleType) -> None:
    log = tmp_path / "log"
    make = functools.partial(jobs_work.make_batches, log, 8, 11)
    items = jobs_work.make_items(16)
    summary = run(tmp_path / "run", items, make, settings={}, execution=SPAWNED, batch_size=8)
    assert summary.states == {"done": 14, "rejected": 0, "failed": 1, "quarantined": 1}
    found = list(outcomes(tmp_path / "run"))
    assert [o.id for o in found if o.state == "quarantined"] == [items[11].id]
    assert [found[i].result["batch"] for i in (8, 9, 10, 12)] == [1] * 4
    assert Counter(jobs_work.noted(log))[items[11].id] == 3
    assert max(Counter(jobs_work.noted(log))[i.id] for i in items[12:]) == 2


@LINUX
def test_workers_leave_with_the_command_that_was_killed(
    tmp_path: Path, jobs_work: ModuleType, start: Start
) -> None:
    log = tmp_path / "worked.log"
    command = start(tmp_path, "--num-items", "40", "--seconds", "0.1", "--workers", "2")
    wait_until(lambda: len(jobs_work.noted(log)) >= 6)
    workers = children(command.pid)
    assert len(workers) == 2
    command.kill()
    command.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in workers))
    assert len(jobs_work.noted(log)) < 40
    again = start(tmp_path, "--num-items", "40", "--seconds", "0", "--workers", "2")
    out, _ = again.communicate(timeout=60)
    assert out == "40 items: 32 done, 4 rejected (no_face 2, too_short 2), 4 failed (KeyError 4)\n"
    check_all(tmp_path, jobs_work, 40)
    assert len(jobs_work.noted(log)) <= 40 + 2


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_asked_to_stop_counts_no_death(
    tmp_path: Path, jobs_work: ModuleType, start: Start, number: signal.Signals
) -> None:
    log = tmp_path / "worked.log"
    arguments = ["--num-items", "6", "--workers", "1", "--max-deaths", "1"]
    for _ in range(3):
        before = len(jobs_work.noted(log))
        command = start(tmp_path, *arguments, "--seconds", "30")
        wait_until(lambda before=before: len(jobs_work.noted(log)) > before)
        command.send_signal(number)
        command.communicate(timeout=60)
        assert command.returncode == (143 if number == signal.SIGTERM else -2)
        assert list((open_plan(tmp_path / "run").work / "leases").iterdir()) == []
    out, _ = start(tmp_path, *arguments, "--seconds", "0").communicate(timeout=60)
    assert "quarantined" not in out
    check_all(tmp_path, jobs_work, 6)


@LINUX
def test_a_frozen_worker_is_replaced_and_notices_when_it_wakes(
    tmp_path: Path, jobs_work: ModuleType, start: Start
) -> None:
    log = tmp_path / "worked.log"
    first = start(tmp_path, "--num-items", "30", "--seconds", "0.05", "--workers", "1")
    wait_until(lambda: len(jobs_work.noted(log)) >= 5)
    (frozen,) = children(first.pid)
    for pid in (first.pid, frozen):
        os.kill(pid, signal.SIGSTOP)
    summary = run(
        tmp_path / "run",
        jobs_work.make_items(30),
        functools.partial(jobs_work.make_squares, log),
        settings=SETTINGS,
        execution=replace(SPAWNED, lease_s=1.0),
    )
    assert summary.complete
    done = {p: p.read_bytes() for p in (open_plan(tmp_path / "run").work / "done").iterdir()}
    for pid in (frozen, first.pid):
        os.kill(pid, signal.SIGCONT)
    out, _ = first.communicate(timeout=60)
    assert out == f"{summary}\n"
    assert {p: p.read_bytes() for p in (open_plan(tmp_path / "run").work / "done").iterdir()} == done
    check_all(tmp_path, jobs_work, 30)
    assert len(jobs_work.noted(log)) <= 31
    assert left_behind(tmp_path) == []


def test_shards_at_once_and_who_watches(tmp_path: Path, jobs_work: ModuleType, start: Start) -> None:
    arguments = ["--num-items", "50", "--seconds", "0.01", "--shards", "3"]
    shards = [start(tmp_path, *arguments, "--shard-id", str(i)) for i in range(3)]
    wait_until(lambda: (tmp_path / "run" / "plan.json").exists())
    watcher = start(tmp_path, "--num-items", "50", "--watch")
    summary = watch(tmp_path / "run", shown=False)
    out, err = watcher.communicate(timeout=60)
    assert summary.complete
    assert out == f"{summary}\n"
    assert "50/50" in err
    assert [shard.wait(timeout=60) for shard in shards] == [0, 0, 0]
    check_all(tmp_path, jobs_work, 50)
    assert len(jobs_work.noted(tmp_path / "worked.log")) == 50


class Storm:
    """A source of faults: kills, freezes and resumes processes at random, and truncates what killed ones wrote last."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.generator = folder, random.Random(seed)
        self.blows = cycle(["kill", "freeze", "kill", "kill command", "wake"])
        self.frozen: list[int] = []
        self.num_killed = self.num_frozen = self.num_torn = 0

    def strike(self, commands: "list[subprocess.Popen[str]]") -> None:
        alive = [command.pid for command in commands if command.poll() is None]
        workers = [pid for parent in alive for pid in children(parent)]
        blow = next(self.blows)
        if blow == "wake" and self.frozen:
            self._send(self.frozen.pop(0), signal.SIGCONT)
        elif blow == "freeze" and workers:
            self.frozen.append(self.generator.choice(workers))
            self._send(self.frozen[-1], signal.SIGSTOP)
            self.num_frozen += 1
        elif blow == "kill" and workers:
            self._kill(self.generator.choice(workers))
        elif blow == "kill command" and alive:
            self._kill(self.generator.choice(alive))

    def _send(self, pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def _kill(self, pid: int) -> None:
        self._send(pid, signal.SIGKILL)
        self.num_killed += 1
        if self.num_killed % 2:
            self._tear(pid)

    def _tear(self, pid: int) -> None:
        """Truncate a journal: its end never reached the disk."""
        time.sleep(0.02)
        with suppress(OSError):  # folders are moved while they are listed
            for path in list((self.folder / "run").glob(f"work-*/parts/*/{pid}-*")):
                size = path.stat().st_size
                os.truncate(path, max(0, size - self.generator.randrange(1, 60)))
                self.num_torn += 1

    def calm(self) -> None:
        for pid in self.frozen:
            self._send(pid, signal.SIGCONT)


@LINUX
def test_a_storm(tmp_path: Path, jobs_work: ModuleType, start: Start) -> None:
    num_items, log = 1200, tmp_path / "worked.log"
    arguments = ["--num-items", str(num_items), "--seconds", "0.02", "--workers", "3", "--lease-s", "1.5"]
    arguments += ["--kills", "777", "--max-deaths", "6"]
    storm = Storm(tmp_path, seed=11)
    commands = [start(tmp_path, *arguments) for _ in range(3)]
    wait_until(lambda: jobs_work.noted(log))
    while not all(command.poll() == 0 for command in commands):
        if len(jobs_work.noted(log)) < 0.8 * num_items:
            storm.strike(commands)
        else:
            storm.calm()
        time.sleep(0.15)
        commands = [c if c.poll() in {None, 0} else start(tmp_path, *arguments) for c in commands]
    check_all(tmp_path, jobs_work, num_items, quarantined=[777])
    worked = Counter(jobs_work.noted(log))
    assert set(worked) == {item.id for item in jobs_work.make_items(num_items)}
    num_again = worked.total() - num_items
    print(
        f"{storm.num_killed} killed, {storm.num_frozen} frozen, {storm.num_torn} torn, {num_again} items again"
    )
    assert min(storm.num_killed, storm.num_frozen) > 0
    assert num_again < 0.1 * num_items
    wait_until(lambda: not left_behind(tmp_path))  # by workers without a command that have just woken
