"""Lip readers explained by the command: a word of a video, and the share on the lips of a split, for the report."""

import argparse
import json
from pathlib import Path

import av
import numpy as np
import pytest
from mouth_clips import write_clip
from PIL import Image
from small_lip_reader import SYMBOLS, write_lip_reader

from fairseq_ext.commands import explain
from fairseq_ext.corpora.clip_layout import audio_path
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.mouth.template import ANCHORS, KEPT
from fairseq_ext.report.extras import read_tables

GRID = Path(__file__).resolve().parents[3] / "shared" / "data" / "grid"
FRAMES = 16
TEXT = "bin blue now"


def run(*given: str | Path) -> int:
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    parser.set_defaults(command_line="fairseq-ext explain")
    return explain.run(parser.parse_args([str(value) for value in given]))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Write manifests of three clips, the last without landmarks."""
    rows = []
    turns = np.linspace(0, 2 * np.pi, len(KEPT) - len(ANCHORS))
    points = np.zeros((FRAMES, len(KEPT), 2), np.float32)
    points[:, len(ANCHORS) :] = np.stack([48 + 20 * np.cos(turns), 48 + 9 * np.sin(turns)], 1)
    matrix = np.tile(np.array([[1, 0, 0], [0, 1, 0]], np.float32), (FRAMES, 1, 1))
    (tmp_path / "landmarks").mkdir()
    for number in range(3):
        name = f"c{number}"
        write_clip(tmp_path, name, FRAMES, event=8, seed=number)
        if number < 2:
            np.savez(tmp_path / "landmarks" / f"{name}.npz", points=points, matrix=matrix)
        about = {"transcript": TEXT, "speaker": f"s{number}"}
        rows.append(Utterance(name, audio_path(name), 640 * FRAMES, FRAMES, **about))
    labels = {"words": lambda u: " ".join(SYMBOLS[4:]), "wrd": lambda u: u.transcript}
    write_manifest(tmp_path / "manifests", "test", rows, root=tmp_path, labels=labels)
    return tmp_path / "manifests"


def test_a_split_becomes_a_table_and_pictures(
    clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint, out = write_lip_reader(tmp_path / "lips.pt"), tmp_path / "run" / "attribution"
    options = (
        "--data",
        clips,
        "--system",
        "lips",
        "--partition",
        "s1",
        "--out",
        out,
        "--origin",
        "synthetic",
    )
    chosen = ("--checkpoint", checkpoint, *options, "--method", "hirescam", "gradcam")
    assert run(*chosen) == 0
    said = capfd.readouterr().out
    assert "left out: c2: " in said
    assert "% with shuffled weights" in said
    (table,) = read_tables(tmp_path / "run")
    assert [row[0] for row in table["rows"]] == ["HiRes-CAM", "Grad-CAM"]
    assert "Clips of test: 2, 2 words of each; left out: 1." in table["note"]
    scores = json.loads((out / "s1-lips-seed1-lips.json").read_text(encoding="utf-8"))["scores"]
    assert scores["hirescam"]["num_words"] + scores["hirescam"]["num_flat"] == 4
    assert 0.05 < scores["hirescam"]["area"] < 0.2
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == ["s1-lips-seed1-lips1.png", "s1-lips-seed1-lips2.png"]
    about = json.loads((out / "s1-lips-seed1-lips1.json").read_text(encoding="utf-8"))
    assert f"“{TEXT}”" in about["caption"]
    assert run(*chosen) == 0
    assert "already explained" in capfd.readouterr().out
    sound = write_lip_reader(tmp_path / "sound.pt", modality="audio")
    assert run("--checkpoint", sound, *options, "--force") == 0
    assert "it reads sound alone" in capfd.readouterr().out


@pytest.mark.skipif(not GRID.is_dir(), reason=f"no {GRID}")
def test_a_word_of_a_real_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint, out = write_lip_reader(tmp_path / "lips.pt"), tmp_path / "word.png"
    options = ("--target", "word:2", "--text", TEXT, "--method", "hirescam", "--out", out)
    assert run(checkpoint, GRID / "bbaf2n.mpg", *options) == 0
    said = capfd.readouterr().out
    assert "“blue” from " in said
    assert "on the lips, which are " in said
    with Image.open(out) as picture:
        assert min(picture.size) > 900
    with av.open(str(out.with_suffix(".mp4"))) as film:
        assert film.streams.audio
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 75
    # The mouth as it is, grey; beside it, coloured by the map.
    plain, mapped = (
        np.stack([frame[44:332, left : left + 288].astype(int) for frame in frames]) for left in (0, 288)
    )
    assert np.abs(plain[..., 0] - plain[..., 2]).max() < 20 < (mapped[..., 0] - mapped[..., 2]).max()
