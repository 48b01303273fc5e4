"""Visemes: homophenes look alike, in each language; their error rate."""

import pytest

from fairseq_ext.scoring.recognition.scores import figures, score_recognition
from fairseq_ext.scoring.recognition.visemes import LANGUAGES, visemes


def seen(text: str, language: str) -> str:
    return "".join(visemes(text, language))


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("en", "bin", "pin"), ("en", "bat man", "mat pan"), ("en", "fine", "vine"), ("en", "kate", "gate"),
        ("fr", "bain", "pain"), ("fr", "chou", "joue"), ("fr", "eau", "aux"), ("fr", "cent", "sent"),
        ("it", "cena", "gela"), ("it", "chiaro", "ghiaro"), ("it", "pane", "mane"),
        ("es", "vaca", "baca"), ("es", "casa", "gasa"), ("es", "ciento", "siento"), ("es", "bueno", "mueno"),
        ("pt", "faca", "vaga"), ("pt", "chá", "já"), ("pt", "senhor", "zelhor"),
    ],
)  # fmt: skip
def test_homophenes_look_alike(language: str, first: str, second: str) -> None:
    assert seen(first, language) == seen(second, language) != ""


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "the ship", "TCAP"), ("en", "six", "SAKS"), ("en", "happy", "KAPA"), ("en", "green", "KWAAD"),
        ("fr", "français", "FWADSAA"), ("it", "gnocchi", "DWKA"), ("es", "año", "ADW"), ("pt", "não", "DAW"),
        ("en", "it's a", "ADSA"), ("en", "", ""),
    ],
)  # fmt: skip
def test_letters_and_groups(language: str, text: str, expected: str) -> None:
    assert seen(text, language) == expected


def test_every_language_maps_every_letter_and_others_are_refused() -> None:
    for language in LANGUAGES:
        assert set(seen("abcdefghijklmnopqrstuvwxyz ç ñ", language)) <= set("FPWTCSDKA")
    assert seen("não", "pt-br") == seen("não", "pt")
    with pytest.raises(ValueError, match="one of en, fr, it, es, pt expected, found 'de'"):
        visemes("a", "de")


def test_rate_counts_homophenes_as_right() -> None:
    arguments = (["bin two", "set"], ["pin two", "let"], ["s1", "s2"], [None] * 2, [None] * 2, "en")
    found = score_recognition(*arguments, with_visemes=True)
    assert found["metrics"]["wer"]["value"] == pytest.approx(2 / 3)
    assert found["counts"]["visemes"]["substitutions"] == 1
    assert found["counts"]["visemes"]["num_reference"] == len(visemes("bin two set", "en"))
    assert "VER 11.1 %" in figures({"decoders": {"greedy": found}})
    assert "ver" not in score_recognition(*arguments)["metrics"]
