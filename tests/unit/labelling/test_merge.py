"""Merging labels and transcripts into manifests: disjoint splits, no automatic label in a test, all clips counted."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from merged_clips import AVS, LABELS, PUBLISHED, SETTINGS, TALK, TUBE, VOX, auto, clip, everything, record

from fairseq_ext.labelling import merge as merging
from fairseq_ext.labelling.filters import FilterSettings
from fairseq_ext.labelling.manifests import describe, summary, write_partitions
from fairseq_ext.labelling.merge import HUMAN, Merged, MergeSettings, TranscribedClip, merge
from fairseq_ext.labelling.published import read_published
from fairseq_ext.labelling.table import write_labels
from fairseq_ext.manifest import read_manifest, write_manifest

TOOL = Path(__file__).parents[3] / "tools" / "merge_labels.py"


def test_every_clip_has_a_text_or_a_reason() -> None:
    clips, labels, published = everything()
    found = merge(clips, labels, published, SETTINGS)
    texts = {r.utterance.id: (r.utterance.split, r.source, r.utterance.transcript) for r in found.clips}
    assert texts == {
        f"fr/train/{TALK}_0001": ("train", HUMAN, "et pourtant on vient tous de locéan"),
        "fr/valid/2valid2vali_0001": ("valid", HUMAN, "merci"),
        "fr/test/3test3test3_0001": ("test", HUMAN, "c'est ça"),
        "it/train/4italia4ita_0001": ("train", HUMAN, "perché no"),
        "it/test/5prova5prov_0001": ("test", HUMAN, "sì"),
        VOX: ("train", "large-v2", "oui l'océan douze fois"),
        AVS: ("train", "large-v2", "grazie mille a tutti"),
    }
    assert found.rejected == Counter({
        ("fr", "held_out"): 2,  # one of a video in test, and one in test without a transcript
        ("fr", "script"): 1, ("fr", "empty_transcript"): 1, ("de", "other_language"): 1,
        ("en", "other_language"): 1, ("", "no_label"): 1,
    })  # fmt: skip
    assert len(found.clips) + found.rejected.total() == len(clips)


def test_a_sentence_that_a_recogniser_repeats_is_kept_once_and_counted() -> None:
    twice = auto("a", "oui l'océan douze fois, oui l'océan douze fois,", speech_s=1.0)
    found = merge([clip("a")], [twice], {}, SETTINGS)
    assert [(c.utterance.transcript, c.was_repeated) for c in found.clips] == [
        ("oui l'océan douze fois", True)
    ]
    counted = summary(found, SETTINGS)
    assert (counted["num_kept"], counted["num_repeated"]) == (1, 1)
    assert "1 of their texts said a phrase more often than it can be spoken; one copy is kept" in describe(
        counted
    )
    strict = replace(SETTINGS, filters=FilterSettings(max_repeated_per_second=100.0))
    assert merge([clip("a")], [twice], {}, strict).rejected == Counter({("fr", "too_fast"): 1})


def test_utterances_are_whole_clips() -> None:
    clips, labels, published = everything()
    rows = {r.utterance.id: r.utterance for r in merge(clips, labels, published, SETTINGS).clips}
    talk = rows[f"fr/train/{TALK}_0001"]
    assert (talk.path, talk.start_s, talk.num_samples, talk.num_frames) == (
        f"audio/{talk.id}.wav",
        None,
        32_000,
        50,
    )
    assert (talk.speaker, rows[VOX].speaker, rows[AVS].speaker) == (TALK, "abcdefghijk", TUBE)
    assert rows[AVS].language == "it"


def test_labels_and_transcripts_are_spelled_alike() -> None:
    clips, labels, published = everything()
    settings = replace(SETTINGS, keep_apostrophes=False, case="upper")
    texts = {r.utterance.id: r.utterance.transcript for r in merge(clips, labels, published, settings).clips}
    assert texts[VOX] == "OUI LOCÉAN DOUZE FOIS"
    assert texts["fr/test/3test3test3_0001"] == "CEST ÇA"


def test_a_held_out_speaker_is_not_in_train() -> None:
    known = [
        record("a_1", "test", "un", speaker="anna"), record("b_1", "valid", "deux", speaker="anna"),
        record("c_1", "train", "trois", speaker="anna"), record("d_1", "train", "quatre", speaker="paul"),
        record("e_1", "train", None, speaker="anna"),
    ]  # fmt: skip
    clips = [clip(u.id) for u in known]
    found = merge(clips, [auto("e_1")], {u.id: u for u in known}, SETTINGS)
    assert [r.utterance.id for r in found.clips] == ["a_1", "d_1"]
    assert found.rejected == Counter({("fr", "held_out"): 3})


@pytest.mark.parametrize("split", ["valid", "test"])
def test_automatic_labels_are_refused_outside_of_train(split: str, tmp_path: Path) -> None:
    row = TranscribedClip(record("a_1", split, "un"), "large-v2", "a")
    with pytest.raises(ValueError, match=f"written by people expected in {split}, found a label of large-v2"):
        merging.check([row])
    trains = TranscribedClip(record("b_1", "train", "deux"), HUMAN, "b")
    with pytest.raises(ValueError, match="written by people expected"):
        write_partitions(Merged([row, trains]), tmp_path, tmp_path, ["fr"])
    assert list(tmp_path.iterdir()) == []


def test_a_speaker_or_video_in_two_splits_is_refused() -> None:
    rows = [
        TranscribedClip(record("a_1", "train", "un", speaker="x"), HUMAN, "a"),
        TranscribedClip(record("b_1", "test", "un"), HUMAN, "b"),
    ]
    merging.check(rows)
    with pytest.raises(ValueError, match="speaker x is in two splits"):
        merging.check([*rows, TranscribedClip(record("c_1", "valid", "un", speaker="x"), HUMAN, "c")])
    with pytest.raises(ValueError, match="of video a is in two splits"):
        merging.check([*rows, TranscribedClip(record("c_1", "valid", "un"), HUMAN, "a")])
    with pytest.raises(ValueError, match="found 'dev'"):
        merging.check([TranscribedClip(record("c_1", "dev", "un"), HUMAN, "a")])


def test_the_command_filters_without_decoding(make_clips: Callable[..., Path], tmp_path: Path) -> None:
    ids = [*(u.id for u in PUBLISHED), *(label.id for label in LABELS)]
    waveform = np.zeros(32_000, np.float32)
    folder = make_clips(tmp_path / "clips", {name: (f"{name}.mp4", waveform) for name in dict.fromkeys(ids)})
    for split in ("train", "valid", "test"):
        own = [replace(u, start_s=None, end_s=None) for u in PUBLISHED if u.split == split]
        write_manifest(tmp_path / "corpus", split, own, root=tmp_path)
    write_labels(tmp_path / "labels" / "labels.tsv", LABELS)
    command = [sys.executable, str(TOOL), "--clips", str(folder), "--labels", str(tmp_path / "labels")]
    command += [
        "--transcribed",
        str(tmp_path / "corpus"),
        "--out",
        str(tmp_path / "out"),
        "--languages",
        "fr,it",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "fr: train 1 clips 0.0 min by human, train 1 clips 0.0 min by large-v2" in done.stdout
    assert "held_out" in done.stdout
    stricter = subprocess.run(
        [*command, "--min-avg-logprob", "-0.1"], check=True, capture_output=True, text=True
    )
    assert "unlikely" in stricter.stdout
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["rejected"]["unlikely"]["clips"] == 4  # two kept before, two rejected for other reasons
    assert len(list(read_manifest(tmp_path / "out" / "multilingual", "train"))) == 2
    wrong = subprocess.run([*command, "--corpus", "lrs3=/gone"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "NAME=FOLDER with a name of" in wrong.stderr


def test_published_corpora_and_manifests_are_read(tmp_path: Path) -> None:
    for split in ("train", "test"):
        own = [replace(u, start_s=None, end_s=None) for u in PUBLISHED if u.split == split]
        write_manifest(tmp_path / "a" / "fr", split, own, root=tmp_path)
    found = read_published([], [tmp_path / "a"])
    assert found[f"fr/train/{TALK}_0001"].split == "train"
    write_manifest(
        tmp_path / "a" / "it", "test", [replace(PUBLISHED[0], start_s=None, end_s=None)], root=tmp_path
    )
    with pytest.raises(ValueError, match="is in two splits"):
        read_published([], [tmp_path / "a"])
    with pytest.raises(ValueError, match="there are no manifests"):
        read_published([], [tmp_path / "gone"])


def test_damage_and_other_times_decide() -> None:
    talk, speech = f"fr/train/{TALK}_0001", record(f"fr/train/{TALK}_0001", "train", "oui")
    cut_at = replace(clip(talk), start_s=1.0, end_s=3.0)
    cases = {
        "damaged": (replace(cut_at, num_bad_packets=2), [], {talk: speech}),
        "other_times": (replace(cut_at, start_s=0.5, end_s=2.5), [], {talk: speech}),
        "": (cut_at, [], {talk: speech}),
    }
    for reason, (row, labels, published) in cases.items():
        assert merge([row], labels, published, SETTINGS).rejected == Counter(
            {("fr", reason): 1} if reason else {}
        )
    for reason, row, label in (
        ("damaged", replace(clip("a"), missing_s=0.5), auto("a")),
        ("other_times", replace(clip("a"), num_samples=33_000), auto("a")),
        ("", clip("a"), auto("a")),
    ):
        assert merge([row], [label], {}, SETTINGS).rejected == Counter({("fr", reason): 1} if reason else {})
    kept = merge([replace(clip("a"), missing_s=0.5)], [auto("a")], {}, replace(SETTINGS, keep_damaged=True))
    assert len(kept.clips) == 1


def test_a_language_without_rules_is_written_as_it_is() -> None:
    labels = [
        auto("a", "Хорошо, дядя!", language="ru"), auto("b", "Их было 12.", language="ru"),
        auto("c", "Хорошо 我们 дядя", language="ru"),
    ]  # fmt: skip
    published = {
        "d": record("d_1", "valid", "Ja, 3 Fragen.", language="de"),
        "e": record("e_1", "test", "Groß!"),
    }
    published["e"] = replace(published["e"], language="de")
    settings = replace(SETTINGS, languages=("ru", "de"))
    found = merge([clip(name) for name in "abcde"], labels, published, settings)
    assert [(c.utterance.id, c.utterance.transcript) for c in found.clips] == [
        ("a", "хорошо дядя"),
        ("e", "groß"),
    ]
    assert found.rejected == Counter({("ru", "unread"): 1, ("de", "unread"): 1, ("ru", "script"): 1})


def test_what_is_no_language_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="language 'french!' is not a code"):
        MergeSettings(("french!",))


def test_filters_can_be_switched_off(tmp_path: Path) -> None:
    lenient = FilterSettings(max_foreign_letters=1.0)
    found = merge([clip("bad")], [auto("bad", "Мир oui")], {}, replace(SETTINGS, filters=lenient))
    assert [r.utterance.transcript for r in found.clips] == ["oui"]
