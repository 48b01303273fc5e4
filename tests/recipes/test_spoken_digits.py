"""Spoken digits from nothing to the report; a run that is killed while it trains."""

import fcntl
import json
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import small_whisper
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, finish, launch, results, wait

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "spoken_digits"
# What may differ in a run that was interrupted.
CIRCUMSTANCES = ("command", "train_s", "commit")


def test_digits_cover_every_partition_and_system(smoke: Path) -> None:
    found = {(system["partition"].split("/")[0], system["system"]) for system in results(smoke)["systems"]}
    best = json.loads((RECIPE / "report.json").read_text(encoding="utf-8"))["best"]
    systems = {"linear", "rnn", "lstm", "temporal_cnn", best}
    expected = {("published", name) for name in systems}
    expected |= {(partition, best) for partition in ("one_speaker", "loso", "leaky")}
    expected |= {(partition, "temporal_cnn") for partition in ("one_speaker", "labels")}
    for partition in ("published", "one_speaker", "labels"):
        expected |= {(partition, name) for name in ("simclr_probe", "untrained_probe", "simclr_finetune")}
        expected |= {(partition, name) for name in ("simclr_probe_centred", "untrained_probe_centred")}
    assert expected <= found


def figures(out: Path, partition: str) -> list[dict[str, Any]]:
    """Return the scores of supervised training on a partition, without what may differ between runs."""
    found = sorted((out / "scores" / partition).rglob("metrics.json"))
    scored = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    kept = [system for system in scored if "sim" not in system["system"] and "probe" not in system["system"]]
    return [{key: value for key, value in system.items() if key not in CIRCUMSTANCES} for system in kept]


def wait_until_free(out: Path) -> None:
    """Wait for the trainings of a run.sh that is gone, which hold its lock; they notice once fairseq is imported."""
    deadline_s = time.monotonic() + 300
    with (out / ".lock").open("a") as lock:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            assert time.monotonic() < deadline_s, "the trainings go on without their run.sh"
            time.sleep(0.1)


def kill_while_training(out: Path, *options: str) -> Iterator[str]:
    """Kill run.sh at some moment of the train stage, twice; yield whether it had finished."""
    moment = random.Random(8)
    for _ in range(2):
        process = launch(RECIPE, out, *options)
        log = out.parent / f"{out.name}.log"
        while "trainings, " not in (log.read_text(encoding="utf-8") if log.exists() else ""):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(moment.uniform(4, 25))
        yield "finished" if process.poll() is not None else "killed"
        process.send_signal(signal.SIGKILL)  # run.sh only: its trainings must notice by themselves
        process.wait()
        wait_until_free(out)


def test_killed_run_continues_to_the_same_figures(smoke: Path, tmp_path: Path) -> None:
    options = (*SMOKE, "--experiments", "supervised")
    assert "killed" in list(kill_while_training(tmp_path / "run", *options))
    finish(RECIPE, tmp_path / "run", *options, "--stop-stage", "evaluate")
    killed = figures(tmp_path / "run", "published")
    assert len(killed) == 5
    assert killed == figures(smoke, "published")


def test_unknown_experiment_is_refused(tmp_path: Path) -> None:
    process = launch(RECIPE, tmp_path / "run", *SMOKE, "--experiments", "supervised,everything")
    assert wait(process, 60) != 0
    assert "--experiments everything: no such experiment" in (tmp_path / "run.log").read_text(
        encoding="utf-8"
    )
    assert not (tmp_path / "run").exists()


def test_frozen_whisper_is_probed_where_the_best_model_is_tested(smoke: Path, tmp_path: Path) -> None:
    folder = small_whisper.write(tmp_path / "whisper")
    shutil.copytree(smoke, tmp_path / "run", symlinks=True)
    finish(RECIPE, tmp_path / "run", *SMOKE, "--whisper", str(folder), "--stage", "evaluate")
    found = [s for s in results(tmp_path / "run")["systems"] if s["system"] == "whisper_probe"]
    assert {s["partition"].split("/")[0] for s in found} == {"published", "loso"}
    for system in found:
        tried = [name.rpartition(", ")[2] for name in system["probe"]["inner_accuracy_by_candidate"]]
        assert tried == ["silence 0 s"] * 3 + ["silence 1 s"] * 3
    process = launch(RECIPE, tmp_path / "none", *SMOKE, "--whisper", str(tmp_path))
    assert wait(process, 60) != 0
    assert f"--whisper {tmp_path}: no config.json" in (tmp_path / "none.log").read_text(encoding="utf-8")
