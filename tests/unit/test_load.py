"""Loading of classifiers: from a checkpoint's path to predictions; wrong files are refused with the reason."""

import pickle
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.inference.classifier import classify
from fairseq_ext.models.linear_classifier import LinearClassifier, LinearClassifierConfig

LABELS = ["sí", "no", "potser", "plaça"]
RATE = 8000
CLIP = np.random.default_rng(1).normal(size=4000).astype(np.float32) * 0.1


def state_of(labels: list[str], seed: int = 1, **extra: Any) -> dict[str, Any]:
    """Return what fairseq stores of a training, with weights that no seed gives."""
    model_cfg = OmegaConf.structured(LinearClassifierConfig(pretrained_path="/gone/pretrained.pt"))
    cfg = {
        "common": {"seed": seed},
        "task": {"sample_rate_hz": RATE},
        "model": {**OmegaConf.to_container(model_cfg, enum_to_str=True), "_name": "ext_linear_classifier"},
    }
    built = OmegaConf.merge(model_cfg, {"pretrained_path": ""})
    model = LinearClassifier.build_model(built, SimpleNamespace(num_classes=len(labels), sample_rate_hz=RATE))
    weights = {
        name: torch.full_like(value, 0.5) if "classifier" in name else value
        for name, value in model.state_dict().items()
    }
    return {
        "cfg": cfg,
        "model": weights,
        "task_state": {"class_names": labels} if labels else {},
        "optimizer_history": [{"num_updates": 12}],
        "extra_state": extra,
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a trained classifier."""
    path = tmp_path / "checkpoint_last.pt"
    torch.save(state_of(LABELS), path)
    return path


def classifier(path: Path, **options: Any) -> torch.Tensor:
    """Weights of the last layer."""
    weight: torch.Tensor = load_model(path, **options).model.state_dict()["classifier.1.weight"]
    return weight


def test_gives_model_labels_and_rate(checkpoint: Path) -> None:
    loaded = load_model(checkpoint)
    assert loaded.labels == LABELS
    assert (loaded.sample_rate_hz, loaded.num_updates) == (RATE, 12)
    assert not loaded.model.training
    assert (loaded.model.state_dict()["classifier.1.weight"] == 0.5).all()


def test_needs_nothing_but_the_file(checkpoint: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "model.pt"
    moved.parent.mkdir()
    shutil.move(checkpoint, moved)
    assert load_model(str(moved)).labels == LABELS


def test_key_that_came_after_the_training_has_its_default(checkpoint: Path, tmp_path: Path) -> None:
    state = state_of(LABELS)
    del state["cfg"]["model"]["test_views"]
    torch.save(state, tmp_path / "older.pt")
    assert load_model(tmp_path / "older.pt").model.test_views == load_model(checkpoint).model.test_views


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    state = state_of(LABELS)
    averaged = {name: value + 1 for name, value in state["model"].items()}
    torch.save({**state, "extra_state": {"ema": averaged}}, tmp_path / "ema.pt")
    assert (classifier(tmp_path / "ema.pt") == 1.5).all()


def test_untrained_control_is_set_by_the_seed_alone(checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = classifier(checkpoint, untrained=True)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert torch.equal(first, classifier(checkpoint, untrained=True))
    assert not torch.equal(first, classifier(checkpoint))
    torch.save(state_of(LABELS, seed=2), tmp_path / "other.pt")
    assert not torch.equal(first, classifier(tmp_path / "other.pt", untrained=True))


def test_classifies_into_probabilities_the_likeliest_first(checkpoint: Path) -> None:
    result = classify(load_model(checkpoint, untrained=True), CLIP)
    assert set(result) == set(LABELS)
    assert sum(result.values()) == pytest.approx(1.0, abs=1e-5)
    assert list(result.values()) == sorted(result.values(), reverse=True)


def test_pretrained_model_has_no_classes(tmp_path: Path) -> None:
    torch.save(state_of([]), tmp_path / "checkpoint.pt")
    loaded = load_model(tmp_path / "checkpoint.pt")
    assert loaded.labels == []
    assert loaded.model(torch.from_numpy(CLIP)[None])["logits"] is None
    with pytest.raises(ValueError, match="fine-tune"):
        classify(loaded, CLIP)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such checkpoint"):
        load_model(tmp_path / "none.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.pt is not a fairseq checkpoint: .*copy it again"):
        load_model(tmp_path / "bad.pt")


@pytest.mark.parametrize("partition", [2, 4])
def test_torch_s_advice_to_run_a_file_s_code_is_not_passed_on(tmp_path: Path, partition: int) -> None:
    torch.save({"model": subprocess.Popen}, tmp_path / "bad.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps({"model": subprocess.Popen}, partition))
    for name in ("bad.pt", "raw.pt"):
        with pytest.raises(ValueError, match=f"{name} is not a fairseq checkpoint") as info:
            load_model(tmp_path / name)
        assert "weights_only" not in str(info.value)
        assert "safe_globals" not in str(info.value)
        assert "\n" not in str(info.value)
    with pytest.raises(ValueError, match=r"the class \w+\.Popen"):
        load_model(tmp_path / "bad.pt")


def test_folder_of_hugging_face_s_is_converted_first(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is a folder, not a checkpoint; give a file in it"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    command = re.escape(f"fairseq-ext convert checkpoint {tmp_path} start.pt")
    with pytest.raises(FileNotFoundError, match=command):
        load_model(tmp_path)


def test_half_a_checkpoint_is_named(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"checkpoint_last\.pt"):
        load_model(checkpoint)


@pytest.mark.parametrize("content", [{"weights": torch.ones(1)}, [1, 2], {"cfg": None, "model": {}}])
def test_file_of_another_program_is_named(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(
        ValueError, match=r"other\.pt is not a (fairseq checkpoint|checkpoint of fairseq_ext): "
    ):
        load_model(tmp_path / "other.pt")


@pytest.mark.parametrize("model", [{"_name": "wav2vec2"}, {"_name": "ext_gone"}, {}, None])
def test_model_of_others_is_refused(tmp_path: Path, model: Any) -> None:
    state = state_of(LABELS)
    state["cfg"]["model"] = model
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"is not one of fairseq_ext\.models"):
        load_model(tmp_path / "other.pt")
