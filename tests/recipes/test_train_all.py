"""tools/train_all.py skips what is finished, stops at a failure and shows it, and ends with the run that asked."""

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from preloaded import Preloaded

REPOSITORY = Path(__file__).parents[2]
TrainAll = Callable[..., "subprocess.CompletedProcess[str]"]
CONF = REPOSITORY / "recipes" / "spoken_digits" / "conf"


@pytest.fixture
def train_all(preloaded: Preloaded) -> TrainAll:
    """Train the systems given, one at a time, with the configuration `linear`."""
    return partial(_train_all, preloaded)


def _train_all(
    preloaded: Preloaded, run: Path, systems: list[str], pid: int | None = None
) -> "subprocess.CompletedProcess[str]":
    recipe = run / "recipe"
    (run / "manifests" / "published").mkdir(parents=True)
    recipe.mkdir()
    (recipe / "conf").symlink_to(CONF)
    entries = [{"system": systems, "config": "linear", "partitions": "published"}]
    (recipe / "plan.yaml").write_text(yaml.safe_dump({"trainings": {"train": entries}}), encoding="utf-8")
    options = ["--user-dir", REPOSITORY / "fairseq_ext", "--pid", str(pid or os.getpid())]
    return preloaded.run([REPOSITORY / "tools" / "train_all.py", recipe, run, "train", *options])


def test_finished_trainings_are_skipped(train_all: TrainAll, tmp_path: Path) -> None:
    done = tmp_path / "train" / "published" / "linear" / "seed1" / "done"
    done.parent.mkdir(parents=True)
    done.write_text("7\n")
    assert train_all(tmp_path, ["linear"]).returncode == 0
    assert done.read_text() == "7\n"


def test_a_failure_is_shown_and_nothing_follows(train_all: TrainAll, tmp_path: Path) -> None:
    found = train_all(tmp_path, ["first", "second"])
    assert found.returncode == 1
    log = tmp_path / "train" / "published" / "first" / "seed1" / "stdout.log"
    assert f"training published/first seed 1 failed (exit 1); the whole log: {log}" in found.stderr
    # the end of the trainer's log: there are no manifests
    assert str(tmp_path / "manifests" / "published") in found.stderr
    assert not (log.parent / "done").exists()
    assert not (tmp_path / "train" / "published" / "second").exists()


def test_ends_when_the_run_is_gone(train_all: TrainAll, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    began = time.monotonic()
    assert train_all(tmp_path, ["linear"], gone.pid).returncode == 1
    assert time.monotonic() - began < 60
    assert not (tmp_path / "train" / "published" / "linear" / "seed1" / "done").exists()
