"""Folds of speakers balanced in gender, validation inside the training speakers, unseen sentences."""

from collections import Counter
from itertools import chain

import pytest

from fairseq_ext.corpora.balanced_folds import balanced_folds, parts_of, unseen_too, with_valid_speakers
from fairseq_ext.manifest import Utterance
from fairseq_ext.splits import draw_speakers


def gender(utterance: Utterance) -> str:
    return utterance.gender or ""


def sentence(utterance: Utterance) -> str:
    return utterance.transcript or ""


def speech(men: int, women: int, sentences: str = "ab") -> list[Utterance]:
    """Return an utterance per speaker and sentence."""
    speakers = [(f"m{i}", "male") for i in range(men)] + [(f"w{i}", "female") for i in range(women)]
    return [
        Utterance(
            f"{speaker}_{text}", f"{speaker}_{text}.wav", 100, transcript=text, speaker=speaker, gender=of
        )
        for speaker, of in speakers
        for text in sentences
    ]


def speakers(utterances: list[Utterance]) -> Counter[str]:
    """Return gender -> number of speakers."""
    return Counter(of for _, of in {(u.speaker, gender(u)) for u in utterances})


def test_folds_hold_as_many_of_each_gender() -> None:
    utterances = speech(12, 12)
    folds = list(balanced_folds("unseen", utterances, 6, strata=[gender]))
    assert [fold.name for fold in folds] == [f"unseen/fold{i:02d}" for i in range(1, 7)]
    assert all(speakers(fold.test) == {"male": 2, "female": 2} for fold in folds)
    assert all(len(fold.train) + len(fold.test) == len(utterances) for fold in folds)
    assert sorted(u.id for fold in folds for u in fold.test) == sorted(u.id for u in utterances)


def test_uneven_numbers_differ_by_one_at_most() -> None:
    folds = list(balanced_folds("unseen", speech(48, 43), 5, strata=[gender]))
    found = [speakers(fold.test) for fold in folds]
    assert {count["male"] for count in found} == {9, 10}
    assert {count["female"] for count in found} == {8, 9}
    assert {sum(count.values()) for count in found} == {18, 19}


def test_the_seed_decides_and_the_order_does_not() -> None:
    utterances = speech(6, 6)

    def tested(seed: int, given: list[Utterance]) -> list[set[str | None]]:
        return [
            {u.speaker for u in f.test} for f in balanced_folds("f", given, 3, strata=[gender], seed=seed)
        ]

    assert tested(1, utterances) == tested(1, utterances[::-1])
    assert tested(1, utterances) != tested(2, utterances)


def test_few_speakers_make_fewer_folds_and_one_speaker_none() -> None:
    assert len(list(balanced_folds("unseen", speech(2, 1), 6, strata=[gender]))) == 3
    with pytest.raises(ValueError, match=r"2 speakers or more .* found \['m0'\].*--partitions leaky"):
        list(balanced_folds("unseen", speech(1, 0), 6, strata=[gender]))


def test_validation_is_of_training_speakers_of_each_gender() -> None:
    for fold in balanced_folds("unseen", speech(12, 12), 6, strata=[gender]):
        held_out = with_valid_speakers(fold, stratum=gender)
        assert speakers(held_out.valid) == {"male": 1, "female": 1}
        assert speakers(held_out.train) == {"male": 9, "female": 9}
        assert held_out.test == fold.test
    assert draw_speakers(speech(2, 2), 0.1, stratum=gender, seed=1) == set()
    assert len(draw_speakers(speech(4, 4), 0.1, stratum=lambda _: "", seed=1)) == 1


def test_sentences_of_the_test_are_in_no_training_and_each_is_tested_once() -> None:
    utterances = speech(12, 12, "abcde")
    parts = parts_of(utterances, sentence)
    assert sorted(map(len, parts)) == [2, 3]
    folds = [
        with_valid_speakers(f, stratum=gender) for f in balanced_folds("u", utterances, 6, strata=[gender])
    ]
    both = list(chain.from_iterable(unseen_too(fold, sentence, parts) for fold in folds))
    assert [p.name for p in both[:3]] == ["u/fold01_part1", "u/fold01_part2", "u/fold02_part1"]
    for partition in both:
        trained = {sentence(u) for u in [*partition.train, *partition.valid]}
        assert not trained & {sentence(u) for u in partition.test}
    assert sorted(u.id for p in both for u in p.test) == sorted(u.id for u in utterances)
    with pytest.raises(ValueError, match="2 values or more are needed"):
        parts_of(speech(1, 1, "a"), sentence)
