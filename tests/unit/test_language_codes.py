"""Lists of languages: every command that takes one refuses a code that does not exist before it makes anything."""

import argparse
from pathlib import Path

import pytest

from fairseq_ext.commands import main as program
from fairseq_ext.labelling.load import CTC, check_languages
from fairseq_ext.text.language_codes import KNOWN, WHISPER, check_known, read_codes
from fairseq_ext.text.languages import LANGUAGES

LISTING = ("label auto", "label merge", "report clips")
REQUIRED = {
    "label auto": ("--clips", "C", "--model", "large-v2", "--out", "made"),
    "label merge": ("--clips", "C", "--out", "made"),
    "prepare mouth": ("--source", "S", "--out", "made"),
    "report clips": ("--run", "made", "--origin", "real"),
}


def test_codes_are_those_of_whisper_and_of_the_rules() -> None:
    tokenizer = pytest.importorskip("faster_whisper.tokenizer", reason="needs pip install -e .[whisper]")
    assert set(tokenizer._LANGUAGE_CODES) == WHISPER
    assert WHISPER | set(LANGUAGES) <= KNOWN
    assert sum(len(code) == 2 for code in KNOWN) == 183 + 1  # ISO 639-1, and Whisper's jw


def test_a_list_is_read_once() -> None:
    assert read_codes("pt, fr,pt") == ("pt", "fr")
    check_known(["fr"], ["fr", "it"])


@pytest.mark.parametrize("text", ["fr,itt", "fx", "FR", "pt-BR", "", ",", "french"])
def test_what_is_no_code_is_named_with_those_that_exist(text: str) -> None:
    found = text.removeprefix("fr,") or "none"
    with pytest.raises(
        ValueError, match=rf"found {'none' if found == ',' else found}, expected some of aa, ab, "
    ):
        read_codes(text)


def test_the_user_states_the_language_of_a_ctc_model() -> None:
    assert check_languages("ast", CTC) == ("ast",)
    for kind in (CTC, "faster-whisper"):
        with pytest.raises(ValueError, match="found ast, expected some of af, am"):
            check_languages("fr,ast", kind)


def run(name: str, *options: str) -> None:
    command = program.load_command(program.find_commands()[name])
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args([*REQUIRED[name], *options])
    args.command_line = name
    assert command.run(args) == 0


def taking(option: str) -> list[str]:
    """Return the commands with an option."""
    found = []
    for name, module in program.find_commands().items():
        parser = argparse.ArgumentParser()
        program.load_command(module).add_arguments(parser)
        found += [name] if option in parser._option_string_actions else []
    return found


def test_every_command_with_a_list_refuses_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sorted(taking("--languages")) == sorted(LISTING)
    for name in LISTING:
        with pytest.raises(ValueError, match="languages: found itt, expected some of "):
            run(name, "--languages", "fr,itt")
    assert list(tmp_path.iterdir()) == []


def test_check_reads_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("label auto", "label merge", "prepare mouth"):
        run(name, "--check")
    for name, *wrong in (
        ("label auto", "--beam", "0"),
        ("label auto", "--shards", "0"),
        ("label merge", "--languages", "fr,jaa"),
        ("prepare mouth", "--out", "S/clips"),
        ("prepare mouth", "--detect-every", "0"),
    ):
        with pytest.raises(ValueError, match=r"expected|inside"):
            run(name, "--check", *wrong)
    assert list(tmp_path.iterdir()) == []
