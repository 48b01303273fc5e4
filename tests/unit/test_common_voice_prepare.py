"""The command that makes partitions of Common Voice: from clips to manifests, a locale without rules, what stops it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from common_voice_rows import corpus

from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import read_labels, read_manifest
from fairseq_ext.media.convert import convert_folder
from fairseq_ext.scoring.recognition.scores import score_recognition


def write_mp3_corpus(folder: Path) -> None:
    """Write the clips of `corpus` in the published layout: real mp3 of 0.3 s, one empty, one cut off, one missing."""
    (folder / "clips").mkdir(parents=True)
    columns = ["client_id", "path", "sentence", "gender", "accents", "variant", "locale"]
    rows: dict[str, list[str]] = {
        split: [] for split in ("train", "dev", "test", "validated", "other", "invalidated")
    }
    durations = ["clip\tduration[ms]"]
    tone = (0.3 * np.sin(np.arange(4800) * 0.05)).astype(np.float32)
    for u in corpus(clips=2):
        name = f"{u.id}.mp3"
        cells = [
            f"{u.speaker}" + "0" * 120,
            name,
            u.transcript or "",
            u.gender or "",
            "",
            u.accent or "",
            "ca",
        ]
        rows[u.split or ""].append("\t".join(cells))
        durations.append(f"{name}\t{900 if u.id == 'clip_1_1' else 300}")
        soundfile.write(folder / "clips" / name, tone, 16000, format="MP3")
    (folder / "clips" / "clip_2_1.mp3").write_bytes(b"")
    (folder / "clips" / "clip_3_1.mp3").unlink()
    for split, members in rows.items():
        (folder / f"{split}.tsv").write_text("\n".join(["\t".join(columns), *members, ""]), encoding="utf-8")
    (folder / "clip_durations.tsv").write_text("\n".join(durations))


def test_from_mp3_to_manifests(tmp_path: Path, repository: Path) -> None:
    write_mp3_corpus(tmp_path / "cv-corpus-17.0" / "ca")
    clips, audio, out = (
        tmp_path / "cv-corpus-17.0" / "ca" / "clips",
        tmp_path / "flac",
        tmp_path / "manifests",
    )
    assert convert_folder(clips, audio, sample_rate_hz=16000).num_converted == 30
    command = [
        sys.executable,
        "tools/prepare_common_voice.py",
        "--corpus",
        tmp_path,
        "--audio",
        audio,
        "--out",
        out,
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=repository).stdout
    assert "29 clips read, 3 problems" in said
    assert [line.split(": ", 1)[1] for line in (out / "problems.txt").read_text().splitlines()] == [
        "900 ms of clip_1_1.mp3 expected, found 300 ms; it was cut off; skipped",
        f"{audio} has no recording of clip_2_1.mp3; skipped",
        f"{audio} has no recording of clip_3_1.mp3; skipped",
    ]
    assert len(list(read_manifest(out / "asr", "train"))) == 9
    first = next(read_manifest(out / "asr", "train"))
    assert (first.path, first.num_samples, first.accent) == ("clip_0_1.flac", 4800, "central")
    assert next(iter(read_labels(out / "asr", "train", "wrd"))) == "el col·legi de la plaça allà un"
    assert "  valencià" in said


BASQUE = ("Ñabar, «etxe-ko» atea", "Gaur 3 gauza", "Bihar ere bai!", "Ez dakit")


def write_basque_corpus(folder: Path) -> None:
    """Write a locale without rules: four sentences in train, one in dev, two in test of which one has a digit."""
    (folder / "clips").mkdir(parents=True)
    tone = (0.3 * np.sin(np.arange(4800) * 0.05)).astype(np.float32)
    sentences = {"train": BASQUE, "dev": ("Kaixo lagun",), "test": ("Agur, agur", "2 agur")}
    number, validated = 0, []
    for split, texts in sentences.items():
        rows = []
        for text in texts:
            number += 1
            soundfile.write(folder / "clips" / f"common_voice_eu_{number}.wav", tone, 16000)
            rows.append(f"{split}{number}\tcommon_voice_eu_{number}.mp3\t{text}\teu\n")
        validated += rows
        (folder / f"{split}.tsv").write_text("client_id\tpath\tsentence\tlocale\n" + "".join(rows))
    (folder / "validated.tsv").write_text("client_id\tpath\tsentence\tlocale\n" + "".join(validated))
    for split in ("other", "invalidated"):
        (folder / f"{split}.tsv").write_text("client_id\tpath\tsentence\tlocale\n")


def test_a_locale_without_rules(tmp_path: Path, repository: Path) -> None:
    write_basque_corpus(tmp_path / "eu")
    command = [
        sys.executable,
        "tools/prepare_common_voice.py",
        "--corpus",
        tmp_path / "eu",
        "--out",
        tmp_path / "out",
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=repository).stdout
    notice = "no rules for 'eu': letters are kept as they are, sentences with digits or signs are left out"
    assert said.count(notice) == 1
    assert "asr: 1 clips of train have digits, signs or letters that the rules of 'eu' cannot read" in said
    assert "7 clips read, 2 problems" in said
    problems = (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in problems] == ["common_voice_eu_2", "common_voice_eu_7"]
    assert all("the rules of 'eu' cannot read" in line for line in problems)
    assert list(read_labels(tmp_path / "out" / "asr", "train", "wrd")) == [
        "ñabar etxe-ko atea",
        "bihar ere bai",
        "ez dakit",
    ]
    assert list(read_labels(tmp_path / "out" / "asr", "test", "wrd")) == ["agur agur"]
    assert {"ñ", "-", "|"} <= set(read_dictionary(tmp_path / "out" / "asr" / "dict.ltr.txt"))
    # speech is speech: nothing is left out of what is learnt without transcripts
    assert len(list(read_manifest(tmp_path / "out" / "ssl", "train"))) == 4
    score = score_recognition(
        ["agur agur"],
        ["AGUR; agur."],
        ["s"],
        [None],
        [None],
        next(read_manifest(tmp_path / "out" / "asr", "test")).language or "",
    )
    assert score["metrics"]["wer"]["value"] == 0.0


def test_what_stops_a_preparation_is_said_with_what_was_left_out(tmp_path: Path, repository: Path) -> None:
    write_basque_corpus(tmp_path / "eu")
    out = tmp_path / "out"

    def prepare(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tools/prepare_common_voice.py", "--corpus", tmp_path / "eu", "--out", out]
        return subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False, cwd=repository
        )

    assert prepare("--check").returncode == 0
    mistyped = prepare("--language", "eus")
    assert mistyped.returncode == 1
    assert "prepare_common_voice.py: language 'eus' has no rules and is not 'eu'" in mistyped.stderr
    assert not out.exists()
    for number in (1, 3, 4):
        (tmp_path / "eu" / "clips" / f"common_voice_eu_{number}.wav").unlink()
    stopped = prepare()
    assert stopped.returncode == 1
    assert "asr: no clip to train on; see above" in stopped.stderr
    assert f"; 5 problems: {out / 'problems.txt'}\n" in stopped.stderr
    problems = (out / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert len(problems) == 5
    assert sum("has no recording of common_voice_eu_" in line for line in problems) == 3
