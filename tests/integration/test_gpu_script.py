"""tests/gpu: the prepared script runs to its end on a CPU, and one step's failure or lateness costs only that step."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "tests" / "gpu" / "run.sh"


class Chosen(NamedTuple):
    """Settings of a step of these tests."""

    device: str = "cpu"


class Found(dict[str, Any]):
    """What a step has told, as `Results.update` gets it."""

    def __call__(self, **values: Any) -> None:
        """Add to what is known."""
        self.update(values)


@pytest.fixture
def run_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that runs a function as a step, and returns its state and findings."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    run = __import__("run")
    monkeypatch.setattr(run, "asdict", lambda chosen: chosen._asdict())
    (tmp_path / "found").mkdir()

    def step(function: Any, seconds: float) -> tuple[str, Found]:
        module = SimpleNamespace(settings=lambda device, *, tiny, seconds: Chosen(device), run=function)
        found = Found()
        return run.Step("step", module, seconds, tmp_path).run("cpu", True, found), found

    return step


@pytest.mark.training
def test_runs_to_its_end_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "out"
    # every GPU hidden, should there be one: the toys are for a CPU
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", str(SCRIPT), "--tiny", "--device", "cpu", "--out", str(out), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((out / "results.json").read_text(encoding="utf-8"))
    steps = result["steps"]
    assert {name: step["state"] for name, step in steps.items()} == dict.fromkeys(
        ("ssl_step", "labels", "embeddings", "lip_reading", "pretraining"), "succeeded"
    )
    assert result["machine"]["device"] == "cpu"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", result["commit"])
    assert result["packages"]["fairseq-fixed"] == "0.12.3.1"
    for name in ("stock", "ours"):
        assert steps["ssl_step"][name]["share_of_matrix_rate"] > 0.0
        assert steps["ssl_step"][name]["flop_per_update"] > 1e6
    for engine in ("openai.pt", "hf"):
        assert steps["labels"]["systems"][f"beam 2, ours on {engine}, batch 2"]["speed_up"] > 0
    assert steps["embeddings"]["ways"]["ours"]["distance"] < 1e-4
    lips = steps["lip_reading"]
    assert 0 < lips["busy_share"] <= 1
    assert lips["front_end_speed_up"] > 0
    assert 1e9 / lips["hours_of_a_billion_frames"] / 3600 == pytest.approx(lips["frames_per_s"]["loaded"])
    assert steps["pretraining"]["pretraining"]["updates"] == 5
    systems = steps["pretraining"]["systems"]
    assert set(systems) == {"ctc_pretrained", "ctc_random"}
    assert all(set(system["wer"]) == {"seed1"} for system in systems.values())


def test_a_step_that_fails_keeps_what_it_had_found(run_step: Any) -> None:
    def fail(chosen: Chosen, work: Path, report: Any) -> None:
        report(first=1.5)
        raise ValueError("no such thing")

    state, found = run_step(fail, 30.0)
    assert (state, found["first"], found["error"]) == ("failed", 1.5, "ValueError: no such thing")
    assert found["config"] == {"device": "cpu"}
    assert "raise ValueError" in "\n".join(found["traceback"])


def test_a_step_that_is_late_ends_with_what_it_started(run_step: Any) -> None:
    def sleep(chosen: Chosen, work: Path, report: Any) -> None:
        sleeper = subprocess.Popen(["sleep", "60"])
        report(sleeper=sleeper.pid)
        sleeper.wait()

    began = time.monotonic()
    state, found = run_step(sleep, 1.0)
    assert state == "timed out"
    assert time.monotonic() - began < 20
    deadline = time.monotonic() + 10
    status = Path(f"/proc/{found['sleeper']}/stat")
    # an orphan that has ended may wait for its new parent to notice: Z
    while status.exists() and " Z " not in status.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert time.monotonic() < deadline


def test_a_step_that_is_killed_says_so(run_step: Any) -> None:
    state, found = run_step(lambda chosen, work, report: os.kill(os.getpid(), 9), 30.0)
    assert (state, found["error"]) == ("failed", "ended by signal 9")


def test_a_wheel_for_each_name_is_pinned() -> None:
    lines = (SCRIPT.parent / "wheels.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split()[0] for line in lines if line and not line.startswith("#")]
    pins = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    assert names == sorted(names)
    assert [name for name in names if not re.search(rf"^{name}==", pins, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("options", "said"), [(["--help"], "in order of worth"), (["--steps", "x"], "no step x")]
)
def test_options(options: list[str], said: str) -> None:
    done = subprocess.run(["bash", str(SCRIPT), *options], capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (0 if options == ["--help"] else 2, True)
