"""The record of a manifest's spelling."""

import json
from pathlib import Path

import pytest

from fairseq_ext.text.spelling import NAME, Spelling, of_texts, read_spelling, write_spelling


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_spelling(tmp_path) is None
    for spelling in (
        Spelling("ca"),
        Spelling("", "upper", apostrophes=False),
        Spelling("fr", punctuation=True, rules=1),
    ):
        write_spelling(tmp_path, spelling)
        assert read_spelling(tmp_path) == spelling


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"language": 5}', b"\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / NAME).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"{NAME} is damaged: it must hold language"):
        read_spelling(tmp_path)


def test_a_record_of_other_types_is_refused(tmp_path: Path) -> None:
    write_spelling(tmp_path, Spelling("ca"))
    found = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(found | {"punctuation": "yes"}))
    with pytest.raises(ValueError, match="damaged"):
        read_spelling(tmp_path)


def test_texts_are_spelled_by_their_record() -> None:
    assert Spelling("ca")("L'home, 5!") == "l'home cinc"
    assert Spelling("it", "upper", apostrophes=False)("L'uomo") == "LUOMO"
    assert Spelling("ca", punctuation=True)(" L'home,  5!") == "L'home, 5!"
    assert Spelling("")("5!", "es") == "cinco"
    assert Spelling("sv-SE")("Å, ja!") == "å ja"  # no rules: letters are kept
    with pytest.raises(ValueError, match="case 'title' is unknown"):
        Spelling("ca", "title")
    with pytest.raises(ValueError, match="is not a code"):
        Spelling("x")


def test_choices_that_differ_are_refused() -> None:
    Spelling("pt-BR").check("m", language="pt", case="lower")
    Spelling("").check("m", language="pt")
    with pytest.raises(
        ValueError, match=r"m: the texts are spelled by ca, lower case, .*, and es was chosen"
    ):
        Spelling("ca").check("m", language="es")
    with pytest.raises(ValueError, match=r"and upper was chosen; leave out --case"):
        Spelling("ca").check("m", case="upper")


def test_texts_without_a_record_show_their_spelling() -> None:
    assert of_texts(["l'home", "vint-i-dos"], "ca") == Spelling("ca")
    assert of_texts(["L'HOME"], "ca") == Spelling("ca", "upper")
    assert of_texts(["vint-i-dos"], "es") == Spelling("es", punctuation=True)  # Spanish rules would change it
    assert of_texts(["L'home."], "ca") == Spelling("ca", punctuation=True)
