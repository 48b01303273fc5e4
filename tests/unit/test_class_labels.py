"""Class labels: any script, and a wrong one says where it stands."""

import pickle
from pathlib import Path

import pytest

from fairseq_ext.data.label_streams import LabelStreams, class_names
from fairseq_ext.dictionary import write_dictionary

# Two, three and four bytes each: a reader that mistakes bytes for characters slips at once.
WORDS = ["plaça", "demà", "intel·ligent", "iŀlusió", "日本", "😀", "no"]


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "train.word"
    path.write_text("".join(f"{word}\n" for word in WORDS * 30), encoding="utf-8", newline="\n")
    write_dictionary(tmp_path / "dict.word.txt", dict.fromkeys(WORDS, 1))
    return path


def test_each_row_gets_its_own_label(stream: Path) -> None:
    labels = LabelStreams(stream.parent, "train", {"word": class_names(stream.parent, "word")})
    assert len(labels) == 30 * len(WORDS)
    assert [labels[row] for row in range(len(labels))] == list(range(len(WORDS))) * 30


def test_order_of_the_dictionary_is_the_order_of_the_classes(stream: Path) -> None:
    write_dictionary(stream.parent / "dict.word.txt", dict.fromkeys(reversed(WORDS), 1))
    labels = LabelStreams(stream.parent, "train", {"word": class_names(stream.parent, "word")})
    assert [labels[row] for row in range(len(WORDS))] == list(reversed(range(len(WORDS))))


def test_survives_pickling_for_the_workers(stream: Path) -> None:
    labels = pickle.loads(pickle.dumps(LabelStreams(stream.parent, "train", {"word": WORDS})))
    assert labels[1] == 1


def test_label_outside_the_dictionary_names_file_and_line(stream: Path) -> None:
    labels = LabelStreams(stream.parent, "train", {"word": WORDS[1:]})
    with pytest.raises(ValueError, match=r"train\.word:8: .*'plaça'") as error:
        labels[len(WORDS)]
    assert "fairseq-ext check" in str(error.value)


def test_missing_dictionary_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dict\.digit\.txt.*write_dictionary"):
        class_names(tmp_path, "digit")


def test_missing_stream_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.digit"):
        LabelStreams(tmp_path, "train", {"digit": ["0"]})
