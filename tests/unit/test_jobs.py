"""Runs in this process and in others: every item gets one outcome, changes are refused, gaps are noticed."""

import argparse
import errno
import functools
import json
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fairseq_ext.jobs import (
    Execution,
    Item,
    Rejected,
    WorkerError,
    add_arguments,
    one_by_one,
    outcomes,
    run,
    slurm,
    watch,
)
from fairseq_ext.jobs.plan import open_plan

HERE = Execution(workers=0, progress=False)
SPAWNED = Execution(workers=2, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


def work_of(tmp_path: Path) -> Path:
    return open_plan(tmp_path / "run").work


@pytest.fixture
def jobs_work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the work, importable here and in worker processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import jobs_work

    return jobs_work


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


def test_failed_items_are_tried_again_and_others_are_not(tmp_path: Path) -> None:
    tried: list[str] = []
    mended = False

    def work(item: Item) -> dict[str, Any]:
        tried.append(item.id)
        if item.id == "reject":
            raise Rejected("bad")
        if item.id.startswith("fail") and not mended:
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
    mended = True
    summary = call(execution=replace(HERE, retry_failed=True))
    assert sorted(tried) == ["fail/1", "fail/2"]
    assert summary.states == {"done": 4, "rejected": 1, "failed": 0, "quarantined": 0}
    after = {o.id: o for o in outcomes(tmp_path / "run")}
    assert list(after) == [item.id for item in items]
    assert all(after[name] == before[name] for name in ["a", "b", "reject"])


def plan_of(tmp_path: Path, items: list[Item], settings: dict[str, Any] | None = None) -> None:
    run(
        tmp_path / "run",
        items,
        lambda: one_by_one(lambda item: {}),
        settings=SETTINGS if settings is None else settings,
        execution=HERE,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda items: items[:-1], "4 items expected, found the end after 3"),
        (lambda items: [*items, Item("z")], "4 items expected, found one more, 'z'"),
        (lambda items: items[::-1], "'id0' expected as item 1, found 'id3'"),
        (
            lambda items: [Item("id0", {"at": {"x": 2, "y": 0}}), *items[1:]],
            r"'id0' as planned .* at\.x = 0, found 2",
        ),
        (lambda items: [Item("id0", {}), *items[1:]], r"at\.x = 0, found nothing"),
    ],
)
def test_other_items_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    items = [Item(f"id{i}", {"at": {"x": i, "y": 0}}) for i in range(4)]
    plan_of(tmp_path, items)
    with pytest.raises(ValueError, match=message):
        plan_of(tmp_path, change(items))
    reordered = [Item(item.id, {"at": {"y": 0, "x": item.data["at"]["x"]}}) for item in items]
    plan_of(tmp_path, reordered)


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    plan_of(tmp_path, [Item("a")])
    with pytest.raises(ValueError, match=r"model\.beam = 5, found 1; pass what the first run was given"):
        plan_of(tmp_path, [Item("a")], {"model": {"name": "tiny", "beam": 1}, "rate_hz": 16000})
    with pytest.raises(ValueError, match=r"extra = nothing, found None"):
        plan_of(tmp_path, [Item("a")], {"model": {"name": "tiny", "beam": 5}, "extra": None})
    plan_of(tmp_path, [Item("a")], {"rate_hz": 16000, "model": {"beam": 5, "name": "tiny"}})


@pytest.mark.parametrize("name", ["", " a", "a\tb", "a\nb", "\udcff"])
def test_ids_that_no_table_can_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="an id of printable characters expected"):
        plan_of(tmp_path, [Item("ok"), Item(name)])
    assert list((tmp_path / "run").iterdir()) == []


def test_items_and_settings_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"item 'a': data as JSON can hold it expected, .*Path"):
        plan_of(tmp_path, [Item("a", {"path": tmp_path})])
    with pytest.raises(ValueError, match=r"settings as JSON can hold them expected, .*Path"):
        plan_of(tmp_path, [Item("a")], {"path": tmp_path})
    plan_of(tmp_path, [Item("a", {"span": (1, 2)})], {"spans": (1, 2)})
    plan_of(tmp_path, [Item("a", {"span": [1, 2]})], {"spans": [1, 2]})


def test_two_items_of_one_id(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="item 'a': one item of this id expected, found two"):
        plan_of(tmp_path, [Item("a"), Item("b"), Item("a")])


def test_a_plan_that_is_not_finished_is_none(tmp_path: Path) -> None:
    def items() -> Iterator[Item]:
        yield Item("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", items(), lambda: one_by_one(lambda item: {}), settings={}, execution=HERE)
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(ValueError, match="a plan expected, found none"):
        list(outcomes(tmp_path / "run"))
    with pytest.raises(ValueError, match="a plan expected, found none"):
        watch(tmp_path / "run")


def test_a_flipped_bit_in_the_plan_is_noticed(tmp_path: Path) -> None:
    plan_of(tmp_path, [Item("a"), Item("b")])
    path = work_of(tmp_path) / "items.jsonl"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 12] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"items\.jsonl:2: an item and its checksum expected"):
        list(outcomes(tmp_path / "run"))


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


def test_merging_refuses_what_is_damaged_or_gone(tmp_path: Path) -> None:
    items = [Item(f"i{i}") for i in range(4)]
    plan_of(tmp_path, items)
    path = work_of(tmp_path) / "done" / "0000002"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"i2", b"i3"))
    with pytest.raises(
        ValueError, match="0000002:2: a record and its checksum expected, found a damaged line"
    ):
        list(outcomes(tmp_path / "run"))
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    with pytest.raises(ValueError, match="0000002: 1 outcomes expected, found 0"):
        list(outcomes(tmp_path / "run"))
    path.write_bytes((path.parent / "0000003").read_bytes())
    with pytest.raises(ValueError, match="0000002: 'i2' expected, found 'i3'"):
        list(outcomes(tmp_path / "run"))
    path.unlink()
    with pytest.raises(
        ValueError, match=r"all 4 items expected, found chunks with 1 of them unfinished, .* 'i2'"
    ):
        list(outcomes(tmp_path / "run"))
    plan_of(tmp_path, items)
    assert path.read_bytes() == whole


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
        with pytest.raises(WorkerError, match=r"work: .* expected, found .*; mend the work and run again"):
            run(
                tmp_path / "run",
                jobs_work.make_items(4),
                make,
                settings={},
                execution=execution,
                batch_size=4,
            )


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
    assert "a result that JSON can hold expected" in found["set"].detail
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
    with pytest.raises(WorkerError, match=r"No space left on device.*; make room and run again"):
        call()
    full = False
    assert call().states["done"] == 5


def test_work_that_cannot_be_made(tmp_path: Path, jobs_work: ModuleType) -> None:
    with pytest.raises(WorkerError, match=r"^no such model$"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_none, settings={}, execution=SPAWNED)
    with pytest.raises(WorkerError, match=r"(?s)run: a worker gave up: Traceback .*TypeError: make_wrong"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_wrong, settings={}, execution=SPAWNED)
    with pytest.raises(WorkerError, match="found 3 that died with status 11"):
        run(tmp_path / "run", jobs_work.make_items(4), jobs_work.make_death, settings={}, execution=SPAWNED)


def test_work_that_other_processes_cannot_import(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a function of a module, or a partial of one, expected"):
        run(tmp_path / "run", [], lambda: one_by_one(lambda item: {}), settings={}, execution=SPAWNED)
    assert not (tmp_path / "run").exists()


def test_workers_know_their_number_and_their_part_of_the_cores(
    tmp_path: Path, jobs_work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    items = jobs_work.make_items(12)
    run(tmp_path / "run", items, jobs_work.make_surroundings, settings={}, execution=SPAWNED)
    found = [o.result for o in outcomes(tmp_path / "run")]
    assert {r["JOBS_WORKER"] for r in found} <= {"0", "1"}
    assert {r["OMP_NUM_THREADS"] for r in found} == {"3"}


@pytest.fixture
def slurm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts shell scripts in place of Slurm's commands, and shortens what they may take."""
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


def test_a_slurm_that_does_not_answer_is_said(
    tmp_path: Path, jobs_work: ModuleType, slurm_says: Callable[..., None]
) -> None:
    def call() -> None:
        run(tmp_path / "run", jobs_work.make_items(2), jobs_work.make_none, settings={}, execution=ON_SLURM)

    with pytest.raises(WorkerError, match="slurm: the command squeue expected, found none; run this where"):
        call()
    slurm_says(squeue=AWAY)
    with pytest.raises(
        WorkerError, match=r"^squeue: an answer .* found: slurm_load_jobs error: Unable .*; run again when.*$"
    ):
        call()
    slurm_says(squeue="exec /bin/sleep 60")
    with pytest.raises(WorkerError, match=r"^squeue: an answer .* found: none in 0.5 s; run again when.*$"):
        call()


def test_a_slurm_that_goes_away_is_waited_for(
    tmp_path: Path,
    jobs_work: ModuleType,
    slurm_says: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = tmp_path / "asked"
    answer = f"[ -e {asked} ] || {{ echo 7_0; echo > {asked}; exit; }}"  # once; then the controller is gone
    slurm_says(squeue=f"{answer}; echo >> {asked}; {AWAY}", scancel="exec /bin/sleep 60")

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


def test_rejections_and_executions_travel_between_processes() -> None:
    rejected = pickle.loads(pickle.dumps(Rejected("no_face", "none", {"rate": 0.0})))
    assert (rejected.reason, rejected.detail, rejected.result, str(rejected)) == (
        "no_face",
        "none",
        {"rate": 0.0},
        "no_face: none",
    )
    assert pickle.loads(pickle.dumps(HERE)) == HERE


def parse(*arguments: str) -> Execution:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Execution.from_args(parser.parse_args(arguments))


def test_the_command_line() -> None:
    assert parse() == Execution()
    assert parse("--workers", "4", "--shards", "8", "--shard-id", "7", "--retry-failed") == Execution(
        workers=4, shards=8, shard_id=7, retry_failed=True
    )
    slurm = [
        "--executor",
        "slurm",
        "--shards",
        "9",
        "--partition",
        "gpu",
        "--gpus",
        "1",
        "--timeout-min",
        "30",
    ]
    assert parse(*slurm, "--slurm", "account=me", "--slurm", "exclusive") == Execution(
        executor="slurm",
        shards=9,
        partition="gpu",
        gpus=1,
        timeout_min=30,
        slurm={"account": "me", "exclusive": True},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--shards 4", "0 to 3 expected with 4 shards, found none"),
        ("--shards 4 --shard-id 4", "0 to 3 expected, found 4; count from 0"),
        ("--shard-id -1", "0 to 0 expected, found -1"),
        ("--shards 0", "shards: at least 1 expected, found 0"),
        ("--workers -1", "workers: at least 0 expected, found -1"),
        ("--executor slurm --shards 2 --shard-id 1", "none expected with the executor slurm"),
    ],
)
def test_options_that_do_not_fit_together(arguments: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(*arguments.split())


def test_the_tool_looks_at_a_run(tmp_path: Path, repository: Path) -> None:
    def tool(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(repository / "tools" / "jobs.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    items = [Item(f"i{i}") for i in range(6)]
    execution = replace(HERE, shards=2, shard_id=0)
    settings: dict[str, Any] = {}
    call = functools.partial(
        run, tmp_path / "run", items, lambda: one_by_one(lambda item: {}), settings=settings
    )
    call(execution=execution)
    half = f"{tmp_path / 'run'}: 6 items: 3 done, 3 missing; "
    assert tool("status", str(tmp_path / "run")).stdout.startswith(half)
    assert tool("status", str(tmp_path)).stdout.startswith(half)  # found below the folder
    call(execution=HERE)
    watched = tool("watch", str(tmp_path / "run"))
    assert watched.stdout == f"{tmp_path / 'run'}: 6 items: 6 done\n"
    assert "6/6" in watched.stderr
    (tmp_path / "empty").mkdir()
    assert tool("status", str(tmp_path / "empty")).stderr.startswith("jobs.py: ")
