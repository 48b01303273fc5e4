"""recipes/common.sh: the processes of a run end with its run.sh, however that ends, and a lock names who holds it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMON = Path(__file__).resolve().parents[2] / "recipes" / "common.sh"
# A stage with a child that does not end when it is asked to, as a worker inside a long call of a library.
RUN_SH = f"""#!/usr/bin/env bash
recipe=nap
stages=(sleep)
source "$(dirname "${{BASH_SOURCE[0]}}")/../common.sh"
[ -z "${{LOCK_WAIT_S:-}}" ] || lock_wait_s=$LOCK_WAIT_S
stage_sleep() {{
  {sys.executable} -c 'import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("child", "w").write(str(os.getpid()))
time.sleep(120)'
}}
run_recipe "$@"
"""


@pytest.fixture
def run_sh(tmp_path: Path) -> Path:
    """Return the run.sh of a recipe whose only stage sleeps."""
    path = tmp_path / "recipes" / "nap" / "run.sh"
    path.parent.mkdir(parents=True)
    shutil.copy(COMMON, tmp_path / "recipes")
    path.write_text(RUN_SH, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def run(run_sh: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a run and wait for the child of its stage."""
    process = start(run_sh, tmp_path)
    deadline_s = time.monotonic() + 60
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    children = [child_of(tmp_path)]
    yield process
    process.kill()
    process.wait()
    for pid in filter(is_alive, children):
        os.kill(pid, signal.SIGKILL)


def take_signals() -> None:
    """Take the signals that nohup, and a shell that starts tests in the background, ignore: bash cannot trap those."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(run_sh: Path, folder: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(run_sh), "--out", str(folder / "out")],
        cwd=folder,
        env={**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=(folder / "log").open("a"),
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=take_signals,
    )


def child_of(folder: Path) -> int:
    return int((folder / "child").read_text())


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)  # fmt: skip
def test_children_end_with_the_run(
    run: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals, status: int
) -> None:
    child = child_of(tmp_path)
    assert is_alive(child)
    began_s = time.monotonic()
    run.send_signal(number)
    assert run.wait(30) == status
    while is_alive(child) and time.monotonic() - began_s < 20:
        time.sleep(0.02)
    # 0.9 s on an idle machine
    assert time.monotonic() - began_s < 10
    # the lock is free
    assert (
        subprocess.run(["flock", "-n", str(tmp_path / "out" / ".lock"), "true"], check=False).returncode == 0
    )


def test_a_lock_names_its_holders(run: "subprocess.Popen[str]", run_sh: Path, tmp_path: Path) -> None:
    second = start(run_sh, tmp_path, LOCK_WAIT_S="1")
    assert second.wait(60) == 1
    last = (tmp_path / "log").read_text(encoding="utf-8").splitlines()[-1]
    assert last.startswith(f"recipes/nap/run.sh: {tmp_path / 'out'} is in use by process ")
    holders = {int(pid) for pid in re.findall(r"process (\d+) \(", last)}
    assert {run.pid, child_of(tmp_path)} <= holders
    assert second.pid not in holders
    assert last.endswith("; stop them with kill, or choose another --out")
    assert run.poll() is None
