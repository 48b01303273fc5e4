"""Transcripts are unchanged after writing and reading, and confusions are counted."""

from pathlib import Path

import pytest

from fairseq_ext.report.recognition.confusions import confusion_tables, confusions
from fairseq_ext.report.recognition.listen import choose
from fairseq_ext.scoring.recognition.transcripts import (
    Transcripts,
    file_name,
    read_transcripts,
    write_transcripts,
)
from fairseq_ext.text.scoring import ErrorCounts, characters, count_all, total, words

TEXTS = ("ça và ŀl col·lecció", "L’àvia — «sí»\u00a0\u2028fi", "", "a\u0301 <b>&amp;</b>")


def transcripts(hypotheses: tuple[str, ...] = TEXTS) -> Transcripts:
    """Make transcripts without errors."""
    ids = tuple(f"clip_ç{i}" for i in range(len(TEXTS)))
    return Transcripts(ids, ("María", "b", "c", "d"), TEXTS, hypotheses)


def test_every_text_survives(tmp_path: Path) -> None:
    path = tmp_path / file_name("greedy")
    write_transcripts(path, transcripts())
    assert read_transcripts(path) == transcripts()
    assert "ça và ŀl col·lecció".encode() in path.read_bytes()


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r"])
def test_what_would_break_the_file_is_refused_and_nothing_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "predictions.greedy.tsv"
    with pytest.raises(ValueError, match=r"clip_ç0.*the hypothesis .* has a tab or a line end"):
        write_transcripts(path, transcripts((text, "", "", "")))
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("id\tspeaker\ttarget\tprediction\n")
    with pytest.raises(ValueError, match=r"x.tsv:1: the columns \('id'"):
        read_transcripts(tmp_path / "x.tsv")
    (tmp_path / "x.tsv").write_text("id\tspeaker\treference\thypothesis\na\tb\tc\n")
    with pytest.raises(ValueError, match=r"x.tsv:2"):
        read_transcripts(tmp_path / "x.tsv")


def test_numbers_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\[4, 4, 4, 1\]"):
        transcripts(("only one",))


@pytest.mark.parametrize("split", [words, characters])
def test_confusions_add_up_to_the_errors(split: object) -> None:
    references, hypotheses = ["la casa gran", "ça sí", "dos"], ["la cosa", "ça sí sí", ""]
    found = confusions(references, hypotheses, split)  # type: ignore[arg-type]
    assert found.total() == total(count_all(references, hypotheses, split)).errors  # type: ignore[arg-type]


def test_confusions_are_listed_most_frequent_first() -> None:
    references, hypotheses = ["casa", "casa", "gran dia"], ["caça", "caça", "dia"]
    of_words, of_letters = confusion_tables(references, hypotheses)
    assert of_words.rows[0] == ("casa", "caça", "2", "66.7")
    assert of_words.rows[1] == ("gran", "(nothing)", "1", "33.3")
    assert of_letters.rows[0][:3] == ("s", "ç", "2")
    assert "␣ (space)" in {row[0] for row in of_letters.rows}
    assert confusion_tables(["a"], ["a"]) == []


def test_utterances_are_chosen_once() -> None:
    counts = [ErrorCounts(substitutions=i, num_reference=10) for i in range(10)] + [ErrorCounts(insertions=3)]
    found = choose(counts, 2)
    assert found["Most errors"] == [9, 8]
    assert found["Fewest errors"] == [0, 1]
    assert found["In the middle"] == [5, 4]
    few = choose(counts[:3], 2)
    assert sorted(i for chosen in few.values() for i in chosen) == [0, 1, 2]
    assert choose([ErrorCounts(insertions=1)], 2) == {
        "Most errors": [],
        "In the middle": [],
        "Fewest errors": [],
    }
