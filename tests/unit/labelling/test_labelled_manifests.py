"""Manifests of merged labels: of each language and of all, replaced as a whole, killed at any moment, summarised."""

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from merged_clips import (
    LEAK,
    PUBLISHED,
    SETTINGS,
    TALK,
    VOX,
    clip,
    everything,
    record,
)

from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.labelling.manifests import ForTraining, summary, write_merged, write_partitions
from fairseq_ext.labelling.merge import HUMAN, Merged, TranscribedClip, merge
from fairseq_ext.manifest import read_labels, read_manifest
from fairseq_ext.splits import assert_disjoint


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
