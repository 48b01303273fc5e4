"""Held-out speakers, overlaps and subsets of Common Voice."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.corpora.common_voice_classes import _stating
from fairseq_ext.corpora.common_voice_splits import (
    Division,
    agreed,
    drawn,
    official,
    unlabelled,
)
from fairseq_ext.corpora.recognition_partitions import Overlap, overlap, without_overlap
from fairseq_ext.manifest import Utterance
from fairseq_ext.splits import few_minutes, few_per_speaker

SECOND = 16000


def utterance(number: int, speaker: str, split: str = "validated", **facts: str | None) -> Utterance:
    text = facts.pop("text", None) or f"frase {number}"
    return Utterance(
        f"clip_{number}", f"clip_{number}.mp3", SECOND, transcript=text, speaker=speaker, split=split, **facts
    )


def text(u: Utterance) -> str:
    return u.transcript or ""


def corpus(speakers_per_accent: dict[str, int], clips: int = 4) -> list[Utterance]:
    names = [(accent, f"{accent}{i}") for accent, n in speakers_per_accent.items() for i in range(n)]
    return [
        utterance(number * 100 + clip, name, accent=accent)
        for number, (accent, name) in enumerate(names)
        for clip in range(clips)
    ]


def test_the_official_lists_hold_out_all_clips_of_their_speakers() -> None:
    clips = [
        utterance(1, "anna", "train"),
        utterance(2, "bert", "dev"),
        utterance(3, "carme", "test"),
        utterance(4, "carme"),
        utterance(5, "dora", "other"),
        utterance(6, "bert", "train"),
        utterance(7, "emma", "invalidated"),
        utterance(8, "carme", "dev"),
    ]
    division = official(clips)
    assert division.sides == {
        "anna": "train", "bert": "valid", "carme": "test", "dora": "train", "emma": "train"
    }  # fmt: skip
    sides = [division.labelled_side(u) for u in clips]
    assert sides == ["train", "valid", "test", None, None, "train", None, "valid"]
    assert [u.id for u in unlabelled(clips, division)] == ["clip_1", "clip_5"]
    assert [u.id for u in without_overlap(clips[:1] + clips[5:6], clips[1:3], text)] == ["clip_1"]


def test_overlap_counts_speakers_and_sentences() -> None:
    first = [utterance(1, "anna", text="hola"), utterance(2, "bert"), utterance(3, "carme", text="hola")]
    second = [utterance(4, "anna"), utterance(5, "emma", text="hola"), utterance(6, "emma", text="hola")]
    assert overlap(first, second, text) == Overlap(num_speakers=1, num_sentences=1, num_utterances=2)
    assert without_overlap(first, second, text) == [first[1]]
    assert overlap([first[1]], second, text) == Overlap(0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 12), min_size=1), st.integers(0, 5))
def test_every_accent_has_speakers_on_every_side(speakers: dict[str, int], seed: int) -> None:
    clips = corpus(speakers)
    division = drawn(clips, seed=seed)
    for accent, count in speakers.items():
        sides = Counter(division.sides[f"{accent}{i}"] for i in range(count))
        assert sides["test"] == (count >= 2)  # a tenth of at most 12, so one
        assert sides["valid"] == (count >= 3)
        assert sides["train"] == count - (count >= 2) - (count >= 3)
    shuffled = random.Random(seed).sample(clips, len(clips))
    assert drawn(shuffled, seed=seed) == division


def test_every_gender_has_speakers_on_every_side() -> None:
    clips = [
        utterance(100 * number + clip, f"s{number}", gender=("female", "male")[number % 2] if clip else None)
        for number in range(12)
        for clip in range(3)
    ]
    sides = drawn(clips, seed=1).sides
    assert {(number % 2, sides[f"s{number}"]) for number in range(12)} == {
        (gender, side) for gender in (0, 1) for side in ("train", "valid", "test")
    }


def test_a_speaker_of_half_the_corpus_trains() -> None:
    clips = corpus({"central": 20}) + [utterance(10_000 + i, "veu", accent="central") for i in range(80)]
    for seed in range(5):
        division = drawn(clips, seed=seed, test_share=0.2, valid_share=0.2)
        held_out = [u for u in clips if division.side(u) == "test"]
        assert division.sides["veu"] == "train"
        assert len(held_out) == 32
    assert len({tuple(sorted(drawn(clips, seed=seed).sides.items())) for seed in range(5)}) > 1


def test_only_validated_clips_are_labelled() -> None:
    clips = [utterance(i, "anna", s) for i, s in enumerate(["train", "validated", "other", "invalidated"])]
    assert [Division({"anna": "test"}).labelled_side(u) for u in clips] == ["test", "test", None, None]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(3, 60), st.integers(0, 3))
def test_small_sets_are_nested_and_spread(clips_per_speaker: list[int], seconds: int, seed: int) -> None:
    minutes = seconds / 60  # a clip lasts a second
    clips = [utterance(100 * s + i, f"s{s}") for s, n in enumerate(clips_per_speaker) for i in range(n)]
    small, large = few_minutes(clips, minutes / 2, seed=seed), few_minutes(clips, minutes, seed=seed)
    assert {u.id for u in small} <= {u.id for u in large}
    assert large == [u for u in clips if u in large]
    assert len(large) == min(seconds, len(clips))
    counts = Counter(u.speaker for u in large)
    most = max(counts.values())
    assert all(counts[f"s{s}"] >= min(n, most - 1) for s, n in enumerate(clips_per_speaker))


def test_few_per_speaker() -> None:
    clips = corpus({"central": 3}, clips=5)
    chosen = few_per_speaker(clips, 2, seed=1)
    assert Counter(u.speaker for u in chosen) == {"central0": 2, "central1": 2, "central2": 2}
    assert chosen == [u for u in clips if u in chosen]
    assert chosen != few_per_speaker(clips, 2, seed=2)


def test_what_one_clip_states_holds_for_the_speaker() -> None:
    clips = [
        utterance(1, "anna", accent="x", gender="x"),
        utterance(2, "anna"),
        utterance(3, "bert", accent="x", gender="x"),
        utterance(4, "bert", accent="y", gender="y"),
        utterance(5, "carme"),
    ]
    assert agreed(clips, lambda u: u.accent or "") == {"anna": "x"}
    assert agreed(clips, lambda u: u.gender or "") == {"anna": "x"}


def test_clips_of_speakers_who_state_something_keep_their_order() -> None:
    clips = [
        utterance(1, "anna", accent="x"),
        utterance(2, "bert"),
        utterance(3, "carme", gender="female"),
        utterance(4, "anna"),
    ]
    found = [(u.id, u.accent, u.gender) for u in _stating(clips)]
    assert found == [("clip_1", "x", None), ("clip_3", None, "female"), ("clip_4", "x", None)]
