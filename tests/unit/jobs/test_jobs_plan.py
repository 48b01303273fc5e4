"""The plan of a run: changes are refused, damage to it or to outcomes is detected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.jobs import Execution, Item, one_by_one, outcomes, run, watch
from fairseq_ext.jobs.plan import open_plan

HERE = Execution(workers=0, progress=False)
SETTINGS = {"model": {"name": "tiny", "beam": 5}, "rate_hz": 16000}


def work_of(tmp_path: Path) -> Path:
    return open_plan(tmp_path / "run").work


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
        (lambda items: items[:-1], "expected 4 items, found the end after 3"),
        (lambda items: [*items, Item("z")], "expected 4 items, found one more, 'z'"),
        (lambda items: items[::-1], "expected 'id0' as item 1, found 'id3'"),
        (
            lambda items: [Item("id0", {"at": {"x": 2, "y": 0}}), *items[1:]],
            r"'id0' has changed: .* at\.x = 0, found 2",
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
    with pytest.raises(ValueError, match=r"model\.beam = 5, found 1; pass the settings of the first run"):
        plan_of(tmp_path, [Item("a")], {"model": {"name": "tiny", "beam": 1}, "rate_hz": 16000})
    with pytest.raises(ValueError, match=r"extra = nothing, found None"):
        plan_of(tmp_path, [Item("a")], {"model": {"name": "tiny", "beam": 5}, "extra": None})
    plan_of(tmp_path, [Item("a")], {"rate_hz": 16000, "model": {"beam": 5, "name": "tiny"}})


@pytest.mark.parametrize("name", ["", " a", "a\tb", "a\nb", "\udcff"])
def test_ids_that_no_table_can_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="an id needs printable characters"):
        plan_of(tmp_path, [Item("ok"), Item(name)])
    assert list((tmp_path / "run").iterdir()) == []


def test_items_and_settings_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"item 'a': its data cannot be written as JSON: .*Path"):
        plan_of(tmp_path, [Item("a", {"path": tmp_path})])
    with pytest.raises(ValueError, match=r"the settings cannot be written as JSON: .*Path"):
        plan_of(tmp_path, [Item("a")], {"path": tmp_path})
    plan_of(tmp_path, [Item("a", {"span": (1, 2)})], {"spans": (1, 2)})
    plan_of(tmp_path, [Item("a", {"span": [1, 2]})], {"spans": [1, 2]})


def test_two_items_of_one_id(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="item 'a': two items have this id"):
        plan_of(tmp_path, [Item("a"), Item("b"), Item("a")])


def test_a_plan_that_is_not_finished_is_none(tmp_path: Path) -> None:
    def items() -> Iterator[Item]:
        yield Item("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", items(), lambda: one_by_one(lambda item: {}), settings={}, execution=HERE)
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(ValueError, match="no such plan; start the run first"):
        list(outcomes(tmp_path / "run"))
    with pytest.raises(ValueError, match="no such plan; start the run first"):
        watch(tmp_path / "run")


def test_a_flipped_bit_in_the_plan_is_noticed(tmp_path: Path) -> None:
    plan_of(tmp_path, [Item("a"), Item("b")])
    path = work_of(tmp_path) / "items.jsonl"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 12] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"items\.jsonl:2: damaged line"):
        list(outcomes(tmp_path / "run"))


def test_merging_refuses_what_is_damaged_or_gone(tmp_path: Path) -> None:
    items = [Item(f"i{i}") for i in range(4)]
    plan_of(tmp_path, items)
    path = work_of(tmp_path) / "done" / "0000002"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"i2", b"i3"))
    with pytest.raises(ValueError, match="0000002:2: damaged line"):
        list(outcomes(tmp_path / "run"))
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    with pytest.raises(ValueError, match="0000002: expected 1 outcomes, found 0"):
        list(outcomes(tmp_path / "run"))
    path.write_bytes((path.parent / "0000003").read_bytes())
    with pytest.raises(ValueError, match="0000002: expected 'i2', found 'i3'"):
        list(outcomes(tmp_path / "run"))
    path.unlink()
    with pytest.raises(ValueError, match=r"chunks with 1 of 4 items are unfinished, .* 'i2'"):
        list(outcomes(tmp_path / "run"))
    plan_of(tmp_path, items)
    assert path.read_bytes() == whole
