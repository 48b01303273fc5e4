"""The files of a run: a damaged line costs its item only; a lease has one holder, and dead holders lose it."""

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_ext.file_errors import FileError
from fairseq_ext.jobs.checked_lines import decode, encode
from fairseq_ext.jobs.finished_chunks import commit, journals_folder, read_chunk
from fairseq_ext.jobs.items import Item, Outcome
from fairseq_ext.jobs.journal import Journal, StorageError, recover
from fairseq_ext.jobs.leases import LeaseLost, Leases, is_dead, this_process
from fairseq_ext.jobs.plan import open_plan
from fairseq_ext.jobs.plan_writer import make_plan

ITEMS = [Item(f"clip/{i}é") for i in range(8)]


def write_journal(
    folder: Path, attempt: str, outcomes: dict[int, str], started: list[int], stop: bool = False
) -> Path:
    part = Journal(folder, attempt)
    for index, text in outcomes.items():
        part.start([index])
        part.outcome(index, Outcome(ITEMS[index].id, "done", result={"text": text}))
    if started:
        part.start(started)
    if stop:
        part.stop()
    part.close()
    return part.path


@pytest.fixture
def leases(tmp_path: Path) -> None:
    """Make a work folder, as far as leases need it."""
    (tmp_path / "leases").mkdir()


def test_a_record_survives_and_a_changed_one_is_noticed() -> None:
    generator = random.Random(7)
    for record in ({"id": "à\n\u2028\x85", "n": [1, None, 2.5]}, {"id": "\udcff"}, {}):
        line = encode(record)
        assert decode(line) == record
        assert line.count(b"\n") == 1
        assert all(decode(line[:cut]) is None for cut in range(len(line)))
        for _ in range(200):
            changed = bytearray(line)
            changed[generator.randrange(len(line))] ^= 1 << generator.randrange(8)
            assert decode(bytes(changed)) is None


def test_outcomes_of_killed_attempts_are_recovered(tmp_path: Path) -> None:
    write_journal(tmp_path, "b", {0: "zero", 1: "one"}, started=[2, 3])
    write_journal(tmp_path, "c", {2: "two"}, started=[3])
    write_journal(tmp_path, "d", {}, started=[4, 5], stop=True)
    (tmp_path / ".being-committed").write_bytes(b"x")
    found = recover(tmp_path, ITEMS)
    assert {i: o.result["text"] for i, o in found.outcomes.items()} == {0: "zero", 1: "one", 2: "two"}
    assert found.deaths == {3: 2}
    assert (found.num_damaged, [p.name for p in found.paths]) == (0, ["b", "c", "d"])
    nothing = recover(tmp_path / "none", ITEMS)
    assert (nothing.outcomes, nothing.deaths) == ({}, {})


def test_a_truncated_journal_keeps_what_is_before_the_cut(tmp_path: Path) -> None:
    path = write_journal(tmp_path, "a", {i: f"text {i}" for i in range(4)}, started=[4])
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = recover(tmp_path, ITEMS)
        num_lines = sum(end <= cut for end in ends)
        assert sorted(found.outcomes) == list(range(num_lines // 2))
        assert sorted(found.deaths) == ([num_lines // 2] if num_lines % 2 else [])
        assert found.num_damaged == (0 if cut in {0, *ends} else 1)


def test_a_damaged_line_costs_its_item_only(tmp_path: Path) -> None:
    path = write_journal(tmp_path, "a", {i: f"text {i}" for i in range(4)}, started=[])
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"text 1", b"text 7")
    path.write_bytes(b"\0" * 7 + b"\n" + b"".join(lines))
    found = recover(tmp_path, ITEMS)
    assert sorted(found.outcomes) == [0, 2, 3]
    assert found.num_damaged == 2


def test_a_journal_of_other_items_is_ignored(tmp_path: Path) -> None:
    write_journal(tmp_path, "a", {0: "zero"}, started=[])
    assert recover(tmp_path, [Item("another")]).outcomes == {}


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Journal(tmp_path / "file", "a")
    if Path("/dev/full").exists():
        os.symlink("/dev/full", tmp_path / "full")
        part = Journal.__new__(Journal)
        part.path = tmp_path / "full"
        part._descriptor = os.open(tmp_path / "full", os.O_WRONLY)
        with pytest.raises(StorageError, match="full: the disk is full; free some space"):
            part.start([0])
        part.close()


@pytest.mark.usefixtures("leases")
def test_one_of_many_gets_a_chunk(tmp_path: Path) -> None:
    views = [Leases(tmp_path, 60.0) for _ in range(5)]
    leases = [view.claim(3) for view in views]
    assert [lease is not None for lease in leases] == [True, False, False, False, False]
    assert views[0].claim(4) is not None
    assert Leases(tmp_path, 60.0).claim(3) is None
    held = leases[0]
    assert held is not None
    held.check()
    held.release()
    again = Leases(tmp_path, 60.0).claim(3)
    assert again is not None
    again.release()


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.usefixtures("leases")
def test_a_stale_lease_is_taken_once_and_its_holder_notices(tmp_path: Path) -> None:
    first = Leases(tmp_path, 60.0).claim(0)
    assert first is not None
    (path,) = (p for p in (tmp_path / "leases").iterdir())
    age(path, 61)
    views = [Leases(tmp_path, 60.0) for _ in range(4)]
    taken = [lease for view in views if (lease := view.claim(0)) is not None]
    assert len(taken) == 1
    first.check()  # does not read the disk: the heartbeat is recent
    with pytest.raises(LeaseLost):
        first.confirm()
    with pytest.raises(LeaseLost):
        first.check()
    first.release()
    taken[0].confirm()
    taken[0].release()
    assert list((tmp_path / "leases").iterdir()) == []


@pytest.mark.usefixtures("leases")
def test_the_lease_of_another_is_not_released(tmp_path: Path) -> None:
    first = Leases(tmp_path, 60.0).claim(0)
    assert first is not None
    (path,) = (p for p in (tmp_path / "leases").iterdir())
    path.unlink()  # stolen, done and released; then claimed again, under the same name
    second = Leases(tmp_path, 60.0).claim(0)
    assert second is not None
    first.release()
    second.confirm()
    second.release()


@pytest.mark.usefixtures("leases")
def test_a_lease_is_kept_fresh(tmp_path: Path) -> None:
    lease = Leases(tmp_path, 0.6).claim(0)
    assert lease is not None
    (path,) = (p for p in (tmp_path / "leases").iterdir())
    age(path, 1000)
    deadline = time.monotonic() + 20
    while Leases(tmp_path, 500).claim(0) is None and time.time() - path.stat().st_mtime > 500:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lease.release()


@pytest.mark.usefixtures("leases")
def test_a_holder_that_died_here_is_known_at_once(tmp_path: Path) -> None:
    if not this_process().machine:
        pytest.skip("this system does not tell whether a process lives")
    program = "from fairseq_ext.jobs.leases import Leases; import sys, os, pathlib\n"
    program += "assert Leases(pathlib.Path(sys.argv[1]), 3600.0).claim(0); os._exit(9)"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    (path,) = (tmp_path / "leases").iterdir()
    text = path.read_text()
    assert is_dead(text)
    assert Leases(tmp_path, 3600.0).claim(0) is not None


def test_holders_that_may_be_alive() -> None:
    mine = this_process().text()
    assert not is_dead(mine)
    assert all(not is_dead(mine[:cut]) for cut in range(mine.rindex("\n")))
    assert not is_dead(mine.replace(mine.split("\n")[0], "another machine"))
    machine, pid, started, token = mine.split("\n")
    if machine:
        assert is_dead("\n".join([machine, pid, f"{int(started) - 1}", token]))  # the number was given again


def test_of_plans_written_at_once_one_wins(tmp_path: Path) -> None:
    program = (
        "import sys; from fairseq_ext.jobs.plan_writer import make_plan; from fairseq_ext.jobs import Item\n"
        "items = (Item(f'{sys.argv[2]}{i}') for i in range(3000))\n"
        "try: print(make_plan(sys.argv[1], items, {}, 1).token)\n"
        "except ValueError as error: print(error)"
    )
    commands = [[sys.executable, "-c", program, str(tmp_path), prefix] for prefix in "aaab"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    answers = [process.communicate()[0].strip() for process in running]
    tokens = [answer for answer in answers if "expected" not in answer]
    assert len(set(tokens)) == 1
    refused = [answer for answer in answers if "expected" in answer]
    assert all("0' as item 1, found '" in answer for answer in refused)
    assert (len(tokens), len(refused)) in {(3, 1), (1, 3)}
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", f"work-{tokens[0]}"}
    plan = make_plan(tmp_path, [Item(f"{'a' if len(tokens) == 3 else 'b'}{i}") for i in range(3000)], {}, 1)
    assert (plan.num_items, plan.token) == (3000, tokens[0])
    assert [item.id[1:] for c in range(plan.num_chunks) for item in plan.items(c)] == [
        str(i) for i in range(3000)
    ]


def test_of_two_commits_the_first_stays(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, ITEMS[:1], {}, 1)
    for text in ("first", "second"):
        path = write_journal(journals_folder(plan, 0), text, {0: text}, started=[])
        commit(plan, 0, [Outcome(ITEMS[0].id, "done", result={"text": text})], [path])
        assert [outcome.result for outcome in read_chunk(plan, 0)] == [{"text": "first"}]
        assert not journals_folder(plan, 0).exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("plan.json", b"", "damaged or not a plan"),
        ("plan.json", b'{"token": ', "damaged or not a plan"),
        ("plan.json", b'{"token": "a", "num_items": 8}', "damaged or not a plan (no entry 'chunk_size')"),
        ("plan.json", b"\xff\xfe", "damaged or not a plan (no UTF-8 at byte 0)"),
        ("chunks.bin", b"\x00" * 9, "damaged or not the table of a plan"),
        ("chunks.bin", b"\xff" * 144, "(cannot fit 'int' into an offset-sized integer)"),
        ("chunks.bin", b"\x00" * 144, "expected 1 items in chunk 0 of items.jsonl, found 0"),
        ("items.jsonl", b"", "expected 1 items in chunk 0 of items.jsonl, found 0"),
        ("items.jsonl", None, "no such file"),
    ],
)
def test_a_damaged_plan_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    plan = make_plan(tmp_path, ITEMS, {}, 1)
    path = next(path for path in (tmp_path / name, plan.work / name) if path.exists())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        open_plan(tmp_path).items(0)
    assert str(caught.value).startswith(str(tmp_path))
    assert message in str(caught.value)
    assert content is None or str(caught.value).endswith("; delete the folder of the run and run again")


def test_a_plan_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FileError, match=r"items\.jsonl: the disk is full; free some space and run again"):
        make_plan(tmp_path / "run", ITEMS, {}, 1)
    assert not list((tmp_path / "run").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/run: a part of this path is a file, not a folder"):
        make_plan(tmp_path / "file" / "run", ITEMS, {}, 1)
