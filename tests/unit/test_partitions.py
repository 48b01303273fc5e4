"""Partitions that no corpus owns: who is held out, what they are called, and the files they become."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_ext.corpora.partition_sizes import balance, describe
from fairseq_ext.corpora.partitions import (
    Partition,
    cross_corpus,
    few_labelled_minutes,
    few_labels,
    leaky_control,
    leave_one_out,
    map_labels,
    published,
    side_by_lists,
    with_classes,
    write,
)
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, read_root
from fairseq_ext.splits import assert_disjoint

CORPUS = [
    Utterance(f"{emotion}_{speaker}_{take}", f"{emotion}_{speaker}_{take}.wav", 16000, speaker=speaker)
    for speaker in ("òscar", "anna", "pau", "laia")
    for emotion in ("calm", "sad")
    for take in range(3)
]


def emotion(utterance: Utterance) -> str:
    return utterance.id.split("_")[0]


def speakers(utterances: list[Utterance]) -> set[str]:
    return {u.speaker or "" for u in utterances}


def ids(utterances: list[Utterance]) -> set[str]:
    return {u.id for u in utterances}


def test_speaker_on_both_sides_is_refused_except_in_a_leaky_control() -> None:
    train, test = CORPUS[::2], CORPUS[1::2]
    with pytest.raises(ValueError, match="speaker anna is in two splits"):
        Partition("mine", train, test=test)
    with pytest.raises(ValueError, match="speaker anna is in two splits"):
        Partition("mine", train, valid=test)
    assert Partition("mine", train, test=test, shares_speakers=True).sides == {
        "train": train,
        "valid": [],
        "test": test,
    }


def test_published_lists_of_speakers_and_of_ids() -> None:
    side = side_by_lists({"train": ["anna", "òscar"], "valid": ["calm_pau_0"], "test": ["laia"]})
    partition = published(CORPUS, side)
    assert (partition.name, speakers(partition.train), speakers(partition.test)) == (
        "published",
        {"anna", "òscar"},
        {"laia"},
    )
    assert ids(partition.valid) == {"calm_pau_0"}  # the other recordings of pau are in no list
    with pytest.raises(ValueError, match="'anna' is in the lists train and test; delete it"):
        side_by_lists({"train": ["anna"], "test": ["anna"]})
    with pytest.raises(ValueError, match="list 'dev': there is no such side"):
        side_by_lists({"dev": ["anna"]})


def test_leave_one_out_covers_everyone_once() -> None:
    folds = list(leave_one_out("loso", CORPUS))
    assert [fold.name for fold in folds] == ["loso/anna", "loso/laia", "loso/pau", "loso/òscar"]
    for fold in folds:
        assert speakers(fold.test) == {fold.name.removeprefix("loso/")}
        assert_disjoint({"train": [u.speaker for u in fold.train], "test": [u.speaker for u in fold.test]})
        assert ids(fold.train) | ids(fold.test) == ids(CORPUS)
        assert fold.valid == []


def test_validation_speakers_are_taken_from_the_training_speakers() -> None:
    folds = list(leave_one_out("loso", CORPUS, with_valid=True))
    assert [(speakers(f.test), speakers(f.valid)) for f in folds[:2]] == [
        ({"anna"}, {"laia"}),
        ({"laia"}, {"pau"}),
    ]
    assert Counter(u.id for f in folds for u in f.valid) == Counter(ids(CORPUS))
    assert all(len(speakers(f.train)) == 2 for f in folds)
    two = [u for u in CORPUS if u.speaker in {"anna", "pau"}]
    assert all(f.train and not f.valid for f in leave_one_out("loso", two, with_valid=True))


def test_leave_one_out_needs_two() -> None:
    with pytest.raises(ValueError, match=r"2 speakers or more are needed to leave one out, found \['pau'\]"):
        list(leave_one_out("loso", [u for u in CORPUS if u.speaker == "pau"]))
    with pytest.raises(ValueError, match="utterance 'x' has no speaker"):
        list(leave_one_out("loso", [*CORPUS, Utterance("x", "x.wav", 1)]))


@given(
    sizes=st.lists(st.integers(1, 9), min_size=4, max_size=12),
    max_folds=st.integers(2, 12),
    valid=st.booleans(),
)
def test_grouped_folds_are_disjoint_and_about_equal(sizes: list[int], max_folds: int, valid: bool) -> None:
    corpus = [
        Utterance(f"{s}_{i}", f"{s}_{i}.wav", 1, speaker=str(s))
        for s, n in enumerate(sizes)
        for i in range(n)
    ]
    folds = list(leave_one_out("loso", corpus, max_folds=max_folds, with_valid=valid))
    assert len(folds) == min(max_folds, len(sizes))
    assert Counter(u.id for f in folds for u in f.test) == Counter(ids(corpus))
    assert max(len(f.test) for f in folds) - min(len(f.test) for f in folds) <= max(sizes)
    assert all(f.train and f.test for f in folds)


def test_groups_other_than_speakers_may_not_share_one() -> None:
    place = {"anna": "Reus", "laia": "Reus", "pau": "Alacant", "òscar": "Vic"}
    folds = list(leave_one_out("place", CORPUS, group=lambda u: place[u.speaker or ""]))
    assert [(f.name, speakers(f.test)) for f in folds] == [
        ("place/Alacant", {"pau"}),
        ("place/Reus", {"anna", "laia"}),
        ("place/Vic", {"òscar"}),
    ]
    with pytest.raises(ValueError, match=r"speaker òscar is in the groups 0 and 1, .*join the groups"):
        list(leave_one_out("take", CORPUS, group=lambda u: u.id[-1]))


def test_names_of_folds_are_safe_in_paths() -> None:
    odd = {"anna": "../a b", "laia": "c/d", "pau": "e", "òscar": "f"}
    corpus = [replace(u, speaker=odd[u.speaker or ""]) for u in CORPUS]
    assert [f.name for f in leave_one_out("loso", corpus)] == ["loso/_a_b", "loso/c_d", "loso/e", "loso/f"]
    same = [replace(u, speaker={"anna": "a b", "laia": "a/b"}.get(u.speaker or "", "x")) for u in CORPUS]
    with pytest.raises(ValueError, match="are not different in letters"):
        list(leave_one_out("loso", same))


def test_few_labels_are_nested_and_keep_the_test() -> None:
    base = published(CORPUS, side_by_lists({"train": ["anna", "pau"], "valid": ["laia"], "test": ["òscar"]}))
    one, two = few_labels("labels", base, (1, 2), emotion)
    assert (one.name, len(one.train), two.name, len(two.train)) == ("labels/1", 4, "labels/2", 8)
    assert ids(one.train) < ids(two.train)
    assert (one.test, one.valid) == (base.test, [])


def test_few_minutes_are_named_by_their_length() -> None:
    base = replace(published(CORPUS, side_by_lists({"train": ["anna", "pau"], "test": ["laia"]})), name="asr")
    few = few_labelled_minutes(base, 0.1, sample_rate_hz=16000)
    assert few is not None
    assert (few.name, len(few.train), few.test) == ("asr_0.1min", 6, base.test)
    assert few_labelled_minutes(base, 60, sample_rate_hz=16000) is None


def test_leaky_control_shares_speakers_and_says_so() -> None:
    folds = list(leaky_control("leaky", CORPUS, 3, seed=1))
    assert [f.name for f in folds] == ["leaky/0", "leaky/1", "leaky/2"]
    assert all(f.shares_speakers and speakers(f.train) & speakers(f.test) for f in folds)


def test_labels_are_mapped_and_what_is_dropped_is_counted() -> None:
    classes, dropped = map_labels(CORPUS, emotion, {"calm": "neutral", "sad": ""})
    assert set(classes.values()) == {"neutral"}
    assert dropped == {"sad": 12}
    assert map_labels(CORPUS, emotion, {})[1] == {"calm": 12, "sad": 12}


def test_cross_corpus_keeps_speakers_of_one_name_apart(tmp_path: Path) -> None:
    other = [replace(u, id=f"{u.id}_x", path=f"x/{u.path}") for u in CORPUS]
    ours, _ = map_labels(CORPUS, emotion, {"calm": "low", "sad": "sad"})
    theirs, dropped = map_labels(other, emotion, {"calm": "low"})
    partition = cross_corpus(
        "ours_to_theirs",
        ("ours", CORPUS, ours),
        ("theirs", other, theirs),
        stream="emotion",
        valid_share=0.25,
    )
    assert dropped == {"sad": 12}
    assert (len(partition.train), len(partition.valid), len(partition.test)) == (18, 6, 12)
    assert speakers(partition.test) == {"theirs/anna", "theirs/laia", "theirs/pau", "theirs/òscar"}
    roots = {"train": tmp_path / "ours", "valid": tmp_path / "ours", "test": tmp_path / "theirs"}
    write(partition, tmp_path / "manifests", roots)
    assert read_root(tmp_path / "manifests", "test") == tmp_path / "theirs"
    assert set(read_labels(tmp_path / "manifests", "test", "emotion")) == {"low"}
    assert read_dictionary(tmp_path / "manifests" / "dict.emotion.txt") == ["low", "sad"]
    with pytest.raises(ValueError, match=r"the classes \['sad'\] of theirs do not occur in ours; map them"):
        cross_corpus("x", ("ours", CORPUS, dict.fromkeys(ours, "low")), ("theirs", other, {"sad_anna_0_x": "sad"}),
                     stream="emotion")  # fmt: skip
    nobody = [replace(u, speaker=None) for u in CORPUS]
    with pytest.raises(ValueError, match="has no speaker"):
        cross_corpus("x", ("ours", nobody, ours), ("theirs", other, theirs), stream="emotion")


def test_files_of_a_partition(tmp_path: Path) -> None:
    base = published(CORPUS, side_by_lists({"train": ["anna", "pau"], "test": ["laia"]}))
    partition = with_classes(base, "emotion", emotion, ("sad", "calm", "angry"))
    write(partition, tmp_path / "published", tmp_path)
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == [
        "dict.emotion.txt", "test.emotion", "test.meta.tsv", "test.tsv",
        "train.emotion", "train.meta.tsv", "train.tsv",
    ]  # fmt: skip
    text = (tmp_path / "published" / "dict.emotion.txt").read_text(encoding="utf-8")
    assert text == "sad 6\ncalm 6\nangry 0\n"
    assert list(read_manifest(tmp_path / "published", "train")) == base.train
    assert balance(partition)["sad"] == {"train": (6, 2), "valid": (0, 0), "test": (3, 1)}
    assert describe(partition, 16000)[-1].split(maxsplit=1) == [
        "angry",
        "train 0 clips 0 speakers, valid 0 clips 0 speakers, test 0 clips 0 speakers",
    ]
