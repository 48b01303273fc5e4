"""Text for language models: reading, held-out sentences, refused input."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_ext.decoding.arpa import read_arpa
from fairseq_ext.text.sentences import common_spelling, read_sentences, training_text
from fairseq_ext.text.spelling import Spelling, read_record, write_spelling

TOOL = Path(__file__).resolve().parents[2] / "tools" / "train_lm.py"


def lines(path: Path, text: str) -> Path:
    """Write a text file and return its path."""
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> list[str]:
    """Read the sentences of a file, none of which is skipped."""
    problems: list[str] = []
    found = [text for _, text in read_sentences(path, problems.append)]
    assert problems == []
    return found


def test_lines_and_the_column_of_a_table_read_alike(tmp_path: Path) -> None:
    table = 'sentence_id\tsentence\tis_used\n1\tbon dia\t1\n2\t"Què?" digué\t0\n'
    assert read(lines(tmp_path / "train.wrd", "bon dia\nl'intel·ligència\n")) == [
        "bon dia",
        "l'intel·ligència",
    ]
    assert read(lines(tmp_path / "sentences.tsv", table)) == ["bon dia", '"Què?" digué']


def test_sentences_that_are_scored_are_left_out_in_any_spelling(tmp_path: Path) -> None:
    sentences = lines(tmp_path / "a.txt", "Bon dia!\nPlou a la ciutat.\nBON DIA\n\nPlou a la ciutat.\n")
    text = training_text([sentences], [lines(tmp_path / "test.wrd", "bon dia\n")], Spelling("ca"))
    assert text.sentences == ["plou a la ciutat"] * 2
    assert (text.num_held_out, text.skipped) == (2, [])


def test_case_is_that_of_the_recogniser(tmp_path: Path) -> None:
    given, scored = lines(tmp_path / "a.txt", "Açò és l'altre\n"), lines(tmp_path / "test.wrd", "res\n")
    assert training_text([given], [scored], Spelling("ca", "upper")).sentences == ["AÇÒ ÉS L'ALTRE"]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    given, scored = lines(tmp_path / "a.txt", "Bon dia.\n?\n5 £\n"), lines(tmp_path / "test.wrd", "bon dia\n")
    with pytest.raises(ValueError, match="all of 1 sentences are held out or empty, and 1 cannot be read"):
        training_text([given], [scored], Spelling("ca"))


def test_a_table_without_the_column_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "sentences.tsv", "id\ttext\n1\tbon dia\n")
    with pytest.raises(ValueError, match=r":1: the columns sentence expected, found \['id', 'text'\]"):
        read(path)


def test_rows_and_sentences_that_cannot_be_read_are_left_out_and_listed(tmp_path: Path) -> None:
    path = tmp_path / "sentences.tsv"
    path.write_bytes(
        "id\tsentence\n1\tbon dia\n2\n3\tu\tdos\n4\t½ hora\n".encode() + b"5\t\xff\n\n6\tara no\r\n"
    )
    text = training_text([path], [lines(tmp_path / "test.wrd", "res\n")], Spelling("ca"))
    assert text.sentences == ["bon dia", "ara no"]
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in text.skipped] == ["3", "4", "5", "6"]
    assert "½ cannot be read: '½ hora'" in text.skipped[2]


def test_texts_of_a_manifest_are_taken_as_they_are(tmp_path: Path) -> None:
    write_spelling(tmp_path, Spelling("it", apostrophes=False))
    given = [lines(tmp_path / "train.wrd", "COM és 5\n"), lines(tmp_path / "more.txt", "L'altro: 5.\n")]
    spelling = common_spelling([*given, tmp_path / "test.wrd"])
    text = training_text(given, [lines(tmp_path / "test.wrd", "res\n")], spelling)
    assert text.sentences == ["COM és 5", "laltro cinque"]
    assert common_spelling(given, language="it-IT") == spelling
    with pytest.raises(
        ValueError, match=r"spelled by it, lower case, .*, and ca was chosen; leave out --language"
    ):
        common_spelling(given, language="ca")
    with pytest.raises(ValueError, match=r"and upper was chosen; leave out --case"):
        common_spelling(given, case="upper")
    with pytest.raises(ValueError, match=r"no spelling\.json beside the texts names their language"):
        common_spelling([lines(tmp_path / "other.txt", "x\n")])


def train_lm(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a text and one scored sentence."""
    (folder / "text.txt").write_text(text, encoding="utf-8")
    (folder / "test.wrd").write_text("fa fred\n", encoding="utf-8")
    command = [sys.executable, str(TOOL), "--text", "text.txt", "--exclude", "test.wrd", "--language", "ca"]
    command += ["--order", "2", "--out", "lm.arpa"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_command_writes_a_model_without_the_scored_words(tmp_path: Path) -> None:
    result = train_lm(tmp_path, "Fa fred.\nDemà plourà.\nDemà farà sol.\n½ hora\n")
    assert result.returncode == 0, result.stderr
    assert "2 sentences" in result.stdout
    assert "1 scored" in result.stdout
    assert "1 rows or sentences that cannot be read left out (lm.arpa.skipped.txt)" in result.stdout
    assert "text.txt:4: ½ cannot be read" in (tmp_path / "lm.arpa.skipped.txt").read_text(encoding="utf-8")
    assert read_record(tmp_path / "lm.arpa.spelling.json") == Spelling("ca")
    model = read_arpa(tmp_path / "lm.arpa")
    assert "plourà" in model.words
    assert "fred" not in model.words
    assert model.order == 2


def test_command_without_text_says_so_and_writes_nothing(tmp_path: Path) -> None:
    result = train_lm(tmp_path, "Fa fred!\n")
    assert result.returncode == 1
    assert result.stderr.startswith("train_lm.py: language model: ")
    assert not (tmp_path / "lm.arpa").exists()


def test_sentences_with_digits_are_left_out_without_rules(tmp_path: Path) -> None:
    given, scored = lines(tmp_path / "a.txt", "3 gauza.\nÑabar bat\n"), lines(tmp_path / "test.wrd", "ez\n")
    assert training_text([given], [scored], Spelling("eu")).sentences == ["ñabar bat"]
