"""Heads of a network with several label streams: each scored in its stream's partition, over the same clips."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch import Tensor, nn

from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.scoring import evaluation, trainings
from fairseq_ext.scoring.heads import check_same_clips, per_head

RATE = 8000
ACCENTS = ["central", "", "valencià", "central", "", "valencià"]
GENDERS = ["female", "male", "", "male", "female", ""]
CLASSES = {"accent": ["central", "valencià"], "gender": ["female", "male"]}
HEADS = {"accent": "accent", "gender": "gender"}


def write_partition(folder: Path, streams: Sequence[str]) -> None:
    """Write clips with a class in one of the streams, three per row of the table above, each louder than the last."""
    for split in ("train", "test"):
        rows = []
        for number, (accent, gender) in enumerate(zip(ACCENTS, GENDERS, strict=True)):
            known = Utterance("", "", 800, accent=accent, gender=gender, speaker=f"{split}{number}")
            if any(getattr(known, name) for name in streams):
                rows += [(number, clip, known) for clip in range(3)]
        utterances = []
        for number, clip, known in rows:
            name = f"{split}_{number}_{clip}"
            (folder.parent / "audio").mkdir(parents=True, exist_ok=True)
            soundfile.write(folder.parent / "audio" / f"{name}.wav", np.full(800, 0.1 * (number + 1)), RATE)
            utterances.append(
                Utterance(
                    name, f"{name}.wav", 800, speaker=known.speaker, accent=known.accent, gender=known.gender
                )
            )
        labels = {name: lambda u, name=name: getattr(u, name) or "" for name in streams}
        write_manifest(folder, split, utterances, root=folder.parent / "audio", labels=labels)
    for name in streams:
        write_dictionary(folder / f"dict.{name}.txt", dict.fromkeys(CLASSES[name], 1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Partitions accent, gender and both; a finished training of both, and one of the accent alone."""
    for streams in (["accent"], ["gender"], ["accent", "gender"]):
        write_partition(tmp_path / "manifests" / "_".join(streams), streams)
    for place in ("accent_gender/joint_head/seed2", "accent/encoder_head/seed2"):
        folder = tmp_path / "train" / place
        folder.mkdir(parents=True)
        (folder / trainings.LAST_CHECKPOINT).touch()
        (folder / trainings.DONE).touch()
    return tmp_path


def jobs(run: Path, partition: str = "accent_gender") -> list[trainings.FinishedTraining]:
    return trainings.finished_trainings(run, "synthetic", "x", [partition])


class Loudness(nn.Module):
    """A classifier of quiet and loud clips, with another threshold in each head."""

    def __init__(self, line: float) -> None:
        super().__init__()
        self.line = nn.Parameter(torch.tensor(line))

    def forward(self, source: Tensor, padding_mask: Tensor) -> dict[str, Tensor]:
        level = source.abs().amax(1, keepdim=True) - self.line
        return {"embedding": level, "logits": torch.cat([-level, level], 1)}


def load(path: str, /, *, label: str) -> Any:
    task = SimpleNamespace(label="accent,gender", sample_rate_hz=RATE)
    line = {"accent": 0.25, "gender": 0.35}[label]
    return SimpleNamespace(
        model=Loudness(line).eval(),
        cfg=SimpleNamespace(task=task, model={"_name": "loudness"}),
        labels=CLASSES[label],
        sample_rate_hz=RATE,
    )


def test_each_head_is_a_system_of_its_streams_partition(run: Path) -> None:
    found = per_head(jobs(run), HEADS, run)
    assert [(job.label, job.out.relative_to(run).as_posix()) for job in found] == [
        ("accent", "scores/accent/joint_head/seed2"),
        ("gender", "scores/gender/joint_head/seed2"),
    ]
    assert {job.data for job in found} == {run / "manifests" / "accent_gender"}
    assert len(list(evaluation.evaluate_all(found, load, over="speakers"))) == 2
    for name, all_classes, line in (("accent", ACCENTS, 0.25), ("gender", GENDERS, 0.35)):
        row = json.loads(
            (run / "scores" / name / "joint_head/seed2/metrics.json").read_text(encoding="utf-8")
        )
        asked = [(0.1 * (i + 1), c) for i, c in enumerate(all_classes) if c for _ in range(3)]
        targets, answers = [c for _, c in asked], [CLASSES[name][level > line] for level, _ in asked]
        assert (row["partition"], row["system"], row["seed"]) == (name, "joint_head", 2)
        assert (row["n"], row["num_unlabelled"], row["num_shared_speakers"]) == (12, 6, 0)
        assert row["confusion"] == confusion_matrix(targets, answers, labels=CLASSES[name]).tolist()
        f1 = row["metrics"]["macro_f1"]
        assert f1["value"] == pytest.approx(f1_score(targets, answers, average="macro"))
        assert f1["low"] <= f1["value"] <= f1["high"]
        assert f1["low"] < f1["high"]
        assert row["intervals_over"] == "speakers"
    assert [line[-14:] for line in evaluation.evaluate_all(found, load)] == ["already scored"] * 2


def test_other_clips_than_the_partitions_are_refused(run: Path) -> None:
    both, alone = run / "manifests" / "accent_gender", run / "manifests" / "accent"
    check_same_clips(both, alone, "test", "accent")
    path = both / "test.accent"
    path.write_text(path.read_text(encoding="utf-8").replace("central", "", 1), encoding="utf-8")
    message = r"test\.accent: expected the 12 clips and classes of .*accent, found 11, of which 11 .*; test_0_0 differ;"
    with pytest.raises(ValueError, match=message):
        per_head(jobs(run), HEADS, run)
    path.write_text(path.read_text(encoding="utf-8").replace("\n", "valencià\n", 1), encoding="utf-8")
    with pytest.raises(ValueError, match="found 12, of which 11 are the same; test_0_0 differ"):
        per_head(jobs(run), HEADS, run)
    assert not (run / "scores").exists()


def test_two_trainings_for_one_system_are_refused(run: Path) -> None:
    (run / "train" / "accent" / "joint_head" / "seed2").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"two trainings of this system, .*/train/accent/joint_head/seed2"):
        per_head(jobs(run), HEADS, run)
    with pytest.raises(ValueError, match="accent_gender/joint_head/seed2; rename"):
        per_head([*jobs(run), *jobs(run)], {"gender": "gender"}, run)


@pytest.mark.parametrize(("stream", "partition"), [("accent", "dialect"), ("age", "accent")])
def test_missing_partition_or_stream_is_named(run: Path, stream: str, partition: str) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=rf"{'test.age' if stream == 'age' else 'dialect/test.tsv'}: this file is missing",
    ):
        per_head(jobs(run), {stream: partition}, run)


def test_nothing_to_score_is_no_error(run: Path) -> None:
    assert per_head(jobs(run, "gender_accent"), HEADS, run) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "x", "--heads", "accent"], "argument --heads: expected STREAM=PARTITION, found 'accent'"),
        (
            ["--run", "x", "--heads", "=accent"],
            "argument --heads: expected STREAM=PARTITION, found '=accent'",
        ),
        (["--run", "x", "--heads", "a=a", "--label", "a"], "--heads goes with --run and without --label"),
        (
            ["--checkpoint", "x", "--data", "x", "--system", "x", "--out", "x", "--heads", "a=a"],
            "--heads goes with --run and without --label",
        ),
    ],
)
def test_command_refuses_what_it_cannot_do(repository: Path, arguments: list[str], message: str) -> None:
    command = [sys.executable, str(repository / "tools" / "evaluate.py"), "--origin", "synthetic", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
