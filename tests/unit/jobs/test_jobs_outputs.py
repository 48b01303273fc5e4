"""Work that writes a file per item: items whose file was removed are done again, and results need every item done."""

import functools
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_ext.jobs import Execution, Item, Outcome, Rejected, one_by_one, outcomes, results, run

HERE = Execution(workers=0, progress=False)
ITEMS = [Item(f"talk{i}", {"number": i}) for i in range(20)]


class Writer:
    """Work that writes OUT/ID.txt and counts what it wrote."""

    def __init__(self, out: Path) -> None:
        self.out, self.written = out, list[str]()
        out.mkdir()

    def __call__(self, item: Item) -> dict[str, str]:
        if item.data["number"] == 3:
            raise Rejected("empty")
        if len(self.written) == 12:
            self.written.append("killed")
            raise KeyboardInterrupt
        (self.out / f"{item.id}.txt").write_text(item.id)
        self.written.append(item.id)
        return {"file": f"{item.id}.txt"}

    def exists(self, outcome: Outcome) -> bool:
        return (self.out / outcome.result["file"]).exists()


def test_items_whose_output_is_gone_are_done_again(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    go = functools.partial(
        run,
        tmp_path / "run",
        ITEMS,
        lambda: one_by_one(writer),
        settings={},
        execution=HERE,
        batch_size=8,
        output_exists=writer.exists,
    )
    with pytest.raises(KeyboardInterrupt):
        go()
    # One in a finished chunk, and one whose outcome is only in the part of the attempt that was killed.
    for name in ("talk1", "talk11"):
        (tmp_path / "out" / f"{name}.txt").unlink()
    summary = go()
    assert (summary.states["done"], summary.states["rejected"]) == (19, 1)
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(
        item.id for item in ITEMS if item.id != "talk3"
    )
    again = [name for name in writer.written if writer.written.count(name) > 1]
    assert sorted(again) == ["talk1", "talk1", "talk11", "talk11"]
    num_written = len(writer.written)
    assert go().complete
    assert len(writer.written) == num_written


def test_spawned_workers_do_them_again_too(tmp_path: Path, jobs_work: ModuleType) -> None:
    log = tmp_path / "log"
    make = functools.partial(jobs_work.make_squares, log)
    items, settings = jobs_work.make_items(3), {"rate_hz": 16000}
    execution = Execution(progress=False)
    run(tmp_path / "run", items, make, settings=settings, execution=execution)
    run(
        tmp_path / "run",
        items,
        make,
        settings=settings,
        execution=execution,
        output_exists=lambda outcome: outcome.id != items[1].id,  # stays away: tried once more, not for ever
    )
    assert jobs_work.noted(log) == [*(item.id for item in items), items[1].id]


def test_results_are_of_runs_without_problems(tmp_path: Path) -> None:
    def double(item: Item) -> dict[str, int]:
        if item.data["number"] == limit:
            raise KeyError("too large")
        return {"double": 2 * item.data["number"]}

    limit = 7
    run(tmp_path / "run", ITEMS, lambda: one_by_one(double), settings={}, execution=HERE)
    with pytest.raises(ValueError, match=r"item 'talk7' was failed: KeyError 'too large'.*--retry-failed"):
        list(results(tmp_path / "run"))
    limit = -1
    retry = Execution(workers=0, progress=False, retry_failed=True)
    run(tmp_path / "run", ITEMS, lambda: one_by_one(double), settings={}, execution=retry)
    assert [result["double"] for result in results(tmp_path / "run")] == list(range(0, 40, 2))
    assert [outcome.state for outcome in outcomes(tmp_path / "run")] == ["done"] * 20
