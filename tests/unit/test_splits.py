"""Splits: disjoint speakers, full coverage, the same result in whatever order the utterances come."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.manifest import Utterance
from fairseq_ext.splits import (
    assert_disjoint,
    by_speaker,
    few_per_class_and_speaker,
    random_folds,
)

CORPUS = [
    Utterance(f"{digit}_{speaker}_{index}", f"{digit}_{speaker}_{index}.wav", 800, speaker=speaker)
    for speaker in ("òscar", "anna", "pau")
    for digit in "012"
    for index in range(6)
]
seeds = st.integers(0, 2**32)


def digit(utterance: Utterance) -> str:
    return utterance.id[0]


def ids(utterances: list[Utterance]) -> set[str]:
    return {u.id for u in utterances}


def shuffled() -> list[Utterance]:
    return random.Random(7).sample(CORPUS, len(CORPUS))


def test_disjoint_speakers_pass() -> None:
    assert_disjoint({"train": ["a", "b", "a"], "valid": ["c"], "test": []})


def test_shared_speaker_is_named_with_both_splits() -> None:
    with pytest.raises(ValueError, match="speaker à is in two splits, train and test; move"):
        assert_disjoint({"train": ["à", "b"], "valid": ["c"], "test": ["d", "à"]})


@pytest.mark.parametrize("unknown", [None, ""])
def test_unknown_speaker_is_not_taken_for_disjoint(unknown: str | None) -> None:
    with pytest.raises(ValueError, match="split test: an utterance has no speaker"):
        assert_disjoint({"train": ["a"], "test": ["b", unknown]})


def test_by_speaker_names_the_utterance_without_one() -> None:
    with pytest.raises(ValueError, match="utterance 'x' has no speaker"):
        by_speaker([Utterance("x", "x.wav", 1)])


@settings(deadline=None)
@given(k=st.integers(2, len(CORPUS)), seed=seeds)
def test_random_folds_partition(k: int, seed: int) -> None:
    folds = list(random_folds(CORPUS, k, seed))
    counts = Counter(u.id for _, test in folds for u in test)
    assert counts == Counter(u.id for u in CORPUS)
    assert max(len(t) for _, t in folds) - min(len(t) for _, t in folds) <= 1
    assert all(ids(train) == ids(CORPUS) - ids(test) for train, test in folds)


def test_random_folds_depend_on_the_seed_and_not_on_the_order() -> None:
    first = [ids(test) for _, test in random_folds(CORPUS, 3, 1)]
    assert [ids(test) for _, test in random_folds(shuffled(), 3, 1)] == first
    assert [ids(test) for _, test in random_folds(CORPUS, 3, 2)] != first


def test_random_folds_share_speakers_as_their_docstring_says() -> None:
    train, test = next(iter(random_folds(CORPUS, 3, 1)))
    with pytest.raises(ValueError, match="is in two splits"):
        assert_disjoint({"train": [u.speaker for u in train], "test": [u.speaker for u in test]})
    assert "Leaky" in (random_folds.__doc__ or "")


@pytest.mark.parametrize("k", [0, 1, len(CORPUS) + 1])
def test_random_folds_refuse_impossible_k(k: int) -> None:
    with pytest.raises(ValueError, match=f"{k} random folds of"):
        list(random_folds(CORPUS, k, 1))


@settings(deadline=None)
@given(n=st.integers(1, 6), seed=seeds)
def test_few_takes_n_of_each_and_nests(n: int, seed: int) -> None:
    chosen = few_per_class_and_speaker(CORPUS, n, digit, seed)
    assert Counter((u.speaker, digit(u)) for u in chosen) == {
        (s, d): n for s in ("òscar", "anna", "pau") for d in "012"
    }
    assert chosen == [u for u in CORPUS if u in chosen]  # the order of the input
    if n > 1:
        assert ids(few_per_class_and_speaker(CORPUS, n - 1, digit, seed)) < ids(chosen)


def test_few_depends_on_the_seed_and_not_on_order_or_on_the_rest_of_the_corpus() -> None:
    first = ids(few_per_class_and_speaker(CORPUS, 2, digit, 1))
    assert ids(few_per_class_and_speaker(shuffled(), 2, digit, 1)) == first
    assert ids(few_per_class_and_speaker(CORPUS, 2, digit, 2)) != first
    only_pau = [u for u in CORPUS if u.speaker == "pau"]
    assert ids(few_per_class_and_speaker(only_pau, 2, digit, 1)) == ids(only_pau) & first


def test_few_takes_all_when_there_are_fewer_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert few_per_class_and_speaker(CORPUS, 7, digit, 1) == CORPUS
    assert "speaker anna, class 0: only 6 of 7 utterances found" in caplog.text


def test_few_refuses_zero() -> None:
    with pytest.raises(ValueError, match="cannot draw 0 utterances"):
        few_per_class_and_speaker(CORPUS, 0, digit, 1)
