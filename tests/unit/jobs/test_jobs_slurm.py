"""A Slurm that does not answer, simulated by shell scripts."""

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_ext.jobs import Execution, WorkerError, run, slurm

HERE = Execution(workers=0, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the commands of Slurm by shell scripts, and shorten the time limits."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(slurm, "_POLL_S", 0.05)
    monkeypatch.setattr(slurm, "_ANSWER_S", 0.5)

    def write(**scripts: str) -> None:
        for name, lines in scripts.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{lines}\n")
            (tmp_path / "bin" / name).chmod(0o755)

    return write


ON_SLURM = Execution(executor="slurm", shards=2, progress=False)
AWAY = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def test_a_slurm_that_does_not_answer_is_reported(
    tmp_path: Path, jobs_work: ModuleType, fake_slurm: Callable[..., None]
) -> None:
    def call() -> None:
        run(tmp_path / "run", jobs_work.make_items(2), jobs_work.make_none, settings={}, execution=ON_SLURM)

    with pytest.raises(WorkerError, match="slurm: the command squeue is missing; run this on a machine with"):
        call()
    fake_slurm(squeue=AWAY)
    with pytest.raises(
        WorkerError, match=r"^squeue failed: slurm_load_jobs error: Unable .*; check with scontrol ping.*$"
    ):
        call()
    fake_slurm(squeue="exec /bin/sleep 60")
    with pytest.raises(
        WorkerError, match=r"^squeue failed: no answer within 0.5 s; check with scontrol ping.*$"
    ):
        call()


def test_a_slurm_that_goes_away_is_waited_for(
    tmp_path: Path,
    jobs_work: ModuleType,
    fake_slurm: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = tmp_path / "asked"
    answer = f"[ -e {asked} ] || {{ echo 7_0; echo > {asked}; exit; }}"  # once; then the controller is gone
    fake_slurm(squeue=f"{answer}; echo >> {asked}; {AWAY}", scancel="exec /bin/sleep 60")

    def work() -> None:
        while not asked.exists() or asked.stat().st_size < 4:
            time.sleep(0.05)
        run(tmp_path / "run", items, make, settings=SETTINGS, execution=HERE)

    items, make = jobs_work.make_items(5), functools.partial(jobs_work.make_squares, tmp_path / "log")
    job = threading.Thread(target=work)
    job.start()
    summary = run(tmp_path / "run", items, make, settings=SETTINGS, execution=ON_SLURM)
    job.join()
    assert summary.complete
    assert [record.getMessage().count("Unable to contact") for record in caplog.records] == [1]
