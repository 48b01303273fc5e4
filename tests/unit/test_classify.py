"""Recordings of any kind are classified as they were scored, and what cannot be is named."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from fairseq_ext.commands import classify
from fairseq_ext.file_errors import FileError
from fairseq_ext.inference import file_classifier
from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.inference.file_classifier import CheckpointClassifier, EmbeddingFileClassifier
from fairseq_ext.scoring.classifiers import linear, saved
from fairseq_ext.scoring.classifiers.choice import choose_parameters
from fairseq_ext.scoring.classifiers.fitted import EmbeddingClassifier, fit_single
from fairseq_ext.scoring.classifiers.training_set import Feature, TrainingSet
from fairseq_ext.scoring.trained import TrainedModel

RATE = 16000
PITCHES = {"high": 2500.0, "low": 250.0}
ABOUT = {"encoder": "mfcc", "encoder_sha256": None, "sample_rate_hz": RATE, "pad_s": 0.0}


def tone(name: str, number: int, seconds: float = 0.4, rate_hz: int = RATE) -> np.ndarray:
    """Return a tone with noise, of one class."""
    rng = np.random.default_rng(number)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = np.sin(2 * np.pi * PITCHES[name] * (1 + 0.03 * number) * time)
    return (0.3 * sound + 0.01 * rng.normal(size=len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> EmbeddingClassifier:
    """Fit a logistic regression on MFCC statistics of tones by four speakers."""
    embed = load_embedder("mfcc")
    names = [name for number in range(4) for name in PITCHES]
    vectors = embed([tone(name, number) for number in range(4) for name in PITCHES])
    speakers = [f"s{number}" for number in range(4) for _ in PITCHES]
    targets = np.array([list(PITCHES).index(name) for name in names])
    training = TrainingSet(lambda _: vectors[:, 0], targets, speakers, 2, 1)
    choice = choose_parameters(training, Feature((0,), "mean+std"), linear.LOGISTIC)
    return fit_single(training, choice, tuple(PITCHES))


@pytest.fixture
def folder(fitted: EmbeddingClassifier, tmp_path: Path) -> Path:
    saved.save(tmp_path / "saved", fitted, ABOUT)
    return tmp_path / "saved"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    classify.add_arguments(parser)
    status: int = classify.run(parser.parse_args([str(a) for a in arguments]))
    return status


@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100])
def test_recordings_of_any_rate(folder: Path, tmp_path: Path, rate_hz: int) -> None:
    found = EmbeddingFileClassifier(folder)
    for name in PITCHES:
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, tone(name, 9, rate_hz=rate_hz), rate_hz)
        classified = found(path)
        assert next(iter(classified.probabilities)) == name
        assert sum(classified.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert classified.duration_s == pytest.approx(0.4, abs=0.01)


def test_a_recording_has_the_probabilities_it_was_scored_with(
    fitted: EmbeddingClassifier, folder: Path
) -> None:
    vectors = load_embedder("mfcc")(tone("high", 3))
    expected = np.exp(fitted.log_probs(lambda _: vectors))[0]
    found = EmbeddingFileClassifier(folder)(tone("high", 3)).probabilities
    assert [found[name] for name in PITCHES] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_long_recording_tells_how_far_it_is(folder: Path) -> None:
    heard: list[float] = []
    found = EmbeddingFileClassifier(folder)(np.tile(tone("high", 1, 10), 12), heard.append)
    assert len(heard) > 2
    assert sum(heard) == pytest.approx(found.duration_s)


def test_the_command_prints_a_table_and_json(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone("low", 5), RATE)
    assert run(folder, path) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{path}\tlow ")
    assert "times real time" in printed.err
    assert run(folder, path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == str(path)
    assert set(found["probabilities"]) == set(PITCHES)
    assert run(folder, path, "--class", "high") == 0
    assert capsys.readouterr().out.startswith(f"{path}\thigh ")
    with pytest.raises(ValueError, match="no class 'angry'; it has high, low"):
        run(folder, path, "--class", "angry")


def test_what_cannot_be_classified_is_named_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "short.wav", tone("low", 1, 0.003), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "good.wav", tone("low", 1), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    names = ["short.wav", "silent.wav", "good.wav", "text.wav", "missing.wav"]
    with pytest.raises(ValueError, match="4 of 5 recordings could not be classified"):
        run(folder, *(tmp_path / name for name in names))
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{tmp_path / 'good.wav'}\tlow")
    for name, reason in (
        ("short", "0.003 s, shorter"),
        ("silent", "silence"),
        ("text", ""),
        ("missing", "no such"),
    ):
        assert any(f"{name}.wav" in line and reason in line for line in printed.err.splitlines()), name


def test_an_encoder_with_other_weights_is_refused(fitted: EmbeddingClassifier, tmp_path: Path) -> None:
    saved.save(tmp_path / "s", fitted, {**ABOUT, "encoder_sha256": "0" * 64})
    with pytest.raises(FileError, match="its weights are not those"):
        EmbeddingFileClassifier(tmp_path / "s", "mfcc")
    saved.save(tmp_path / "s", fitted, {**ABOUT, "encoder": "/gone/whisper", "encoder_sha256": "0" * 64})
    with pytest.raises(
        FileError, match=r"its encoder /gone/whisper is not there; say where it is \(--encoder\)"
    ):
        EmbeddingFileClassifier(tmp_path / "s")


def test_a_folder_without_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no about\.json in it, so no saved classifier"):
        file_classifier.load_file_classifier(tmp_path)


class Loudness(nn.Module):
    """A network whose logits are those of a threshold on loudness."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))

    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        level = source.abs().mean(1, keepdim=True) - 0.1
        return {"logits": self.scale * torch.cat([level, -level], 1), "embedding": level}


def test_a_checkpoint_reads_long_recordings_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = TrainedModel(Loudness().eval(), OmegaConf.create({}), "level", ["loud", "quiet"], RATE, 1)
    found = CheckpointClassifier(trained)
    assert next(iter(found(tone("low", 1)).probabilities)) == "loud"
    assert next(iter(found(0.1 * tone("low", 1)).probabilities)) == "quiet"
    monkeypatch.setattr(file_classifier, "WINDOW_S", 0.5)
    halves = np.concatenate([tone("low", 1, 2.0), 0.01 * tone("low", 1, 2.0)])
    classified = found(halves)
    assert classified.duration_s == pytest.approx(4)
    assert classified.probabilities["loud"] == pytest.approx(0.5, abs=0.01)
    for wrong, reason in ((np.zeros(RATE, np.float32), "silence"), (tone("low", 1, 0.01), "shorter")):
        with pytest.raises(FileError, match=reason):
            found(wrong)
