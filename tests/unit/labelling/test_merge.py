"""Merging labels and transcripts into manifests: disjoint splits, no automatic label in a test, all clips counted."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.labelling import merge as merging
from fairseq_ext.labelling.filters import FilterSettings
from fairseq_ext.labelling.manifests import ForTraining, summary, write_merged, write_partitions
from fairseq_ext.labelling.merge import HUMAN, Merged, MergeSettings, TranscribedClip, merge
from fairseq_ext.labelling.published import read_published
from fairseq_ext.labelling.table import ClipLabel, write_labels
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, write_manifest
from fairseq_ext.media.mouth.table import ClipRow
from fairseq_ext.splits import assert_disjoint

TOOL = Path(__file__).parents[3] / "tools" / "merge_labels.py"
SETTINGS = MergeSettings(("fr", "it"))
TALK, OTHER_TALK, TUBE = "0u7tTptBo9I", "1AbCdEfGhIj", "enSzPLXxw8I"


def clip(clip_id: str, source: str = "") -> ClipRow:
    return ClipRow(clip_id, source or f"{clip_id}.mp4", num_frames=50, num_samples=32_000)


def record(
    clip_id: str, split: str, text: str | None, *, language: str = "fr", speaker: str = ""
) -> Utterance:
    talk = clip_id.split("/")[-1].rsplit("_", 1)[0]
    return Utterance(
        clip_id, f"video/{talk}.mp4", 1, transcript=text, speaker=speaker or talk, language=language, split=split,
        start_s=1.0, end_s=3.0,
    )  # fmt: skip


def auto(
    clip_id: str, text: str = "Oui, l’océan: 12 fois!", *, language: str = "fr", **changes: Any
) -> ClipLabel:
    columns: dict[str, Any] = {
        "id": clip_id, "video": merging.video_of(clip_id, ""), "state": "labelled", "language": language,
        "language_probability": 0.9, "languages": f"{language}:0.9", "text": text, "avg_logprob": -0.3,
        "characters_per_second": 12.0, "duration_s": 2.0, "speech_s": 1.8, "model": "large-v2",
    }  # fmt: skip
    return ClipLabel(**{**columns, **changes})


PUBLISHED = [
    record(f"fr/train/{TALK}_0001", "train", "Et pourtant on vient tous de locéan"),
    record("fr/valid/2valid2vali_0001", "valid", "Merci."),
    record("fr/test/3test3test3_0001", "test", "C’est ça."),
    record("it/train/4italia4ita_0001", "train", "Perché no?", language="it"),
    record("it/test/5prova5prov_0001", "test", "Sì.", language="it"),
    record("fr/train/6nothing6no_0001", "train", "..."),
    record("de/train/7deutsch7de_0001", "train", "Ja.", language="de"),
    record("fr/test/8silent8sil_0001", "test", None),
]
VOX, AVS, LEAK = "id00001/abcdefghijk/00001", f"{TUBE}_1.000000_3.000000", "3test3test3_5.000000_7.000000"
LABELS = [
    auto(VOX), auto(AVS, "Grazie mille a tutti", language="it"), auto(LEAK), auto("bad", "Мир вам всем"),
    auto("fr/test/8silent8sil_0001"), auto("english", language="en", languages="en:0.99"),
    auto(f"fr/train/{TALK}_0001", "ce que la machine entend"),
]  # fmt: skip


def everything() -> tuple[list[ClipRow], list[ClipLabel], dict[str, Utterance]]:
    ids = dict.fromkeys([*(u.id for u in PUBLISHED), *(label.id for label in LABELS), "unlabelled"])
    return [clip(name) for name in ids], LABELS, {u.id: u for u in PUBLISHED}


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


def test_manifests_of_each_language_and_of_all(tmp_path: Path) -> None:
    clips, labels, published = everything()
    merged = merge(clips, labels, published, SETTINGS)
    sizes = write_partitions(merged, tmp_path, tmp_path / "clips", ["fr", "it", "es"])
    assert sizes == {
        "fr": {"train": 2, "valid": 1, "test": 1}, "it": {"train": 2, "test": 1},
        "multilingual": {"train": 4, "valid": 1, "test": 2},
    }  # fmt: skip
    assert not (tmp_path / "es").exists()
    for partition, sides in sizes.items():
        folder = tmp_path / partition
        rows = {split: list(read_manifest(folder, split)) for split in sides}
        assert_disjoint({split: [u.speaker for u in own] for split, own in rows.items()})
        letters = set(read_dictionary(folder / "dict.ltr.txt"))
        for split, own in rows.items():
            assert list(read_labels(folder, split, "wrd")) == [u.transcript for u in own]
            spelled = [
                line.replace(" ", "").replace("|", " ").strip() for line in read_labels(folder, split, "ltr")
            ]
            assert spelled == [u.transcript for u in own]
            sources = list(read_labels(folder, split, "label_source"))
            assert set(sources) <= ({HUMAN, "large-v2"} if split == "train" else {HUMAN})
        assert {char for u in rows["train"] for char in (u.transcript or "")} - {" "} == letters - {"|"}
    sources = dict(
        zip(
            (u.id for u in rows["train"]),
            read_labels(tmp_path / "multilingual", "train", "label_source"),
            strict=True,
        )
    )
    assert sources[VOX] == "large-v2"


def test_partitions_of_people_alone_and_of_clips_without_labels(tmp_path: Path) -> None:
    clips, labels, published = everything()
    merged = merge(clips, labels, published, SETTINGS)
    first = f"fr/train/{TALK}_0001"
    text = next(r.utterance.transcript or "" for r in merged.clips if r.utterance.id == first)
    letters = {
        name: [[(2 * at, 2 * at + 1) for at in range(len(word))] for word in spoken.split()]
        for name, spoken in ((first, text), ("fr/valid/2valid2vali_0001", "merci"))
    }
    wanted = ForTraining(partitions=True, num_pieces=60, piece_kind="bpe", letters=letters)
    sizes = write_partitions(merged, tmp_path, tmp_path, ["fr", "it"], wanted)
    assert sizes["fr_people"] == {"train": 1, "valid": 1, "test": 1}
    assert sizes["multilingual_people"]["train"] == 2
    # Beside the clips with a text: nothing was said, in other languages or scripts, and one without a label.
    assert sizes["ssl"] == {"train": 4 + 5, "valid": 1}
    ssl = {u.id for u in read_manifest(tmp_path / "ssl", "train")}
    assert {"unlabelled", "english", "bad"} <= ssl
    assert not ssl & {LEAK, "fr/test/8silent8sil_0001", "fr/valid/2valid2vali_0001"}
    for name in ("fr", "fr_people", "multilingual"):
        units = read_dictionary(tmp_path / name / "dict.pieces.txt")
        for row in read_labels(tmp_path / name, "train", "pieces"):
            assert set(row.split()) <= set(units)
        lengths = [len(row.split()) for row in read_labels(tmp_path / name, "train", "piecesframes")]
        known = [u.id == first for u in read_manifest(tmp_path / name, "train")]
        assert lengths == [50 * is_known for is_known in known]
        (heard,) = read_labels(tmp_path / name, "valid", "ltrframes")
        # No French training text has an m.
        assert set(heard.split()) == {"<s>", "m" if name == "multilingual" else "<unk>", *"erci|"}
        assert not (tmp_path / name / "test.ltrframes").exists()
    write_partitions(merged, tmp_path / "other", tmp_path, ["fr", "it"])
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"fr", "it", "multilingual"}


def files_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] != ".unfinished"}


def two_merges() -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    """Return two functions that write a merge: in French and Italian with a test split, and in French without."""

    def writer(rows: list[tuple[str, str, str]]) -> Callable[[Path], None]:
        texts = [replace(record(f"{i}_1", split, text, language=code), start_s=None, end_s=None)
                 for i, (split, code, text) in enumerate(rows)]  # fmt: skip
        merged = Merged([TranscribedClip(u, HUMAN, u.id) for u in texts])
        found = summary(merged, SETTINGS)
        return lambda out: write_merged(merged, out, out, SETTINGS.languages, found)

    first = writer([("train", "fr", "un"), ("test", "fr", "deux"), ("train", "it", "tre")])
    return first, writer([("train", "fr", "quatre")])


def test_a_merge_replaces_an_earlier_one(tmp_path: Path) -> None:
    first, second = two_merges()
    second(tmp_path / "alone")
    first(tmp_path / "out")
    assert (tmp_path / "out" / "it" / "train.tsv").exists()
    for name in ("it/spm.model", "es/train.tsv", "notes.txt"):  # not written by a merge
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("kept")
    second(tmp_path / "out")
    found = files_of(tmp_path / "out")
    for name in ("it/spm.model", "es/train.tsv", "notes.txt"):
        assert found.pop(name) == b"kept"
    roots = {name: str(tmp_path / name).encode() for name in ("alone", "out")}
    expected = files_of(tmp_path / "alone").items()
    assert found == {name: content.replace(roots["alone"], roots["out"]) for name, content in expected}


def test_a_failed_merge_keeps_the_earlier_one(tmp_path: Path) -> None:
    first, _ = two_merges()
    first(tmp_path)
    before = files_of(tmp_path)
    row = TranscribedClip(replace(record("x_1", "train", "un|deux"), start_s=None, end_s=None), HUMAN, "x")
    for rows in ([], [row]):
        with pytest.raises(ValueError, match=r"no clip to train on|remove it in normalisation"):
            write_merged(Merged(rows), tmp_path, tmp_path, ["fr"], summary(Merged(rows), SETTINGS))
        assert files_of(tmp_path) == before
    assert not (tmp_path / ".unfinished").exists()


def killed_at(step: int, call: Callable[[], None]) -> bool:
    """Make a call in a process that is killed at its file operation number `step`; return whether it came to that."""
    if process := os.fork():
        return os.waitpid(process, 0)[1] != 0
    changes = itertools.count(1)

    def hook(event: str, arguments: Any) -> None:
        if event in {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}:
            path = str(arguments[1] if event == "os.rename" else arguments[0])
            if path.startswith("/") and ".unfinished" not in path and next(changes) == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        call()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_a_merge_killed_at_any_moment_leaves_files_of_one_merge(tmp_path: Path) -> None:
    first, second = two_merges()
    out = tmp_path / "out"
    second(out)
    new = files_of(out)
    shutil.rmtree(out)
    first(out)
    old = files_of(out)
    shutil.copytree(out, tmp_path / "copy")
    seen = set()
    for step in itertools.count(1):
        was_killed = killed_at(step, lambda: second(out))
        found = files_of(out)
        whole = [each for each in (old, new) if found.items() <= each.items()]
        assert whole, (step, sorted(found))
        if "summary.json" in found:
            assert found in whole
        for name in found:  # a folder with train.tsv is complete
            if name.endswith("train.tsv"):
                folder = name.removesuffix("train.tsv")
                assert {n for n in whole[0] if n.startswith(folder)} == {
                    n for n in found if n.startswith(folder)
                }
        seen.add((len(found), found.items() <= new.items()))
        second(out)
        assert files_of(out) == new
        assert not (out / ".unfinished").exists()
        if not was_killed:
            break
        shutil.rmtree(out)
        shutil.copytree(tmp_path / "copy", out)
    assert step > 20
    assert {(len(old), False), (0, True), (len(new), True)} <= seen


def test_summary_accounts_for_every_clip() -> None:
    clips, labels, published = everything()
    merged = merge(clips, labels, published, SETTINGS)
    found = json.loads(json.dumps(summary(merged, SETTINGS)))
    assert found["num_kept"] + found["num_rejected"] == len(clips)
    assert sum(reason["clips"] for reason in found["rejected"].values()) == found["num_rejected"]
    french = found["languages"]["fr"]["train"]
    assert list(french) == [HUMAN, "large-v2"]
    assert french["large-v2"] == {
        "clips": 1,
        "hours": pytest.approx(2 / 3600, abs=1e-6),
        "speakers": 1,
        "videos": 1,
    }
    assert found["rejected_by_language"]["unknown"] == {"no_label": 1}
    assert found["settings"]["filters"]["min_avg_logprob"] == -1.0


def test_no_clip_to_train_on_is_refused(tmp_path: Path) -> None:
    merged = merge([clip("fr/test/3test3test3_0001")], [], {u.id: u for u in PUBLISHED}, SETTINGS)
    with pytest.raises(ValueError, match="no clip to train on"):
        write_partitions(merged, tmp_path, tmp_path, ["fr"])


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
