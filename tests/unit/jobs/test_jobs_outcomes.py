"""Runs in this process and in workers: every item gets one outcome, whatever its result."""

import errno
import functools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fairseq_ext.jobs import Execution, Item, Rejected, WorkerError, one_by_one, outcomes, run, watch
from fairseq_ext.jobs.plan import open_plan

HERE = Execution(workers=0, progress=False)
SPAWNED = Execution(workers=2, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


def work_of(tmp_path: Path) -> Path:
    return open_plan(tmp_path / "run").work


@pytest.mark.parametrize("execution", [HERE, SPAWNED], ids=["here", "spawned"])
def test_every_item_has_its_outcome_in_order(
    tmp_path: Path, jobs_work: ModuleType, execution: Execution
) -> None:
    items, log = jobs_work.make_items(30), tmp_path / "log"
    make = functools.partial(jobs_work.make_squares, log)
    summary = run(tmp_path / "run", iter(items), make, settings=SETTINGS, execution=execution)
    found = list(outcomes(tmp_path / "run"))
    assert [o.id for o in found] == [i.id for i in items]
    assert [o.state for o in found] == [jobs_work.expected_state(i) for i in items]
    assert found[7].result == {"square": 49, "texts": ["à", None], "span_s": [7, 7.5]}
    assert (found[3].reason, found[3].detail, found[3].result) == ("no_face", "of 3 frames", {"rate": 0.25})
    assert found[4].reason == "KeyError"
    assert found[4].detail.startswith("'number 4' (")
    assert sorted(jobs_work.noted(log)) == [i.id for i in items]
    assert summary.complete
    assert summary.states == {"done": 24, "rejected": 3, "failed": 3, "quarantined": 0}
    assert summary.reasons == {"rejected": {"no_face": 2, "too_short": 1}, "failed": {"KeyError": 3}}
    assert str(summary) == "30 items: 24 done, 3 rejected (no_face 2, too_short 1), 3 failed (KeyError 3)"


def test_the_lists_of_what_happened(tmp_path: Path, jobs_work: ModuleType) -> None:
    make = functools.partial(jobs_work.make_squares, tmp_path / "log")
    summary = run(tmp_path / "run", jobs_work.make_items(10), make, settings=SETTINGS, execution=HERE)
    written = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert written == {
        "num_items": 10,
        "states": dict(summary.states),
        "reasons": {"rejected": {"no_face": 1}, "failed": {"KeyError": 1}},
        "num_missing": 0,
    }
    rows = (tmp_path / "run" / "problems.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id\tstate\treason\tdetail"
    assert rows[1] == "fr/talk0_é/00003\trejected\tno_face\tof 3 frames"
    assert [len(row.split("\t")) for row in rows] == [4, 4, 4]
    assert list((work_of(tmp_path) / "leases").iterdir()) == []
    assert list((work_of(tmp_path) / "parts").iterdir()) == []


def test_a_second_call_does_nothing_again(tmp_path: Path, jobs_work: ModuleType) -> None:
    log = tmp_path / "log"
    make = functools.partial(jobs_work.make_squares, log)
    first = run(tmp_path / "run", jobs_work.make_items(20), make, settings=SETTINGS, execution=HERE)
    times = {p: p.stat().st_mtime_ns for p in (work_of(tmp_path) / "done").iterdir()}
    second = run(tmp_path / "run", jobs_work.make_items(20), make, settings=SETTINGS, execution=SPAWNED)
    assert second == first
    assert len(jobs_work.noted(log)) == 20
    assert {p: p.stat().st_mtime_ns for p in (work_of(tmp_path) / "done").iterdir()} == times


def test_no_items(tmp_path: Path, jobs_work: ModuleType) -> None:
    summary = run(tmp_path / "run", [], jobs_work.make_none, settings={}, execution=SPAWNED)
    assert str(summary) == "0 items: nothing to do"
    assert list(outcomes(tmp_path / "run")) == []


def test_failed_items_are_retried_and_others_are_not(tmp_path: Path) -> None:
    tried: list[str] = []
    fixed = False

    def work(item: Item) -> dict[str, Any]:
        tried.append(item.id)
        if item.id == "reject":
            raise Rejected("bad")
        if item.id.startswith("fail") and not fixed:
            raise OSError("the server is away")
        return {"tries": len(tried)}

    items = [Item(name) for name in ["a", "fail/1", "reject", "b", "fail/2"]]
    settings: dict[str, Any] = {}
    call = functools.partial(run, tmp_path / "run", items, lambda: one_by_one(work), settings=settings)
    assert call(execution=HERE).states["failed"] == 2
    before = {o.id: o for o in outcomes(tmp_path / "run")}
    tried.clear()
    assert call(execution=HERE).states["failed"] == 2
    assert tried == []
    fixed = True
    summary = call(execution=replace(HERE, retry_failed=True))
    assert sorted(tried) == ["fail/1", "fail/2"]
    assert summary.states == {"done": 4, "rejected": 1, "failed": 0, "quarantined": 0}
    after = {o.id: o for o in outcomes(tmp_path / "run")}
    assert list(after) == [item.id for item in items]
    assert all(after[name] == before[name] for name in ["a", "b", "reject"])


@pytest.mark.parametrize(
    ("num_items", "shards", "batch_size"), [(23, 4, 1), (100, 3, 8), (3, 5, 2), (1500, 2, 4)]
)
def test_shards_share_all_items(tmp_path: Path, num_items: int, shards: int, batch_size: int) -> None:
    items = [Item(f"i{i}") for i in range(num_items)]
    worked: list[str] = []

    def work(item: Item) -> dict[str, Any]:
        worked.append(item.id)
        return {}

    for shard_id in range(shards):
        before = len(worked)
        execution = replace(HERE, shards=shards, shard_id=shard_id)
        settings: dict[str, Any] = {}
        summary = run(
            tmp_path / "run",
            items,
            lambda: one_by_one(work),
            settings=settings,
            execution=execution,
            batch_size=batch_size,
        )
        assert summary.num_missing == num_items - len(worked)
        if shard_id < shards - 1 and summary.num_missing:
            with pytest.raises(
                ValueError, match=r"unfinished, the first at 'i.*run again, every shard of it"
            ):
                outcomes(tmp_path / "run")
            assert len(worked) - before < num_items
    assert summary.complete
    assert Counter(worked) == Counter(i.id for i in items)
    assert [o.id for o in outcomes(tmp_path / "run")] == [i.id for i in items]
    assert watch(tmp_path / "run", shown=False) == summary


def test_a_result_that_json_cannot_hold_fails_its_item_alone(tmp_path: Path) -> None:
    values: dict[str, Any] = {"set": {1}, "fine": 1, "number": 1j, "odd": "\udcff", "nan": float("nan")}
    run(
        tmp_path / "run",
        [Item(name) for name in values],
        lambda: one_by_one(lambda item: {"value": values[item.id]}),
        settings={},
        execution=HERE,
    )
    found = {o.id: o for o in outcomes(tmp_path / "run")}
    assert {name: o.state for name, o in found.items()} == {
        "set": "failed",
        "fine": "done",
        "number": "failed",
        "odd": "done",
        "nan": "done",
    }
    assert "the result cannot be written as JSON" in found["set"].detail
    assert found["odd"].result == {"value": "\udcff"}


def test_a_full_disk_ends_the_run_and_fails_no_item(tmp_path: Path) -> None:
    full = True

    def work(item: Item) -> dict[str, Any]:
        if full and item.id == "i3":
            try:
                raise OSError(errno.ENOSPC, "No space left on device", "clip.mp4")
            except OSError as error:
                raise RuntimeError("could not write") from error
        return {}

    items = [Item(f"i{i}") for i in range(5)]
    settings: dict[str, Any] = {}
    call = functools.partial(
        run, tmp_path / "run", items, lambda: one_by_one(work), settings=settings, execution=HERE
    )
    with pytest.raises(WorkerError, match=r"clip\.mp4: the disk is full; free some space and run again"):
        call()
    full = False
    assert call().states["done"] == 5
