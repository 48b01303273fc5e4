"""Batches of P classes x K recordings: each once, the same in any process; what is repeated is counted."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.data.class_batches import ClassBatches, Epoch

# Recordings of each speaker of each class.
Corpus = list[list[int]]
corpora = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=3, max_size=6)


def rows_of(corpus: Corpus) -> tuple[list[str], list[str]]:
    """Return class and speaker of each row."""
    names = [
        (f"c{number}", f"c{number}s{speaker}")
        for number, of_class in enumerate(corpus)
        for speaker, count in enumerate(of_class)
        for _ in range(count)
    ]
    return [label for label, _ in names], [speaker for _, speaker in names]


def batches_of(corpus: Corpus, classes: int, per_class: int) -> ClassBatches:
    """Make the batches of a corpus."""
    labels, speakers = rows_of(corpus)
    return ClassBatches(labels, speakers, range(len(labels)), classes, per_class)


@settings(deadline=None, max_examples=60)
@given(corpora, st.integers(2, 3), st.integers(2, 5), st.integers(1, 3))
def test_each_recording_once_and_each_batch_of_its_shape(
    corpus: Corpus, classes: int, per_class: int, epoch: int
) -> None:
    if sum(sum(of_class) > 1 for of_class in corpus) < classes:
        return
    made = batches_of(corpus, classes, per_class)
    labels, _ = rows_of(corpus)
    found = made.epoch(1, epoch)
    counts = Counter(row for batch in found.batches for row in batch)
    assert sorted([*counts, *made.left_out]) == list(range(len(labels)))
    assert found.num_rows == len(counts)
    assert found.num_repeated == sum(counts.values()) - len(counts)
    for batch in found.batches:
        assert len(set(batch)) == len(batch)  # none twice in a batch: its distance to itself is no positive
        sizes = Counter(labels[row] for row in batch)
        assert len(sizes) == classes
        for name, size in sizes.items():
            assert size == min(per_class, labels.count(name))


@settings(deadline=None, max_examples=60)
@given(corpora, st.integers(2, 5))
def test_recordings_of_a_class_are_of_different_speakers_where_it_has_them(
    corpus: Corpus, per_class: int
) -> None:
    if sum(sum(of_class) > 1 for of_class in corpus) < 2:
        return
    labels, speakers = rows_of(corpus)
    found = batches_of(corpus, 2, per_class).epoch(1, 1)
    same = 0
    for batch in found.batches:
        for name in {labels[row] for row in batch}:
            mine = [speakers[row] for row in batch if labels[row] == name]
            if (
                len({speaker for speaker, of in zip(speakers, labels, strict=True) if of == name})
                >= per_class
            ):
                assert len(set(mine)) == len(mine)
            same += sum(mine.count(speaker) > 1 for speaker in mine)
    assert found.num_same_speaker == same


def test_nothing_is_repeated_where_classes_allow_it() -> None:
    found = batches_of([[2, 2, 2, 2]] * 6, classes=3, per_class=4).epoch(1, 1)
    assert found == Epoch(found.batches, num_rows=48, num_repeated=0, num_same_speaker=0)
    assert found.describe() == "4 batches of 48 recordings, each once"


def test_what_is_repeated_is_stated() -> None:
    found = batches_of([[12], [4], [4]], classes=2, per_class=4).epoch(1, 1)
    assert (len(found.batches), found.num_rows, found.num_repeated) == (3, 20, 4)
    assert "4 repeated to fill batches (16.7 % of 24 places)" in found.describe()
    assert "24 share class and speaker" in found.describe()


def test_speaker_as_the_class_is_no_fault() -> None:
    names = [f"s{i // 4}" for i in range(16)]
    found = ClassBatches(names, names, range(16), 2, 4).epoch(1, 1)
    assert (found.num_same_speaker, found.num_repeated, len(found.batches)) == (0, 0, 2)


def test_class_with_one_recording_is_left_out() -> None:
    made = batches_of([[2], [1], [2, 1]], classes=2, per_class=2)
    assert made.left_out == [2]
    assert 2 not in {row for batch in made.epoch(1, 1).batches for row in batch}


def test_epochs_and_seeds_differ_and_each_is_drawn_again() -> None:
    made = batches_of([[3, 3]] * 4, classes=2, per_class=2)
    first = made.epoch(1, 1)
    assert batches_of([[3, 3]] * 4, classes=2, per_class=2).epoch(1, 1) == first
    assert made.epoch(1, 2).batches != first.batches
    assert made.epoch(2, 1).batches != first.batches


@pytest.mark.parametrize(
    ("classes", "per_class", "message"),
    [(1, 4, "2 or more expected"), (2, 1, "2 or more expected"), (5, 2, "set it to 3 or less")],
)
def test_batch_that_cannot_be_made_is_refused(classes: int, per_class: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches_of([[2, 2]] * 3, classes, per_class)
