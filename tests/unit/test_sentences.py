"""Text for language models: reading, held-out sentences, refused input."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_ext.decoding.arpa import read_arpa
from fairseq_ext.text.sentences import read_sentences, training_text

TOOL = Path(__file__).resolve().parents[2] / "tools" / "train_lm.py"


def test_lines_and_the_column_of_a_table_read_alike(tmp_path: Path) -> None:
    (tmp_path / "train.wrd").write_text("bon dia\nl'intel·ligència\n", encoding="utf-8")
    table = 'sentence_id\tsentence\tis_used\n1\tbon dia\t1\n2\t"Què?" digué\t0\n'
    (tmp_path / "sentences.tsv").write_text(table, encoding="utf-8")
    assert list(read_sentences(tmp_path / "train.wrd")) == ["bon dia", "l'intel·ligència"]
    assert list(read_sentences(tmp_path / "sentences.tsv")) == ["bon dia", '"Què?" digué']


def test_sentences_that_are_scored_are_left_out_in_any_spelling() -> None:
    sentences = ["Bon dia!", "Plou a la ciutat.", "BON DIA", "", "Plou a la ciutat."]
    text = training_text(sentences, ["bon dia"], "ca")
    assert text.sentences == ["plou a la ciutat"] * 2
    assert text.num_held_out == 2


def test_case_is_that_of_the_recogniser() -> None:
    assert training_text(["Açò és l'altre"], ["res"], "ca", case="upper").sentences == ["AÇÒ ÉS L'ALTRE"]


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(ValueError, match="all of 2 sentences are held out or empty"):
        training_text(["Bon dia.", "?"], ["bon dia"], "ca")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("id\ttext\n1\tbon dia\n", r":1: a column 'sentence' expected", id="column"),
        pytest.param("id\tsentence\n1\tbon dia\n2\n", r":3: 2 columns expected, found 1", id="row"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "sentences.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        list(read_sentences(path))


def train_lm(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a text and one scored sentence."""
    (folder / "text.txt").write_text(text, encoding="utf-8")
    (folder / "test.wrd").write_text("fa fred\n", encoding="utf-8")
    command = [sys.executable, str(TOOL), "--text", "text.txt", "--exclude", "test.wrd", "--language", "ca"]
    command += ["--order", "2", "--out", "lm.arpa"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_command_writes_a_model_without_the_scored_words(tmp_path: Path) -> None:
    result = train_lm(tmp_path, "Fa fred.\nDemà plourà.\nDemà farà sol.\n")
    assert result.returncode == 0, result.stderr
    assert "2 sentences" in result.stdout
    assert "1 scored" in result.stdout
    model = read_arpa(tmp_path / "lm.arpa")
    assert "plourà" in model.words
    assert "fred" not in model.words
    assert model.order == 2


def test_command_without_text_says_so_and_writes_nothing(tmp_path: Path) -> None:
    result = train_lm(tmp_path, "Fa fred!\n")
    assert result.returncode == 1
    assert result.stderr.startswith("train_lm.py: language model: ")
    assert not (tmp_path / "lm.arpa").exists()


def test_sentences_with_digits_are_left_out_without_rules() -> None:
    assert training_text(["3 gauza.", "Ñabar bat"], ["ez"], "eu").sentences == ["ñabar bat"]
