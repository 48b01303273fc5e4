"""Accents and genders with the real commands: two streams with gaps in one training, scored each; the file alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from preloaded import Preloaded

from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.inference.classifier import classify
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.audio import load
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

pytestmark = pytest.mark.training

Train = Callable[..., Any]

RATE = 8000
# What tells them apart is heard in the middle of the band and below it.
ACCENTS_HZ = {"valencià": 900, "balear": 1400, "nord-occidental": 2100}
GENDERS_HZ = {"female": 420, "male": 180}
SPEAKERS = {"train": 8, "valid": 2, "test": 4}
CONFIG = """
common: {seed: 1, user_dir: "???", log_format: json, log_interval: 1, cpu: false}
checkpoint: {save_dir: "???", no_epoch_checkpoints: true}
task: {_name: ext_audio_classification, data: "???", label: "accent,gender", sample_rate_hz: 8000, cache_audio: true}
dataset: {num_workers: 0, train_subset: train, valid_subset: valid, required_batch_size_multiple: 1}
criterion: {_name: ext_utterance_classification, label_smoothing: 0.0, class_weights: balanced}
optimization: {max_update: 60, lr: [0.01], clip_norm: 5.0}
model: {_name: ext_speech_classifier, pretrained_path: "???", pooling: statistics, encoder_lr_scale: 1.0}
"""
ONE_RATE = """
optimizer: {_name: adam, adam_betas: "(0.9,0.98)"}
lr_scheduler: {_name: fixed, warmup_updates: 4}
"""
TWO_RATES = """
optimizer:
  _name: composite
  dynamic_groups: true
  groups:
    default:
      lr_float: 0.01
      optimizer: {_name: adam, adam_betas: "(0.9,0.98)"}
      lr_scheduler: {_name: inverse_sqrt, warmup_updates: 4}
lr_scheduler: {_name: pass_through, warmup_updates: 4}
"""
SHAPE: dict[str, Any] = {
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "conv_feature_layers": "[(32, 40, 20)] + [(32, 4, 4)] * 2",
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 48,
    "encoder_attention_heads": 2,
    "conv_pos": 8,
    "conv_pos_groups": 4,
}


def voice(accent: str, gender: str, generator: np.random.Generator) -> np.ndarray:
    """0.3 to 0.5 s of two tones in noise; what is not known is one of the two or three."""
    time_s = np.arange(int(generator.integers(2400, 4000))) / RATE
    high = ACCENTS_HZ.get(accent) or generator.choice(list(ACCENTS_HZ.values()))
    low = GENDERS_HZ.get(gender) or generator.choice(list(GENDERS_HZ.values()))
    tones = [0.2 * np.sin(2 * np.pi * hz * generator.uniform(0.97, 1.03) * time_s) for hz in (high, low)]
    return sum(tones) + 0.01 * generator.normal(size=len(time_s))


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 8, 2 and 4 speakers of each accent; every fourth states no gender, every seventh no accent."""
    root = tmp_path_factory.mktemp("voices")
    generator = np.random.default_rng(1)
    for split, count in SPEAKERS.items():
        rows = []
        for number in range(count * len(ACCENTS_HZ)):
            accent = "" if number % 7 == 6 else list(ACCENTS_HZ)[number % 3]
            gender = "" if number % 4 == 3 else list(GENDERS_HZ)[number % 2]
            for clip in range(2):
                name = f"{split}_{number}_{clip}"
                waveform = voice(accent, gender, generator)
                soundfile.write(root / f"{name}.wav", waveform, RATE)
                rows.append(
                    Utterance(
                        name,
                        f"{name}.wav",
                        len(waveform),
                        speaker=f"{split}_{number}",
                        accent=accent or None,
                        gender=gender or None,
                    )
                )
        labels = {"accent": lambda u: u.accent or "", "gender": lambda u: u.gender or ""}
        write_manifest(root, split, rows, root=root, labels=labels)
    write_dictionary(root / "dict.accent.txt", dict.fromkeys(ACCENTS_HZ, 1))
    write_dictionary(root / "dict.gender.txt", dict.fromkeys(GENDERS_HZ, 1))
    return root


@pytest.fixture(scope="session")
def options(voices: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the overrides that name the configurations above and the manifests."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "one_rate.yaml").write_text(CONFIG + ONE_RATE, encoding="utf-8")
    (folder / "two_rates.yaml").write_text(CONFIG + TWO_RATES, encoding="utf-8")
    return f"conf={folder}", f"task.data={voices}", "config=one_rate"


def write_source(path: Path) -> dict[str, torch.Tensor]:
    """Return the checkpoint of an untrained recogniser and the weights of its encoder."""
    torch.manual_seed(2)
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SHAPE)), 5)
    cfg = {"model": {**SHAPE, "normalize": True}, "task": {"sample_rate_hz": RATE}}
    torch.save({"cfg": cfg, "model": model.state_dict(), "task_state": {"symbols": list("abcde")}}, path)
    return dict(model.encoder.state_dict())


@pytest.fixture(scope="session")
def trained(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train both streams at two learning rates; delete the checkpoint that the training started from."""
    folder = tmp_path_factory.mktemp("classifier")
    write_source(folder / "source.pt")
    training = train(
        folder,
        *options,
        "config=two_rates",
        "~lr_scheduler.warmup_updates",  # takes away what `training_command` sets: this schedule has no keys
        f"model.pretrained_path={folder / 'source.pt'}",
        "model.encoder_lr_scale=0.3",
        "optimization.max_update=60",
        "dataset.disable_validation=false",
        "dataset.validate_interval=1000",
    )
    (folder / "source.pt").unlink()
    return training


def test_log_shows_each_streams_accuracy(trained: Any) -> None:
    last = next(row for row in reversed(trained.log) if "valid_loss" in row)
    assert {"valid_accuracy", "valid_accuracy_accent", "valid_accuracy_gender"} <= last.keys()
    assert trained.updates[60] < 0.5 * trained.updates[1]


def test_file_alone_names_accent_and_gender(trained: Any, voices: Path) -> None:
    path = trained.folder / "checkpoint_last.pt"
    clip = load(voices / "test_0_0.wav", sample_rate_hz=RATE)
    for label, expected, names in (("accent", "valencià", ACCENTS_HZ), ("gender", "female", GENDERS_HZ)):
        loaded = load_model(path, label=label)
        assert loaded.labels == list(names)
        assert next(iter(classify(loaded, clip))) == expected
    cfg = load_model(path).cfg.model
    assert (cfg.encoder_layers, cfg.encoder_embed_dim, cfg.normalize) == (2, 32, True)


def test_each_stream_is_scored_by_the_command(
    trained: Any, voices: Path, tmp_path: Path, repository: Path, preloaded: Preloaded
) -> None:
    command = [repository / "tools" / "evaluate.py", "--origin", "synthetic"]
    checkpoint = ["--checkpoint", str(trained.folder / "checkpoint_last.pt"), "--data", str(voices)]
    for label, count in (("accent", 22), ("gender", 18)):
        out = tmp_path / label
        row = ["--system", "heads", "--label", label, "--out", str(out), "--intervals-over", "speakers"]
        preloaded.run([*command, *checkpoint, *row], check=True)
        result = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        assert (result["n"], result["n"] + result["num_unlabelled"]) == (count, 24)
        assert (result["num_shared_speakers"], result["intervals_over"]) == (0, "speakers")
        assert result["metrics"]["macro_f1"]["value"] > 0.8
    assert "valencià" in (tmp_path / "accent" / "predictions.tsv").read_text(encoding="utf-8")
    row = ["--system", "heads", "--out", str(tmp_path / "none")]
    failed = preloaded.run([*command, *checkpoint, *row])
    assert failed.returncode != 0
    assert "the network has several label streams, accent,gender; name the one to score" in failed.stderr


def test_heads_of_a_run_stand_in_the_partitions_of_their_streams(
    trained: Any, voices: Path, tmp_path: Path, repository: Path, preloaded: Preloaded
) -> None:
    done = tmp_path / "train" / "accent_gender" / "joint_head" / "seed1"
    done.mkdir(parents=True)
    (done / "checkpoint_last.pt").symlink_to(trained.folder / "checkpoint_last.pt")
    (done / "done").touch()
    (tmp_path / "manifests").mkdir()
    for partition in ("accent_gender", "accent", "gender"):
        (tmp_path / "manifests" / partition).symlink_to(voices)
    command = [repository / "tools" / "evaluate.py", "--origin", "synthetic"]
    options = ["--run", str(tmp_path), "--partitions", "accent_gender", "--intervals-over", "speakers"]
    heads = ["--heads", "accent=accent", "gender=gender"]
    preloaded.run([*command, *options, *heads], check=True)
    for label, names, count in (("accent", ACCENTS_HZ, 22), ("gender", GENDERS_HZ, 18)):
        row = tmp_path / "scores" / label / "joint_head" / "seed1" / "metrics.json"
        result = json.loads(row.read_text(encoding="utf-8"))
        assert (result["partition"], result["labels"], result["n"]) == (label, list(names), count)
        assert np.sum(result["confusion"]) == count
        assert result["metrics"]["macro_f1"]["value"] > 0.8


def test_frozen_encoder_is_saved_as_it_came(train: Train, options: tuple[str, ...], tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.pt")
    training = train(
        tmp_path / "run",
        *options,
        f"model.pretrained_path={tmp_path / 'source.pt'}",
        "+model.freeze_encoder=true",
        "optimization.max_update=3",
    )
    saved = training.checkpoint()["model"]
    for name, value in source.items():
        assert torch.equal(saved[f"encoder.{name}"], value), name
    assert saved["layer_sum.scores"].any()
    assert all(saved[f"heads.{number}.bias"].any() for number in (0, 1))


def test_encoder_has_its_rate_with_any_optimizer(
    train: Train, options: tuple[str, ...], tmp_path: Path
) -> None:
    source = write_source(tmp_path / "source.pt")
    changes = (f"model.pretrained_path={tmp_path / 'source.pt'}", "model.encoder_lr_scale=0.3")
    saved = train(tmp_path / "run", *options, *changes, "optimization.max_update=1").checkpoint()["model"]
    # the first step of Adam is the learning rate, whatever the gradient; the scores of the layers start at 0
    whole = saved["layer_sum.scores"].abs().max().item()
    name = "encoder.layers.1.fc1.weight"
    assert (saved[f"encoder.{name}"] - source[name]).abs().median().item() == pytest.approx(
        0.3 * whole, rel=0.01
    )
