"""Phrases for talking faces: disjoint sides, reproducible, small vocabulary."""

import pytest

from fairseq_ext.scoring.recognition.visemes import visemes
from fairseq_ext.synthetic.phrases import LANGUAGES, draw, vocabulary


@pytest.mark.parametrize("language", LANGUAGES)
def test_sides_share_no_phrase_and_all_words_are_known(language: str) -> None:
    sides = {side: {p.words for p in draw(language, side, 300, seed=3)} for side in ("train", "dev", "test")}
    assert [len(phrases) for phrases in sides.values()] == [300] * 3
    assert not sides["train"] & sides["dev"]
    assert not sides["train"] & sides["test"]
    assert not sides["dev"] & sides["test"]
    assert {word for words in sides["train"] for word in words} == vocabulary(language)


def test_fewer_are_the_first_of_many_and_seeds_differ() -> None:
    assert draw("fr", "dev", 5, seed=1) == draw("fr", "dev", 50, seed=1)[:5]
    assert draw("fr", "dev", 5, seed=1) != draw("fr", "dev", 5, seed=2)


def test_the_largest_number_can_be_drawn() -> None:
    assert len(draw("en", "test", 1200, seed=0)) == 1200


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="a language of"):
        draw("xx", "train", 1, seed=0)
    with pytest.raises(ValueError, match="ask for fewer"):
        draw("it", "train", 10**6, seed=0)


@pytest.mark.parametrize("language", ["fr", "it", "es", "pt"])
def test_words_that_look_alike_on_lips_are_told_apart_by_their_place(language: str) -> None:
    places = [
        sorted(set(column))
        for column in zip(*(p.words for p in draw(language, "train", 400, seed=3)), strict=True)
    ]
    looks = [["".join(visemes(word, language)) for word in words] for words in places]
    assert all(len(set(of_place)) == len(of_place) for of_place in looks)
    everywhere = [look for of_place in looks for look in of_place]
    assert len(set(everywhere)) < len(everywhere)
