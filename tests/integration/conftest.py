"""What the tests of real trainings share: a killed training, two ranks, the distance of two states."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from preloaded import Preloaded

# Settings that let fairseq join two ranks of torchrun on a CPU.
JOINED = (
    "distributed_training.distributed_world_size=2",
    "distributed_training.distributed_init_method=env://",
    "distributed_training.distributed_no_spawn=true",
    "distributed_training.distributed_backend=gloo",
    "distributed_training.ddp_backend=legacy_ddp",
)


def _kill_after(preloaded: Preloaded, command: list[str], folder: Path, update: int) -> None:
    """Start a training and SIGKILL it once its log shows an update beyond the saved ones."""
    log, output = folder / "train.log", folder / "killed.log"
    process = preloaded.start(command, output, output, cwd=folder)
    deadline = time.monotonic() + 200
    while f'"num_updates": "{update}"' not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, output.read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def _differences(first: Any, second: Any) -> dict[str, float]:
    """Compare two state dicts: entries that are not bitwise equal, with the largest distance."""
    import torch

    assert first.keys() == second.keys()
    return {
        name: float((first[name].double() - second[name].double()).abs().max())
        for name in first
        if not torch.equal(first[name], second[name])
    }


def _free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _torchrun(preloaded: Preloaded, command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a training as two ranks of torchrun, without importing fairseq in each.

    What torchrun starts only writes its environment down and stays, so that torchrun's store does too; the ranks are
    forks in these environments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = "env -0 > rank$RANK.part; mv rank$RANK.part rank$RANK.env; until [ -e done ]; do sleep 0.1; done"
    launcher = [str(Path(command[0]).with_name("torchrun")), "--nproc-per-node", "2"]
    launcher += ["--master-port", str(_free_port()), "--no-python", "bash", "-c", script]
    process = subprocess.Popen(launcher, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        files = [folder / f"rank{rank}.env" for rank in range(2)]
        deadline = time.monotonic() + 200
        while not all(file.exists() for file in files):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        variables = [file.read_text(encoding="utf-8").split("\0")[:-1] for file in files]
        found = [dict(variable.split("=", 1) for variable in each) for each in variables]
        return _ranks(preloaded, [*command, *JOINED], folder, found)
    finally:
        (folder / "done").touch()
        assert process.wait(timeout=200) == 0


def _two_ranks(
    preloaded: Preloaded, command: list[str], folder: Path, *, joined: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run a training as two ranks in an environment like torchrun's; unless `joined`, fairseq does not join them."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    own = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    environments = [os.environ | shared | each for each in own]
    return _ranks(preloaded, [*command, *(JOINED if joined else ())], folder, environments)


def _ranks(
    preloaded: Preloaded, command: list[str], folder: Path, environments: Sequence[Mapping[str, str]]
) -> "subprocess.CompletedProcess[str]":
    """Run a rank in each environment; the exit status is 0 when all have that."""
    ranks, logs = [], [folder / f"rank{rank}.log" for rank in range(len(environments))]
    for rank, (log, env) in enumerate(zip(logs, environments, strict=True)):
        options = [*command, f"distributed_training.distributed_rank={rank}"]
        ranks.append(preloaded.start(options, log, log, cwd=folder, env=env))
    failed = [status for status in [rank.wait() for rank in ranks] if status]
    said = "".join(log.read_text(encoding="utf-8") for log in logs)
    return subprocess.CompletedProcess(command, failed[0] if failed else 0, said)


@pytest.fixture
def continued(
    preloaded: Preloaded,
    train: Callable[..., Any],
    training_command: Callable[[Path, Sequence[str]], list[str]],
    tmp_path: Path,
) -> Callable[[Sequence[str], int, Any], Any]:
    """SIGKILL a training with some options after an update, and continue it to its end.

    Weights, averages and losses are those of the training that was not interrupted. Returns the continued training.
    """

    def run(options: Sequence[str], update: int, uninterrupted: Any) -> Any:
        _kill_after(preloaded, training_command(tmp_path, options), tmp_path, update)
        assert (tmp_path / "checkpoint_last.pt").is_file()
        resumed = train(tmp_path, *options)
        assert "Loaded checkpoint" in resumed.output
        expected, found = uninterrupted.checkpoint(), resumed.checkpoint()
        assert found["optimizer_history"][-1] == expected["optimizer_history"][-1]
        assert _differences(expected["model"], found["model"]) == {}
        assert _differences(*(state["extra_state"].get("ema", {}) for state in (expected, found))) == {}
        late = {number: loss for number, loss in uninterrupted.updates.items() if number > update}
        assert late
        assert {number: resumed.updates[number] for number in late} == late
        return resumed

    return run


@pytest.fixture(scope="session")
def differences() -> Callable[[Any, Any], dict[str, float]]:
    """Compare two state dicts: entries that are not bitwise equal, with the largest distance."""
    return _differences


@pytest.fixture(scope="session")
def torchrun(preloaded: Preloaded) -> Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]:
    """Run a training as two ranks of torchrun on this machine."""
    return partial(_torchrun, preloaded)


@pytest.fixture(scope="session")
def two_ranks(preloaded: Preloaded) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a training as two ranks in the environment that torchrun gives them."""
    return partial(_two_ranks, preloaded)
