"""Work in all its forms: batches too large or with a bad item, a broken contract, a model that cannot be loaded."""

import functools
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_ext.jobs import Execution, WorkerError, one_by_one, outcomes, run

HERE = Execution(workers=0, progress=False)
SPAWNED = Execution(workers=2, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


def test_too_large_a_batch_is_halved_and_a_bad_one_taken_apart(tmp_path: Path, jobs_work: ModuleType) -> None:
    log = tmp_path / "log"
    make = functools.partial(jobs_work.make_batches, log, 4)
    summary = run(
        tmp_path / "run", jobs_work.make_items(32), make, settings=SETTINGS, execution=HERE, batch_size=16
    )
    assert summary.states == {"done": 31, "rejected": 0, "failed": 1, "quarantined": 0}
    found = list(outcomes(tmp_path / "run"))
    assert found[5].state == "failed"
    assert found[5].reason == "ValueError"
    assert [o.result["batch"] for o in found[:4]] == [4] * 4
    assert [found[i].result["batch"] for i in [4, 6, 7]] == [1] * 3
    assert [o.result["batch"] for o in found[8:]] == [4] * 24


def test_too_little_memory_for_a_single_item_is_its_failure(tmp_path: Path, jobs_work: ModuleType) -> None:
    make = functools.partial(jobs_work.make_batches, tmp_path / "log", 0)
    summary = run(
        tmp_path / "run", jobs_work.make_items(5), make, settings=SETTINGS, execution=HERE, batch_size=4
    )
    assert summary.reasons == {"failed": {"RuntimeError": 5}}


def test_results_before_an_exception_of_the_batch_stay(tmp_path: Path, jobs_work: ModuleType) -> None:
    log = tmp_path / "log"
    make = functools.partial(jobs_work.make_streamed, log)
    summary = run(
        tmp_path / "run", jobs_work.make_items(5), make, settings=SETTINGS, execution=HERE, batch_size=5
    )
    assert summary.reasons == {"rejected": {"second": 1}}
    assert summary.states["done"] == 4
    assert Counter(name[-1] for name in jobs_work.noted(log)) == {"0": 1, "1": 1, "2": 2, "3": 1, "4": 1}


@pytest.mark.parametrize("kind", ["fewer", "streamed fewer", "streamed more", "nothing"])
def test_work_that_breaks_its_contract_ends_the_run(tmp_path: Path, jobs_work: ModuleType, kind: str) -> None:
    make = functools.partial(jobs_work.make_wrong, kind)
    for execution in (HERE, SPAWNED):
        with pytest.raises(
            WorkerError, match=r"work: expected .*, found .*; fix the work function and run again"
        ):
            run(
                tmp_path / "run",
                jobs_work.make_items(4),
                make,
                settings={},
                execution=execution,
                batch_size=4,
            )


def test_work_that_cannot_be_made(tmp_path: Path, jobs_work: ModuleType) -> None:
    with pytest.raises(WorkerError, match=r"^no such model$"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_none, settings={}, execution=SPAWNED)
    with pytest.raises(WorkerError, match=r"(?s)run: a worker stopped: Traceback .*TypeError: make_wrong"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_wrong, settings={}, execution=SPAWNED)
    with pytest.raises(WorkerError, match="3 workers died before their first item, with status 11"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_death, settings={}, execution=SPAWNED)


def test_work_that_other_processes_cannot_import(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be pickled .*; pass a function of a module"):
        run(tmp_path / "run", [], lambda: one_by_one(lambda item: {}), settings={}, execution=SPAWNED)
    assert not (tmp_path / "run").exists()


def test_workers_find_their_number_and_their_share_of_the_cores(
    tmp_path: Path, jobs_work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    items = jobs_work.make_items(12)
    run(tmp_path / "run", items, jobs_work.make_environment, settings={}, execution=SPAWNED)
    found = [o.result for o in outcomes(tmp_path / "run")]
    assert {r["JOBS_WORKER"] for r in found} <= {"0", "1"}
    assert {r["OMP_NUM_THREADS"] for r in found} == {"3"}
