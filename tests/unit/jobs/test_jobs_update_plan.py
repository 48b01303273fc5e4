"""Items that are added, changed or removed: the others keep their outcome, even if the update is killed."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.jobs import Execution, Item, Rejected, Summary, WorkerError, one_by_one, outcomes, run
from fairseq_ext.jobs.finished_chunks import finished_chunks
from fairseq_ext.jobs.journal import StorageError
from fairseq_ext.jobs.leases import Leases
from fairseq_ext.jobs.plan import open_plan
from fairseq_ext.jobs.plan_writer import make_plan
from fairseq_ext.jobs.update_plan import update_plan

HERE = Execution(workers=0, progress=False)
UPDATE = replace(HERE, update=True)


class Log:
    """Work that records which items it gets."""

    def __init__(self, stop_at: str = "") -> None:
        self.worked: list[str] = []
        self.stop_at = stop_at

    def work(self, item: Item) -> dict[str, Any]:
        if item.id == self.stop_at:
            raise KeyboardInterrupt
        self.worked.append(item.id)
        if item.data.get("bad"):
            raise Rejected("bad")
        return {"value": item.data["value"]}


def make_items(*names: str, **values: int) -> list[Item]:
    return [Item(name, {"value": values.get(name, 0)}) for name in names]


def call(
    folder: Path, items: list[Item], log: Log, execution: Execution = HERE, batch_size: int = 1
) -> Summary:
    make: Callable[[], Any] = lambda: one_by_one(log.work)  # noqa: E731
    return run(folder, items, make, settings={"size": 3}, execution=execution, batch_size=batch_size)


def values_of(folder: Path) -> dict[str, int]:
    return {o.id: o.result["value"] for o in outcomes(folder)}


def test_what_has_not_changed_is_kept(tmp_path: Path) -> None:
    call(tmp_path, make_items("a", "b", "c", "d"), Log())
    old = open_plan(tmp_path)
    wanted = make_items("e", "d", "b", "a", b=5)
    with pytest.raises(ValueError, match=r"expected 'a' as item 1, found 'e'; pass --update"):
        call(tmp_path, wanted, Log())
    log = Log()
    summary = call(tmp_path, wanted, log, UPDATE)
    assert log.worked == ["e", "b"]
    assert summary.complete
    assert values_of(tmp_path) == {"e": 0, "d": 0, "b": 5, "a": 0}
    assert list(values_of(tmp_path)) == ["e", "d", "b", "a"]
    assert [path.name for path in old.work.iterdir()] == ["next.json"]
    again = Log()
    assert call(tmp_path, wanted, again) == summary == call(tmp_path, wanted, again, UPDATE)
    assert again.worked == []
    assert len(list(tmp_path.glob("work-*"))) == 2


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_many_items_in_another_order_and_chunks_of_another_size(tmp_path: Path, batch_size: int) -> None:
    names = [f"clip{i}" for i in range(700)]
    call(tmp_path, make_items(*names), Log(), batch_size=7)
    more = [f"clip{i}" for i in range(699, -200, -1)]
    log = Log()
    call(tmp_path, make_items(*more), log, UPDATE, batch_size)
    assert log.worked == [f"clip{i}" for i in range(-1, -200, -1)]
    assert list(values_of(tmp_path)) == more


def test_what_a_killed_run_had_done_is_kept(tmp_path: Path) -> None:
    names = [f"clip{i}" for i in range(600)]  # three to a chunk
    log = Log(stop_at="clip301")
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path, make_items(*names), log)
    assert log.worked == names[:301]
    rest = Log()
    call(tmp_path, make_items("new", *names), rest, UPDATE)
    assert rest.worked == ["new", *names[301:]]


def test_rejected_items_keep_their_rejection_until_they_are_retried(tmp_path: Path) -> None:
    items = [Item("a", {"value": 1}), Item("b", {"value": 1, "bad": True})]
    call(tmp_path, items, Log())
    log = Log()
    summary = call(tmp_path, [*items, Item("c", {"value": 1})], log, UPDATE)
    assert log.worked == ["c"]
    assert summary.states["rejected"] == 1
    retried = Log()
    call(tmp_path, [*items, Item("c", {"value": 1})], retried, replace(HERE, retry_rejected=True))
    assert retried.worked == ["b"]


def test_other_settings_are_refused_all_the_same(tmp_path: Path) -> None:
    call(tmp_path, make_items("a"), Log())
    with pytest.raises(ValueError, match="size = 3, found 4"):
        update_plan(tmp_path, make_items("a", "b"), {"size": 4}, 1, lease_s=60.0)
    assert values_of(tmp_path) == {"a": 0}


def test_a_plan_on_which_nothing_was_done_is_replaced(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"model": "smal"}

    def load() -> Any:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        run(tmp_path, make_items("a", "b"), load, settings=wrong, execution=HERE)
    log = Log()
    call(tmp_path, make_items("a", "c"), log)
    assert log.worked == ["a", "c"]
    with pytest.raises(ValueError, match="model = nothing, found 'smal'"):
        run(tmp_path, make_items("a", "c"), load, settings=wrong, execution=HERE)


def test_a_batch_of_nothing_is_refused(tmp_path: Path) -> None:
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"expected 1 or more, found {size}"):
            call(tmp_path, make_items("a"), Log(), batch_size=size)


def test_two_items_of_one_id_change_nothing(tmp_path: Path) -> None:
    call(tmp_path, make_items("a"), Log())
    with pytest.raises(ValueError, match="two items have this id"):
        call(tmp_path, make_items("b", "b"), Log(), UPDATE)
    assert values_of(tmp_path) == {"a": 0}
    assert len(list(tmp_path.glob("work-*"))) == 1


def test_nothing_changes_under_a_worker(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, make_items("a", "b"), {}, 1)
    lease = Leases(plan.work, 60.0).claim(1)
    assert lease is not None
    with pytest.raises(ValueError, match=r"cannot change while workers are busy \(1 are\)"):
        update_plan(tmp_path, make_items("a", "c"), {}, 1, lease_s=60.0)
    assert open_plan(tmp_path) == plan
    lease.release()
    assert update_plan(tmp_path, make_items("a", "c"), {}, 1, lease_s=60.0, shown=False) == open_plan(
        tmp_path
    )


def test_workers_on_the_old_plan_stop_with_an_error(tmp_path: Path) -> None:
    old = make_plan(tmp_path, make_items("a", "b"), {}, 1)
    update_plan(tmp_path, make_items("c"), {}, 1, lease_s=60.0, shown=False)
    with pytest.raises(StorageError, match="another command replaced it"):
        finished_chunks(old)

    def work(item: Item) -> dict[str, Any]:
        update_plan(
            tmp_path, make_items("d", item.id), {}, 1, lease_s=1e-9, shown=False
        )  # too late to stop it
        return {"value": 1}

    settings: dict[str, Any] = {}
    make = functools.partial(one_by_one, work)
    with pytest.raises(WorkerError, match=r"plan of this command is gone|No such file"):
        run(tmp_path, make_items("c"), make, settings=settings, execution=HERE)
    assert not list(open_plan(tmp_path).work.glob("done/*"))


_RENEW = """
import os, signal, sys
from pathlib import Path
from fairseq_ext.jobs import Item, update_plan
function = getattr(update_plan, sys.argv[2])
def killed(*args, **kwargs):
    if sys.argv[3] == "after":
        function(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(update_plan, sys.argv[2], killed)
items = [Item(f"i{i}", {"value": 0}) for i in range(90)]
update_plan.update_plan(sys.argv[1], items, {"size": 3}, 2, lease_s=60.0, shown=False)
"""


@pytest.mark.parametrize("name", ["_copy_outcomes", "_write_kept", "write_header", "_publish"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_moment_it_has_happened_or_not(tmp_path: Path, name: str, when: str) -> None:
    wanted = make_items(*(f"i{i}" for i in range(90)))
    call(tmp_path, wanted[:30], Log())
    killed = subprocess.run([sys.executable, "-c", _RENEW, str(tmp_path), name, when], check=False)
    assert killed.returncode == -signal.SIGKILL
    happened = (name, when) == ("_publish", "after")
    assert open_plan(tmp_path).num_items == (90 if happened else 30)
    log = Log()
    call(tmp_path, wanted, log, UPDATE, batch_size=2)
    assert log.worked == [item.id for item in wanted[30:]]
    assert len(values_of(tmp_path)) == 90
    for path in tmp_path.glob("work-*"):  # a day later
        os.utime(path, (0, 0))
    call(tmp_path, wanted[:15], Log(), UPDATE)
    left = {path for path in tmp_path.glob("work-*") if (path / "items.jsonl").exists()}
    assert left == {open_plan(tmp_path).work}


def test_of_several_at_once_one_wins(tmp_path: Path) -> None:
    call(tmp_path, make_items(*(f"i{i}" for i in range(200))), Log())
    program = (
        "import sys; from fairseq_ext.jobs import Item\nfrom fairseq_ext.jobs.update_plan import update_plan\n"
        "items = [Item(f'{sys.argv[2]}{i}', {'value': 0}) for i in range(500)]\n"
        "try: print(update_plan(sys.argv[1], items, {'size': 3}, 1, lease_s=60.0, shown=False).token)\n"
        "except (ValueError, OSError) as error: print('refused', error)"
    )
    commands = [[sys.executable, "-c", program, str(tmp_path), prefix] for prefix in "ijk"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    answers = [process.communicate()[0].strip() for process in running]
    plan = open_plan(tmp_path)
    assert plan.token in answers
    assert plan.num_items == 500
    prefix = plan.items(0)[0].id[0]
    log = Log()
    call(tmp_path, make_items(*(f"{prefix}{i}" for i in range(500))), log)
    assert len(values_of(tmp_path)) == 500
