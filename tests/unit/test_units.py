"""Units: texts are unchanged after conversion and back, dictionaries are sorted."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.dictionary import read_dictionary, write_dictionary
from fairseq_ext.files import read_lines
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.text.units import (
    SentencePieces,
    are_pieces,
    count_units,
    from_characters,
    from_pieces,
    to_characters,
    train_pieces,
)

SENTENCES = [
    "la plaça del coŀlegi",
    "hola món, allà a l'institut",
    "és la col·lecció d'en Pròsper",
    "l'àvia menja una poma a la plaça",
] * 5


@pytest.fixture(scope="module")
def pieces() -> SentencePieces:
    return train_pieces(SENTENCES, 60)


def test_characters_are_spelled_with_word_ends() -> None:
    assert " ".join(to_characters("HOLA  MÓN")) == "H O L A | M Ó N |"
    assert to_characters("coŀlegi") == [*"coŀlegi", "|"]
    assert to_characters(" ") == []
    assert from_characters(["h", "o", "l", "a", "|", "m", "ó", "n"]) == "hola món"
    assert from_characters(["|", "ç", "|", "|", "à"]) == "ç à"


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"])))
def test_characters_return_as_the_same_text(text: str) -> None:
    assert from_characters(to_characters(text)) == " ".join(text.split())


def test_a_word_end_inside_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"contains '\|', which marks"):
        to_characters("a | b")


@pytest.mark.parametrize("text", SENTENCES[:4])
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_return_as_the_same_text_byte_for_byte(text: str, kind: str) -> None:
    model = train_pieces(SENTENCES, 60, kind=kind)
    assert model.decode(model.encode(text)).encode() == text.encode()
    assert set(model.encode(text)) <= set(model.symbols)


def test_pieces_keep_unseen_characters(pieces: SentencePieces) -> None:
    assert pieces.decode(pieces.encode("el niño")) == "el niño"
    assert set(pieces.encode("el niño")) - set(pieces.symbols) == {"ñ"}
    assert pieces.encode("") == []


def test_pieces_train_the_same_twice_and_survive_a_file(pieces: SentencePieces, tmp_path: Path) -> None:
    assert train_pieces(iter(SENTENCES), 60).symbols == pieces.symbols
    pieces.save(tmp_path / "ca.model")
    again = SentencePieces.load(tmp_path / "ca.model")
    assert again.model == pieces.model
    assert again.encode("la plaça") == pieces.encode("la plaça")
    assert "<unk>" not in pieces.symbols
    assert len(pieces.symbols) <= 60


def test_bad_pieces_are_refused(tmp_path: Path) -> None:
    for texts in ([], ["", "  "]):
        with pytest.raises(ValueError, match="the texts have no words; give others"):
            train_pieces(texts, 60)
    num_characters = len({"▁", *"".join(SENTENCES)} - {" "})
    with pytest.raises(
        ValueError, match=f"{num_characters} pieces or more expected, .* found {num_characters - 1};"
    ):
        train_pieces(SENTENCES, num_characters - 1)
    train_pieces(SENTENCES, num_characters)
    with pytest.raises(ValueError, match="unigram or bpe"):
        train_pieces(SENTENCES, 60, kind="word")
    with pytest.raises(ValueError, match=r"are not a \.model file"):
        SentencePieces(b"no model")


def test_pieces_and_characters_are_distinguished(pieces: SentencePieces) -> None:
    assert are_pieces(["<s>", *pieces.symbols])
    assert not are_pieces(["<s>", "|", *"abcç"])
    assert from_pieces(["▁co", "ŀ", "legi", "▁", "nou"]) == "coŀlegi nou"


def test_dictionary_is_sorted_and_readable_by_the_manifest(tmp_path: Path) -> None:
    counts = count_units(map(to_characters, ["ça va", "à la plaça"]))
    assert list(counts.items())[:2] == [("a", 5), ("|", 5)]
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert [u for u, n in counts.items() if n == 1] == ["p", "v", "à"]
    write_dictionary(tmp_path / "dict.ltr.txt", counts)
    assert read_dictionary(tmp_path / "dict.ltr.txt") == list(counts)


def test_units_are_unchanged_in_a_label_file(tmp_path: Path) -> None:
    rows = [Utterance(str(i), f"{i}.wav", 1, transcript=text) for i, text in enumerate(SENTENCES[:4])]
    labels = {"ltr": lambda u: " ".join(to_characters(u.transcript or ""))}
    write_manifest(tmp_path, "train", rows, root=tmp_path, labels=labels)
    read = [from_characters(line.split(" ")) for line in read_lines(tmp_path / "train.ltr")]
    assert read == SENTENCES[:4]
