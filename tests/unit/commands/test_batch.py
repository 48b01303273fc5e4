"""Many commands in forks of one process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fairseq_ext.commands.main import find_commands, load_command, split_command
from fairseq_ext.jobs.forks import start_fork

TOOL = Path(__file__).resolve().parents[3] / "tools" / "batch.py"


def batch(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *options]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_every_line_is_run(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    done = batch(f"jobs --help\n\njobs status '{tmp_path / 'a b'}'\ncheck --help\n", "--jobs", "2")
    assert "usage: fairseq-ext jobs" in done.stdout
    assert done.returncode == 1
    assert f"{tmp_path}/a b" in done.stderr
    assert "batch.py: line 3 (jobs status" in done.stderr


def test_after_a_failure_no_other_line_begins() -> None:
    done = batch("jobs\ncheck --help\n")
    assert "batch.py: line 1 (jobs) failed with status 2" in done.stderr
    assert "usage: fairseq-ext check" not in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("wrong", ["scores x", "batch x", "embed 'x"])
def test_a_line_that_is_no_command_is_named_before_any_begins(wrong: str) -> None:
    done = batch(f"check --help\n{wrong}\n")
    assert "batch.py: line 2: " in done.stderr
    assert done.stdout == ""
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "name", "rest"),
    [
        (["embed", "a"], "embed", ["a"]),
        (["score", "embeddings", "--seed"], "score embeddings", ["--seed"]),
        (["features", "a.wav"], "features voice", ["a.wav"]),
        (["nope", "a"], "nope", ["a"]),
        (["score", "nope"], "score nope", []),
    ],
)
def test_names_of_commands_of_one_word_and_of_two(arguments: list[str], name: str, rest: list[str]) -> None:
    assert split_command(arguments, find_commands()) == (name, rest)


def test_what_is_imported_for_all_is_there(repository: Path) -> None:
    names = [n for m in find_commands().values() for n in getattr(load_command(m), "PRELOAD", ())]
    ours = [repository / f"{name.replace('.', '/')}.py" for name in names if name.startswith("fairseq_ext.")]
    assert ours
    assert all(path.is_file() for path in ours)


def _exit(code: str | int | None) -> int:
    sys.exit(code)


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (lambda: None, 0),
        (lambda: 3, 3),
        (lambda: _exit(None), 0),
        (lambda: _exit(4), 4),
        (lambda: _exit("why"), 1),
        (lambda: 1 // 0, 1),
    ],
)
def test_a_fork_ends_with_the_status_of_what_it_ran(
    run: Callable[[], int | None], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(start_fork(run), 0)[1]) == status
    said = capfd.readouterr().err
    assert ("why" in said or "ZeroDivisionError" in said) == (status == 1)
