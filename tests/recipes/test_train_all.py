"""tools/train_all.py skips what is finished, stops at a failure and shows it, and ends with the run that asked."""

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from preloaded import Preloaded

from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest

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
    (run / "manifests" / "published").mkdir(parents=True, exist_ok=True)
    recipe.mkdir(exist_ok=True)
    (recipe / "conf").unlink(missing_ok=True)
    (recipe / "conf").symlink_to(CONF)
    entries = [{"system": systems, "config": "linear", "partitions": "published"}]
    (recipe / "plan.yaml").write_text(yaml.safe_dump({"trainings": {"train": entries}}), encoding="utf-8")
    options = ["--smoke", "--user-dir", REPOSITORY / "fairseq_ext", "--pid", str(pid or os.getpid())]
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


@pytest.mark.training
def test_trains_in_a_folder_of_any_name_and_outlives_a_damaged_checkpoint(
    train_all: TrainAll, tmp_path: Path
) -> None:
    run = tmp_path / '-it\'s "a" #b, c$d;e={f} [g]&h|català 日本 %s \\ null'
    draw = np.random.default_rng(1)
    rows = []
    for name in ("0_a", "1_a", "0_b", "1_b"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * draw.normal(size=4000), 8000)
        rows.append(Utterance(name, f"{name}.wav", 4000))
    for split in ("train", "valid"):
        folder = run / "manifests" / "published"
        write_manifest(folder, split, rows, root=tmp_path, labels={"digit": lambda row: row.id[0]})
    write_dictionary(run / "manifests" / "published" / "dict.digit.txt", {"0": 2, "1": 2})
    found = train_all(run, ["linear"])
    assert found.returncode == 0, found.stderr

    folder = run / "train" / "published" / "linear" / "seed1"
    last = folder / "checkpoint_last.pt"
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    (folder / "done").unlink()
    found = train_all(run, ["linear"])
    assert found.returncode == 0, found.stderr
    assert (
        f"{last}: it is cut off or no checkpoint; training continues from checkpoint_best.pt" in found.stderr
    )
    assert last.stat().st_size == len(whole)

    for path in folder.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:1000])
    (folder / "done").unlink()
    found = train_all(run, ["linear"])
    assert found.returncode == 1
    assert (
        f"{last}: it is cut off or no checkpoint, and no other checkpoint in its folder is sound"
        in found.stderr
    )
    assert "weights_only" not in found.stderr
