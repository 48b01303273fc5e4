"""The command fairseq-ext: its help, how commands are found, and how they end."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairseq_ext import commands
from fairseq_ext.commands import main as program
from fairseq_ext.file_errors import FileError

COMMANDS = program.find_commands()
FOLDER = Path(commands.__file__).parent
ENTRY = [sys.executable, "-m", "fairseq_ext.commands.main"]

every_command = pytest.mark.parametrize("name", COMMANDS)


def ended(*arguments: str) -> int:
    """Exit status of the program, run in this process."""
    try:
        return program.main(arguments)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)


def test_a_command_is_one_file() -> None:
    files = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert set(COMMANDS.values()) == files - {"main"}
    assert COMMANDS["prepare common-voice"] == "prepare_common_voice"
    assert COMMANDS["check"] == "check"
    groups = {name.partition(" ")[0] for name in COMMANDS if " " in name}
    assert not groups & set(COMMANDS)  # a word is a group or a command
    assert groups | (set(COMMANDS) & set(program.ORDER)) == set(program.ORDER)


def test_help_fits_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    shown = [line for line in lines if line.startswith("  ")]
    assert len(shown) == len(COMMANDS)
    assert sum(line.startswith("  score ") for line in lines) == 1  # a group is named once
    assert [line.split()[0] for line in shown if line[2] != " "] == list(program.ORDER)


def test_help_of_a_group_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("train", "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: fairseq-ext train COMMAND")
    assert re.search(r"^  train +lm  .*\n +pieces  ", text, re.MULTILINE)
    assert "score" not in text
    assert ended("train") == 2
    assert ended() == 2


@every_command
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = program.load_command(COMMANDS[name])
    assert module.SUMMARY[0].isupper()
    assert not module.SUMMARY.endswith(".")
    assert ended(*name.split(), "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: fairseq-ext {name} ")
    assert str(module.__doc__).strip().splitlines()[0] in text


@every_command
def test_wrong_options_end_with_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(*name.split(), "--no-such-option") == 2
    assert f"fairseq-ext {name}: error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("scroe", "did you mean 'fairseq-ext score'?"),
        ("score recogntion", "did you mean 'fairseq-ext score recognition'?"),
        ("common-voice", "did you mean 'fairseq-ext prepare common-voice'?"),
        ("chek", "did you mean 'fairseq-ext check'?"),
        ("xyzzy", "see 'fairseq-ext --help'"),
    ],
)
def test_unknown_command(typed: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(*typed.split()) == 2
    assert capsys.readouterr().err == f"fairseq-ext: there is no command '{typed}'; {hint}\n"


@pytest.mark.parametrize("arguments", ["--help", "--version", "score --help", "score recognition --help"])
def test_it_starts_without_torch_and_fairseq(arguments: str) -> None:
    command = [sys.executable, "-X", "importtime", *ENTRY[1:], *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.findall(r"\| +(fairseq|torch|numpy)$", done.stderr, re.MULTILINE)


class Raising:
    """A command that raises."""

    SUMMARY = "Raise an error"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add no option."""

    def run(self, args: argparse.Namespace) -> int:
        """Raise it."""
        raise self.error


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make every command raise an error."""

    def make(error: BaseException) -> None:
        monkeypatch.setattr(program, "load_command", lambda module: Raising(error))

    return make


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a.tsv:3: 2 columns"), "a.tsv:3: 2 columns"),
        (FileNotFoundError(2, "No such file or directory", "a.tsv"), "a.tsv: no such file or folder; check the path"),
        (OSError(28, "No space left on device"), "the disk is full; free some space and run again"),
        (FileError("a.npz: damaged"), "a.npz: damaged"),
        (FileNotFoundError("a.tsv: no such manifest"), "a.tsv: no such manifest"),
        (ModuleNotFoundError("No module named 'captum'", name="captum"),
         "captum is not installed; run pip install 'fairseq-ext[analysis]'"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    error: Exception, line: str, raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error)
    assert ended("score", "recognition") == 1
    assert capsys.readouterr().err == f"fairseq-ext score recognition: {line}\n"
    with pytest.raises(type(error)):
        program.main(["--traceback", "score", "recognition"])


def test_defects_and_other_ends(raising: Any, capsys: pytest.CaptureFixture[str]) -> None:
    raising(KeyError("x"))  # a defect of ours keeps its traceback
    with pytest.raises(KeyError):
        program.main(["check"])
    raising(KeyboardInterrupt())
    assert ended("check") == 130
    assert capsys.readouterr().err.endswith(": interrupted\n")
    raising(argparse.ArgumentError(None, "--a goes with --b"))
    assert ended("check") == 2
    assert capsys.readouterr().err.endswith("fairseq-ext check: error: --a goes with --b\n")


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"]])
def test_a_reader_that_is_gone_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*ENTRY, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_results_record_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args.command_line)
        return 0

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("word")

    command = SimpleNamespace(SUMMARY="", __doc__="", add_arguments=add_arguments, run=run)
    monkeypatch.setattr(program, "load_command", lambda module: command)
    assert program.main(["score", "majority", "two words"]) == 0
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/majority.py", "x"])
    program.run_tool("/somewhere/tools/majority.py", "score majority")
    assert seen == ["fairseq-ext score majority 'two words'", "tools/majority.py x"]


def test_tools_of_old_names_name_commands(repository: Path) -> None:
    found = {}
    for tool in (repository / "tools").glob("*.py"):
        text = tool.read_text(encoding="utf-8")
        if named := re.search(r'run_tool\(__file__, "(.+)"\)', text):
            found[tool.name] = named[1]
            assert f"Run `fairseq-ext {named[1]}`" in text
    assert set(found.values()) == set(COMMANDS)


def test_what_comes_from_data_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        print("caf\u00e9\t\x1b[2J\r\u202e\udcff")
        raise ValueError("two\nlines\x1b]0;title\x07: fix them")

    command = SimpleNamespace(SUMMARY="", __doc__="", add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr(program, "load_command", lambda module: command)
    assert ended("check") == 1
    out, err = capsys.readouterr()
    assert out == "caf\u00e9\t\\x1b[2J\\r\\u202e\\udcff\n"
    assert err == "fairseq-ext check: two lines\\x1b]0;title\\x07: fix them\n"
