"""A real Slurm of two nodes: a job array whose jobs are killed, requeued and preempted loses nothing."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_ext.jobs import Execution, WorkerError, outcomes, run, watch

TESTS = Path(__file__).resolve().parents[1]
WORK = TESTS / "unit" / "jobs"
# Poll Slurm more often than by default: nobody else uses this one.
COMMAND = "import jobs_work; from fairseq_ext.jobs import slurm; slurm._POLL_S = 0.5; jobs_work.main()"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slurm = load(TESTS / "slurm" / "cluster.py")
pytest.importorskip("submitit", reason="submitit is not installed: pip install -e .[slurm]")
pytestmark = pytest.mark.skipif(slurm.missing() is not None, reason=slurm.missing() or "")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """Start Slurm and return its configuration."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm.cluster(Path(folder)) as conf:
        yield conf


@pytest.fixture
def jobs_work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of the work, importable here and in the jobs."""
    monkeypatch.syspath_prepend(str(WORK))
    monkeypatch.setenv("PYTHONPATH", str(WORK))
    import jobs_work

    return jobs_work


@pytest.fixture
def start(jobs_work: ModuleType) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command that submits an array and waits for it."""
    started: list[subprocess.Popen[str]] = []

    def command(folder: Path, num_items: int, *arguments: str) -> "subprocess.Popen[str]":
        program = [sys.executable, "-c", COMMAND, str(folder)]
        program += ["--executor", "slurm", "--num-items", str(num_items), *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(program, text=True, **streams))
        return started[-1]

    yield command
    for process in started:
        process.kill()
        process.communicate()


def tasks(state: str) -> list[str]:
    """Return the tasks of the array in a state, as ARRAY_TASK."""
    return slurm.ask("squeue", "-h", "-r", "-t", state, "-o", "%i").split()


def main_process(task: str) -> int:
    """Return the process of a task that runs its workers."""
    array, index = task.split("_")
    of_task = set(slurm.processes("SLURM_ARRAY_TASK_ID", index)) & set(
        slurm.processes("SLURM_ARRAY_JOB_ID", array)
    )
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in of_task}
    (found,) = [
        pid for pid, text in commands.items() if b"submitit.core._submit" in text and b"srun" not in text
    ]
    return found


def workers_of(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def logs(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in (folder / "run" / "slurm").glob("*_log.*"))


def test_an_array_through_kills_and_requeues(
    cluster: Path, tmp_path: Path, jobs_work: ModuleType, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    num_items, log = 240, tmp_path / "worked.log"
    arguments = [
        "--shards",
        "4",
        "--workers",
        "2",
        "--seconds",
        "0.3",
        "--partition",
        "cpu",
        "--timeout-min",
        "60",
    ]
    command = start(tmp_path, num_items, *arguments)
    slurm.wait_until(
        lambda: len(tasks("RUNNING")) == 4 and len(jobs_work.noted(log)) > 20, "four tasks at work"
    )
    dead, again, warned, hurt = tasks("RUNNING")
    names = slurm.ask("squeue", "-h", "-o", "%j").split()
    command.kill()  # it may die, too: the jobs go on, and the next one waits for them
    os.kill(workers_of(main_process(hurt))[0], signal.SIGKILL)
    os.kill(main_process(dead), signal.SIGKILL)
    slurm.ask("scontrol", "requeue", again)
    slurm.ask("scancel", "--signal=USR2", warned)  # as before the end of the time
    slurm.wait_until(lambda: {again, warned} <= set(tasks("PENDING")), "two tasks in the queue again")
    for task in (again, warned):
        slurm.ask("scontrol", "update", f"jobid={task}", "StartTime=now")  # Slurm would wait for two minutes
    slurm.wait_until(lambda: {again, warned} <= set(tasks("RUNNING")), "two tasks at work again")
    assert dead not in tasks("PENDING,RUNNING")
    command = start(tmp_path, num_items, *arguments)
    out, err = command.communicate(timeout=120)
    assert command.returncode == 0, err
    found = list(outcomes(tmp_path / "run"))
    items = jobs_work.make_items(num_items)
    assert [o.id for o in found] == [i.id for i in items]
    assert [o.state for o in found] == [jobs_work.expected_state(i) for i in items]
    assert out == f"{watch(tmp_path / 'run', shown=False)}\n"
    worked = Counter(jobs_work.noted(log))
    assert set(worked) == {i.id for i in items}
    # Those in progress in the worker that was killed, and in the two each of the three tasks that were ended.
    assert worked.total() <= num_items + 1 + 3 * 2
    assert logs(tmp_path).count("Starting with JobEnvironment") == 4 + 2
    assert len(set(names)) == 1
    slurm.wait_until(lambda: not slurm.ask("squeue", "-h"), "an empty queue")
    assert len({path.name.split("_")[0] for path in (tmp_path / "run" / "slurm").glob("*_log.err")}) == 1


def kill_daemon_of(node: str) -> None:
    for pid in slurm.processes("SLURM_CONF", os.environ["SLURM_CONF"]):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if command[0].endswith(b"slurmd") and node.encode() in command:
            os.kill(pid, signal.SIGKILL)


def test_jobs_queued_again_while_their_first_copies_run_on(
    tmp_path: Path, jobs_work: ModuleType, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    num_items, log = 200, tmp_path / "worked.log"
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm.cluster(Path(folder)):
        command = start(tmp_path, num_items, "--shards", "2", "--workers", "2", "--seconds", "0.4")
        slurm.wait_until(
            lambda: len(tasks("RUNNING")) == 2 and len(jobs_work.noted(log)) > 8, "two tasks at work"
        )
        first = {task: main_process(task) for task in tasks("RUNNING")}
        nodes = slurm.ask("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%N").split()
        # Without its daemon a node cannot stop what runs on it.
        kill_daemon_of(nodes[0])
        slurm.ask("scontrol", "update", f"nodename={nodes[0]}", "state=DOWN", "reason=test")
        lost = [task for task, node in zip(first, nodes, strict=True) if node == nodes[0]]
        slurm.wait_until(lambda: set(lost) <= set(tasks("PENDING")), "the tasks in the queue again")
        for task in lost:
            slurm.ask("scontrol", "update", f"jobid={task}", "StartTime=now")
        slurm.wait_until(lambda: set(lost) <= set(tasks("RUNNING")), "the tasks on the other node")
        assert all(Path(f"/proc/{first[task]}/cmdline").read_bytes() for task in lost)
        out, err = command.communicate(timeout=120)
        assert command.returncode == 0, err
    assert out.startswith(f"{num_items} items: 160 done, 20 rejected")
    items = jobs_work.make_items(num_items)
    assert [o.id for o in outcomes(tmp_path / "run")] == [i.id for i in items]
    assert Counter(jobs_work.noted(log)) == Counter(i.id for i in items)


def test_preempted_jobs_go_on_afterwards(
    cluster: Path, tmp_path: Path, jobs_work: ModuleType, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    num_items, log = 120, tmp_path / "worked.log"
    command = start(tmp_path, num_items, "--shards", "2", "--workers", "2", "--seconds", "0.4")
    slurm.wait_until(
        lambda: len(tasks("RUNNING")) == 2 and len(jobs_work.noted(log)) > 8, "two tasks at work"
    )
    preempted = set(tasks("RUNNING"))
    everything = ("--partition", "urgent", "--nodes", "2", "--exclusive")
    slurm.ask("sbatch", *everything, "--output", str(tmp_path / "urgent.log"), "--wrap", "sleep 3")
    slurm.wait_until(lambda: preempted <= set(tasks("PENDING")), "both tasks in the queue again")
    before = len(jobs_work.noted(log))
    slurm.wait_until(lambda: not slurm.ask("squeue", "-h", "-p", "urgent"), "the end of the urgent job")
    assert len(jobs_work.noted(log)) == before
    for task in preempted:
        slurm.ask("scontrol", "update", f"jobid={task}", "StartTime=now")  # Slurm would wait for two minutes
    out, err = command.communicate(timeout=120)
    assert command.returncode == 0, err
    assert out.startswith(f"{num_items} items: 96 done, 12 rejected")
    worked = Counter(jobs_work.noted(log))
    assert set(worked) == {i.id for i in jobs_work.make_items(num_items)}
    assert worked.total() <= num_items + 4  # those in progress in the four workers
    assert logs(tmp_path).count("Starting with JobEnvironment") == 4


def test_jobs_that_all_die_are_noticed(
    cluster: Path, tmp_path: Path, jobs_work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairseq_ext.jobs.slurm._POLL_S", 0.5)
    execution = Execution(executor="slurm", shards=2, progress=False, timeout_min=5)
    with pytest.raises(WorkerError, match=r"all jobs have ended, but .* 6 items are unfinished") as caught:
        run(tmp_path / "run", jobs_work.make_items(6), jobs_work.make_none, settings={}, execution=execution)
    assert str(tmp_path / "run" / "slurm") in str(caught.value)
    assert "no such model" in str(caught.value)


def test_what_slurm_refuses_is_said(cluster: Path, tmp_path: Path, jobs_work: ModuleType) -> None:
    execution = Execution(executor="slurm", shards=2, progress=False, partition="none")
    with pytest.raises(WorkerError, match="invalid partition"):
        run(tmp_path / "run", jobs_work.make_items(2), jobs_work.make_none, settings={}, execution=execution)


def test_work_of_the_script_itself_is_refused(tmp_path: Path, jobs_work: ModuleType) -> None:
    def make() -> None:
        raise AssertionError

    make.__module__, make.__qualname__ = "__main__", "make"
    sys.modules["__main__"].make = make  # type: ignore[attr-defined]
    try:
        with pytest.raises(ValueError, match="from the script itself"):
            run(tmp_path / "run", [], make, settings={}, execution=Execution(executor="slurm"))  # type: ignore[arg-type]
    finally:
        del sys.modules["__main__"].make  # type: ignore[attr-defined]
