"""The command `prepare classes`: from recordings to manifests of the chosen partitions."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.commands import prepare_classes
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import read_labels, read_manifest
from fairseq_ext.media.audio import num_samples_at, probe
from fairseq_ext.splits import assert_disjoint


def write_corpus(root: Path, sample_rate_hz: int = 8000) -> None:
    """Two classes, three speakers, two takes of 0.1 s each, and a file that is no audio."""
    for label in ("calm", "sad"):
        for speaker in ("anna", "pau", "òscar"):
            (root / label / speaker).mkdir(parents=True)
            for take in range(2):
                noise = np.random.default_rng(take).normal(size=sample_rate_hz // 10) / 9
                soundfile.write(root / label / speaker / f"{take}.wav", noise, sample_rate_hz)
    (root / "sad" / "anna" / "broken.wav").write_bytes(b"RIFF")


def prepare(*options: object) -> int:
    parser = argparse.ArgumentParser()
    prepare_classes.add_arguments(parser)
    return prepare_classes.run(parser.parse_args([str(option) for option in options]))


def test_folder_per_class_to_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "corpus")
    out = tmp_path / "out"
    assert prepare("--corpus", tmp_path / "corpus", "--speaker", 2, "--out", out) == 0
    said = capsys.readouterr().out
    assert "1 files or rows left out" in said
    assert "12 recordings, 0.0 min at 8000 Hz, 2 classes, 3 speakers" in said
    assert "  sad                  6 recordings, 3 speakers" in said
    assert (out / "sample_rate_hz.txt").read_text() == "8000\n"
    assert "sad/anna/broken.wav" in (out / "problems.txt").read_text(encoding="utf-8")
    folds = sorted(path.name for path in (out / "leave_one_speaker_out").iterdir())
    assert folds == ["anna", "pau", "òscar"]
    for fold in folds:
        folder = out / "leave_one_speaker_out" / fold
        sides = {
            side: [u.speaker for u in read_manifest(folder, side)] for side in ("train", "valid", "test")
        }
        assert_disjoint(sides)
        assert set(sides["test"]) == {fold}
        assert read_dictionary(folder / "dict.class.txt") == ["calm", "sad"]
        assert sorted(read_labels(folder, "test", "class")) == ["calm", "calm", "sad", "sad"]


def test_table_with_lists_and_another_rate(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 11025)
    paths = [path.relative_to(tmp_path / "corpus") for path in (tmp_path / "corpus").rglob("?.wav")]
    rows = [f"{path},{path.parts[0]},{path.parts[1]}" for path in paths]
    (tmp_path / "t.csv").write_text("\n".join(["file,emotion,speaker", *rows]), encoding="utf-8")
    (tmp_path / "train.txt").write_text("anna\npau\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("òscar\n", encoding="utf-8")
    out = tmp_path / "out"
    prepare(
        "--corpus", tmp_path / "corpus", "--table", tmp_path / "t.csv", "--path", "file", "--class", "emotion",
        "--label", "emotion", "--partitions", "published", "--sample-rate-hz", 16000, "--out", out,
        "--lists", f"train={tmp_path / 'train.txt'}", f"test={tmp_path / 'test.txt'}",
    )  # fmt: skip
    test = list(read_manifest(out / "published", "test"))
    assert {u.speaker for u in test} == {"òscar"}
    assert {u.emotion for u in test} == {"calm", "sad"}
    info = probe(tmp_path / "corpus" / test[0].path)
    assert test[0].num_samples == num_samples_at(info, 16000)


def test_without_speakers_the_warning_is_loud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "corpus")
    options = ("--corpus", tmp_path / "corpus", "--out", tmp_path / "out")
    with pytest.raises(ValueError, match="no speaker is known"):
        prepare(*options)
    assert prepare(*options, "--no-speakers") == 0
    said = capsys.readouterr().out
    assert "the scores are NOT speaker-independent" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["leaky"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-folds", 1), "2 folds are the fewest"),
        (("--lists", "train", "--partitions", "published"), "it is not SIDE=FILE"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: tuple[object, ...], message: str) -> None:
    write_corpus(tmp_path / "corpus")
    with pytest.raises(ValueError, match=message):
        prepare("--corpus", tmp_path / "corpus", "--speaker", 2, "--out", tmp_path / "out", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lists", "train=x"), "--lists: they are for the partitions"),
        (("--class", "emotion"), "--class: it names a column of --table"),
        (("--no-speakers", "--partitions", "published"), "--no-speakers: without speakers only leaky"),
    ],
)
def test_options_without_an_effect_are_refused(
    tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    with pytest.raises(argparse.ArgumentError, match=message):
        prepare("--corpus", tmp_path, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_folds_of_an_earlier_choice_are_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus")
    options = ("--corpus", tmp_path / "corpus", "--speaker", 2, "--out", tmp_path / "out")
    assert prepare(*options) == 0
    assert prepare(*options) == 0
    with pytest.raises(ValueError, match=r"leave_one_speaker_out/anna: this fold is of an earlier choice"):
        prepare(*options, "--max-folds", 2)


def test_a_split_that_is_none_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "corpus")
    splits = {"anna": "train", "pau": "tain", "òscar": "test"}
    paths = sorted(path.relative_to(tmp_path / "corpus") for path in (tmp_path / "corpus").rglob("?.wav"))
    rows = [f"{path},{path.parts[0]},{path.parts[1]},{splits[path.parts[1]]}" for path in paths]
    (tmp_path / "t.csv").write_text("\n".join(["path,class,speaker,split", *rows]), encoding="utf-8")
    options = ("--table", tmp_path / "t.csv", "--partitions", "published", "--out", tmp_path / "out")
    assert prepare("--corpus", tmp_path / "corpus", *options) == 0
    assert "4 files or rows left out" in capsys.readouterr().out
    assert "calm/pau/0" in (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8")
