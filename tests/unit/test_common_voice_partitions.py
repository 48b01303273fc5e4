"""The partitions of Common Voice: what they hold, what they hold out, and the files they become."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from common_voice_rows import corpus

from fairseq_ext.corpora.common_voice_partitions import Choices, check_language, partitions
from fairseq_ext.corpora.common_voice_splits import drawn, official
from fairseq_ext.corpora.partition_sizes import balance, describe
from fairseq_ext.corpora.partitions import Partition, write
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, read_labels, read_manifest
from fairseq_ext.splits import assert_disjoint
from fairseq_ext.text.units import from_characters


def made(
    utterances: list[Utterance], choices: Choices, *, is_official: bool = True
) -> tuple[dict[str, Partition], list[str]]:
    notes: list[str] = []
    division = official(utterances) if is_official else drawn(utterances, seed=choices.seed)
    found = partitions(utterances, division, choices, on_note=notes.append)
    return {partition.name: partition for partition in found}, notes


CATALAN = Choices("ca", minutes=(1, 2, 60))


@pytest.mark.parametrize("is_official", [True, False])
def test_one_set_of_held_out_speakers_for_everything(is_official: bool) -> None:
    found, notes = made(corpus(), CATALAN, is_official=is_official)
    assert list(found) == [
        "asr",
        "asr_1min",
        "asr_2min",
        "ssl",
        "accent",
        "accent_leaky",
        "gender",
        "gender_leaky",
        "accent_gender",
        "accent_gender_leaky",
    ]
    honest = [p for p in found.values() if not p.shares_speakers]
    train = {u.speaker for p in honest for u in p.train}
    assert_disjoint(
        {"train": train, "valid and test": {u.speaker for p in honest for u in [*p.valid, *p.test]}}
    )
    for name in ("accent_leaky", "gender_leaky", "accent_gender_leaky"):
        leaky, held = found[name], found[name.removesuffix("_leaky")]
        assert {u.speaker for u in leaky.train} & {u.speaker for u in leaky.test}
        clips = [sorted(u.id for u in [*p.train, *p.valid, *p.test]) for p in (leaky, held)]
        assert clips[0] == clips[1]
        assert abs(len(leaky.test) - len(held.test)) <= 2
    assert "asr: train shares 0 speakers and 0 sentences with valid and test; 0 clips are left out" in notes
    assert any("asr_1h: asr has only" in note for note in notes)


def test_recognition_uses_the_official_lists() -> None:
    utterances = corpus()
    asr = made(utterances, CATALAN)[0]["asr"]
    assert asr.train == [u for u in utterances if u.split == "train"]
    assert asr.valid == [u for u in utterances if u.split == "dev"]
    assert asr.test == [u for u in utterances if u.split == "test"]


def test_small_sets_are_nested_and_share_everything_else() -> None:
    found, _ = made(corpus(), CATALAN)
    sizes = {name: len(found[name].train) for name in ("asr_1min", "asr_2min", "asr")}
    assert sizes == {"asr_1min": 6, "asr_2min": 12, "asr": 60}
    assert {u.id for u in found["asr_1min"].train} < {u.id for u in found["asr_2min"].train}
    assert len({u.speaker for u in found["asr_2min"].train}) == 12
    assert found["asr_1min"].test == found["asr"].test
    assert found["asr_1min"].dictionaries == found["asr"].dictionaries


def test_pretraining_leaves_out_invalidated_clips_and_held_out_speakers() -> None:
    utterances = corpus()
    ssl = made(utterances, CATALAN)[0]["ssl"]
    held_out = {u.speaker for u in utterances if u.split in {"dev", "test"}}
    assert [u.id for u in ssl.train] == [
        u.id for u in utterances if u.split != "invalidated" and u.speaker not in held_out
    ]
    assert {u.split for u in ssl.train} == {"train", "validated", "other"}
    assert {u.speaker for u in ssl.valid} == {u.speaker for u in utterances if u.split == "dev"}


def test_classes_are_those_the_speaker_states_once() -> None:
    found, _ = made(corpus(), Choices("ca", minutes=(), max_per_speaker=3))
    assert balance(found["accent"]) == {
        accent: {"train": (18, 6), "valid": (3, 1), "test": (3, 1)} for accent in ("central", "valencià")
    }
    assert describe(found["accent"], 16000) == [
        "accent        train 36 clips 0.10 h 12 speakers, valid 6 clips 0.02 h 2 speakers, "
        "test 6 clips 0.02 h 2 speakers",
        "  central           train 18 clips 6 speakers, valid 3 clips 1 speakers, test 3 clips 1 speakers",
        "  valencià          train 18 clips 6 speakers, valid 3 clips 1 speakers, test 3 clips 1 speakers",
    ]
    genders = balance(found["gender"])
    assert sum(row["train"][0] for row in genders.values()) == 36
    assert max(Counter(u.speaker for u in found["gender"].train).values()) == 3


def with_gaps() -> list[Utterance]:
    """`corpus`, where 0, 1, 12 and 14 state no accent, 2, 3 and 15 no gender, 5 another and 7 two; 9 states nothing."""
    unstated = {**dict.fromkeys(("speaker0", "speaker1", "speaker12", "speaker14", "speaker9"), "accent")}
    clips = [replace(u, accent=None) if u.speaker in unstated else u for u in corpus()]
    genders: dict[str, str | None] = {f"speaker{number}": None for number in (2, 3, 9, 15)}
    genders["speaker5"] = "other"
    clips = [replace(u, gender=genders[u.speaker]) if u.speaker in genders else u for u in clips]
    return [
        replace(u, gender="female" if u.id[-1] == "2" else "male") if u.speaker == "speaker7" else u
        for u in clips
    ]


def sides_of(partition: Partition, stream: str = "") -> dict[str, list[str]]:
    """Side -> ids, of the clips with a class in the stream; of all without one."""
    sides = {"train": partition.train, "valid": partition.valid, "test": partition.test}
    return {
        side: [u.id for u in own if not stream or partition.labels[stream](u)] for side, own in sides.items()
    }


@pytest.mark.parametrize("suffix", ["", "_leaky"])
@pytest.mark.parametrize("is_official", [True, False])
def test_both_streams_hold_the_clips_of_each(suffix: str, is_official: bool) -> None:
    found, _ = made(with_gaps(), Choices("ca", minutes=(), max_per_speaker=3), is_official=is_official)
    both = found[f"accent_gender{suffix}"]
    for stream in ("accent", "gender"):
        alone = found[stream + suffix]
        assert sides_of(both, stream) == sides_of(alone), stream
        assert both.dictionaries[stream] == alone.dictionaries[stream]
        assert alone.train
        assert alone.test
    lines = {
        u.speaker: [label(u) for label in both.labels.values()]
        for u in [*both.train, *both.valid, *both.test]
    }
    assert lines["speaker0"] == ["", "male"]
    assert lines["speaker3"] == lines["speaker5"] == lines["speaker7"] == ["valencià", ""]
    assert lines["speaker4"] == ["central", "male"]
    assert "speaker9" not in lines
    clips = Counter(u.speaker for u in [*both.train, *both.valid, *both.test])
    assert set(clips.values()) == {3}


def test_control_with_shared_speakers_deals_every_stream_out_evenly() -> None:
    clips = [
        replace(u, accent=u.accent if int(u.speaker[7:]) < 4 or u.split != "train" else None)
        for u in corpus()
    ]
    found, _ = made(clips, Choices("ca", minutes=()))
    for name in ("accent", "gender", "accent_gender"):
        sizes = {side: len(ids) for side, ids in sides_of(found[f"{name}_leaky"]).items()}
        assert abs(sizes["test"] - sizes["valid"]) <= 1, (name, sizes)
        total = sum(sizes.values())
        assert abs(sizes["test"] - total / 8) <= 1, (name, sizes)  # 8 folds: 2 of 16 speakers are in the test


def test_class_without_a_training_speaker_is_not_known_beside_one_that_is() -> None:
    clips = [replace(u, accent="balear") if u.speaker == "speaker14" and u.accent else u for u in corpus()]
    found, notes = made(clips, Choices("ca", minutes=()))
    assert "accent: no training speaker of balear; 5 clips of test are left out" in notes
    both = found["accent_gender"]
    assert {(label(u)) for u in both.test if u.speaker == "speaker14" for label in both.labels.values()} == {
        "",
        "female",
    }
    assert sides_of(both, "accent") == sides_of(found["accent"])


def test_one_stream_alone_is_not_set_beside_another() -> None:
    found, notes = made([replace(u, gender="female") for u in corpus()], Choices("ca", minutes=()))
    assert [name for name in found if "accent" in name or "gender" in name] == ["accent", "accent_leaky"]
    assert (
        "gender: 1 classes to train on and 11 clips to test on are too few (2 and 1 are needed); left out"
        in notes
    )
    found, _ = made([replace(u, accent=None, gender=None) for u in corpus()], Choices("ca", minutes=()))
    assert list(found) == ["asr", "ssl"]


def test_empty_line_where_a_class_is_not_stated(tmp_path: Path) -> None:
    found, _ = made(with_gaps(), Choices("ca", minutes=(), max_per_speaker=1))
    both = found["accent_gender"]
    write(both, tmp_path, tmp_path)
    rows = [read_labels(tmp_path, "test", "accent"), read_labels(tmp_path, "test", "gender")]
    assert list(zip(*rows, strict=True)) == [("", "female"), ("valencià", "")]
    assert [u.speaker for u in read_manifest(tmp_path, "test")] == ["speaker14", "speaker15"]
    assert read_dictionary(tmp_path / "dict.accent.txt") == ["central", "valencià"]
    assert read_dictionary(tmp_path / "dict.gender.txt") == ["female", "male"]
    assert describe(both, 16000)[1:] == [
        "  accent            train 9 of 11 clips, valid 1 of 2 clips, test 1 of 2 clips",
        "  gender            train 7 of 11 clips, valid 2 of 2 clips, test 1 of 2 clips",
    ]


def test_files_of_catalan_byte_for_byte(tmp_path: Path) -> None:
    found, _ = made(corpus(), CATALAN)
    write(found["asr"], tmp_path / "asr", tmp_path)
    write(found["ssl"], tmp_path / "ssl", tmp_path)
    write(found["accent"], tmp_path / "accent", tmp_path)
    wrd = (tmp_path / "asr" / "train.wrd").read_bytes().split(b"\n")[0]
    assert wrd == b"el col\xc2\xb7legi de la pla\xc3\xa7a all\xc3\xa0 un"
    ltr = list(read_labels(tmp_path / "asr", "train", "ltr"))
    assert ltr[0].startswith("e l | c o l · l e g i | d e | l a | p l a ç a | a l l à |")
    assert [from_characters(row.split()) for row in ltr] == list(
        read_labels(tmp_path / "asr", "train", "wrd")
    )
    assert {"|", "ç", "à", "·"} <= set(read_dictionary(tmp_path / "asr" / "dict.ltr.txt"))
    first = next(read_manifest(tmp_path / "asr", "train"))
    assert first.transcript == "El coŀlegi de la plaça, allà: 1!"
    assert sorted(p.name for p in (tmp_path / "ssl").iterdir()) == [
        "train.meta.tsv", "train.tsv", "valid.meta.tsv", "valid.tsv"
    ]  # fmt: skip
    assert read_dictionary(tmp_path / "accent" / "dict.accent.txt") == ["central", "valencià"]
    assert set(read_labels(tmp_path / "accent", "test", "accent")) == {"central", "valencià"}


def test_shared_sentences_are_left_out_of_training_and_counted() -> None:
    utterances = corpus()
    test = next(u for u in utterances if u.split == "test")
    same = Utterance("copy", "copy.flac", 16000, transcript="EL COL·LEGI de la plaça allà vuitanta-cinc", speaker="z",
                     split="train")  # fmt: skip
    assert test.transcript == "El coŀlegi de la plaça, allà: 85!"
    found, notes = made([*utterances, same], CATALAN)
    assert same not in found["asr"].train
    assert "asr: train shares 0 speakers and 1 sentences with valid and test; 1 clips are left out" in notes
    found, _ = made([*utterances, same], Choices("ca", keep_shared_sentences=True))
    assert same in found["asr"].train


def test_a_speaker_of_the_test_list_does_not_train() -> None:
    stray = Utterance("stray", "stray.flac", 16000, transcript="Adéu", speaker="speaker14", split="train")
    found, notes = made([*corpus(), stray], CATALAN)
    assert all(stray not in p.train for p in found.values() if not p.shares_speakers)
    assert any("train shares 1 speakers" in note for note in notes)


def test_what_cannot_be_asked_is_left_out_with_a_note() -> None:
    utterances = [u for u in corpus() if u.accent != "valencià" or u.split != "train"]
    utterances.append(Utterance("silent", "silent.flac", 16000, transcript="...", speaker="z", split="train"))
    found, notes = made(utterances, CATALAN)
    assert "accent" not in found
    assert any(
        n.startswith("accent: no training speaker of valencià; 6 clips of test are left out") for n in notes
    )
    assert any(n.startswith("accent: 1 classes to train on") for n in notes)
    assert "asr: 1 clips of train have no letter in their transcript and are left out" in notes
    with pytest.raises(ValueError, match="asr: no clip to train on; see above"):
        made([u for u in utterances if u.split == "test"], CATALAN)


def test_unknown_language() -> None:
    with pytest.raises(ValueError, match="language 'x!' is not a code such as ca, "):
        Choices("x!")


@pytest.mark.parametrize("wrong", [{"minutes": (10, 0)}, {"max_per_speaker": 0}, {"sample_rate_hz": -1}])
def test_numbers_of_which_nothing_can_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))}: .*(too small|not all above 0)"):
        Choices("ca", **wrong)


def test_mistyped_language_is_not_one_without_rules() -> None:
    notes: list[str] = []
    for language, stated in (("ca", "ca"), ("eu", "eu"), ("sv_SE", "sv-SE"), ("eu", None)):
        check_language(language, stated, on_note=notes.append)
    assert notes == []
    check_language("es", "ast", on_note=notes.append)
    assert notes == ["the rows are of 'ast', their sentences are spelled by the rules of 'es'"]
    with pytest.raises(ValueError, match=r"language 'cat' has no rules and is not 'ca', .* column locale"):
        check_language("cat", "ca")


def test_upper_case() -> None:
    found, _ = made(corpus(), Choices("ca", case="upper"))
    labels = found["asr"].labels
    assert labels["ltr"](found["asr"].train[0]).startswith("E L | C O L · L E G I | D E | L A | P L A Ç A |")


def test_control_without_a_class_to_train_on_is_left_out() -> None:
    clips = corpus()
    rare = next(u.id for u in clips if u.accent and u.split == "train")
    clips = [replace(u, accent="balear" if u.id == rare else u.accent and "central") for u in clips]
    clips = [replace(u, speaker="somebody") if u.id == rare else u for u in clips]
    kept = set()
    for seed in range(12):
        found, notes = made(clips, Choices("ca", minutes=(), seed=seed))
        is_kept = "accent_leaky" in found
        kept.add(is_kept)
        if is_kept:
            assert rare in {u.id for u in found["accent_leaky"].train}
        else:
            assert "accent_leaky: no clip to train on of balear; left out" in notes
        assert "accent" in found
    assert kept == {True, False}
