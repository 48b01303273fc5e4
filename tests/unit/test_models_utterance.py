"""All utterance models: outputs, independence of padding, that they learn, heads, pretrained weights."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY, build_model
from model_checks import RATE_HZ, registered
from omegaconf import OmegaConf

from fairseq_ext import models
from fairseq_ext.models._utterance_model import UtteranceModel
from fairseq_ext.modules.padding import valid_mask

NAMES = registered(UtteranceModel)


def make(name: str, num_classes: int = 3, **keys: object) -> UtteranceModel:
    """Build as fairseq does: from a structured config, for a task."""
    torch.manual_seed(1)
    cfg = OmegaConf.structured(MODEL_DATACLASS_REGISTRY[name](**keys))
    cfg._name = name
    model = build_model(cfg, SimpleNamespace(num_classes=num_classes, sample_rate_hz=RATE_HZ))
    assert isinstance(model, UtteranceModel)
    return model


def tones(num_clips: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clips of unequal length whose class is the direction of a sweep: rising, falling, steady."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1600, 4000, (num_clips,), generator=generator)
    target = torch.arange(num_clips) % 3
    source = torch.zeros(num_clips, int(lengths.max()))
    for row, length, kind in zip(source, lengths.tolist(), target.tolist(), strict=True):
        ends_hz = [(500.0, 2500.0), (2500.0, 500.0), (1200.0, 1200.0)][kind]
        phase = 2 * torch.pi * torch.cumsum(torch.linspace(*ends_hz, length), 0) / RATE_HZ
        row[:length] = torch.sin(phase) + 0.01 * torch.randn(length, generator=generator)
    return source, ~valid_mask(lengths, source.shape[1]), target


@pytest.mark.parametrize("name", NAMES)
def test_registered_under_its_file_name_with_helpful_keys(name: str) -> None:
    assert MODEL_REGISTRY[name].__module__ == f"{models.__name__}.{name.removeprefix('ext_')}"
    config = MODEL_DATACLASS_REGISTRY[name]
    assert issubclass(config, FairseqDataclass)
    assert all(field.metadata.get("help") for field in dataclasses.fields(config) if field.name != "_name")


@pytest.mark.parametrize("name", NAMES)
def test_output_and_independence_of_padding(name: str) -> None:
    model = make(name, projection_dim=8).eval()
    source, padding_mask, _ = tones(5)
    with torch.no_grad():
        together = model(source, padding_mask)
        assert together["logits"].shape == (5, 3)
        assert together["embedding"].shape[0] == 5
        assert together["projection"].shape == (5, 8)
        for i in range(5):
            alone = model(source[i : i + 1, ~padding_mask[i]])
            for key, value in alone.items():
                torch.testing.assert_close(together[key][i : i + 1], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_learns_a_task_that_needs_time(name: str) -> None:
    model = make(name, vtlp=0.1, stretch=0.2, eq_db=3.0)
    source, padding_mask, target = tones(24)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model.train()(source, padding_mask)["logits"], target)
        optimizer.zero_grad()
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        optimizer.step()
    test_source, test_mask, test_target = tones(24, seed=2)
    predicted = model.eval()(test_source, test_mask)["logits"].argmax(1)
    assert float((predicted == test_target).float().mean()) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_tiny_clips_and_silence_stay_finite(name: str) -> None:
    model = make(name)
    for training in (True, False):
        source = torch.zeros(2, 200)
        source[1, 0] = 1.0
        output = model.train(training)(source, ~valid_mask(torch.tensor([1, 200]), 200))
        assert bool(torch.isfinite(output["logits"]).all())


def test_without_classes_there_is_no_classifier() -> None:
    model = make("ext_temporal_cnn", num_classes=0)
    output = model(tones(2)[0])
    assert output["logits"] is None
    assert output["projection"] is None
    with pytest.raises(ValueError, match="the model has no classes"):
        model.get_normalized_probs(output, log_probs=True)


def test_probabilities_sum_to_one() -> None:
    model = make("ext_linear_classifier")
    output = model(tones(3)[0])
    torch.testing.assert_close(model.get_normalized_probs(output, False).sum(1), torch.ones(3))
    torch.testing.assert_close(model.get_normalized_probs(output, True).exp().sum(1), torch.ones(3))


def test_views_at_test_time_average_and_keep_independence_of_padding() -> None:
    single = make("ext_spectral_cnn").eval()
    averaged = make("ext_spectral_cnn", test_views=3, test_warp=0.1).eval()
    averaged.load_state_dict(single.state_dict())
    source, padding_mask, _ = tones(3)
    with torch.no_grad():
        result = averaged(source, padding_mask)
        assert not torch.allclose(result["embedding"], single(source, padding_mask)["embedding"])
        alone = averaged(source[:1, ~padding_mask[0]])
        torch.testing.assert_close(result["logits"][:1], alone["logits"], rtol=1e-3, atol=1e-4)
        averaged.test_warp = 0.0
        torch.testing.assert_close(
            averaged(source, padding_mask)["embedding"],
            single(source, padding_mask)["embedding"],
            rtol=1e-3,
            atol=1e-4,
        )


def save(model: UtteranceModel, path: Path, ema: dict[str, torch.Tensor] | None = None) -> str:
    torch.save({"model": model.state_dict(), "extra_state": {"ema": ema} if ema else {}}, path)
    return str(path)


def test_pretrained_weights_are_taken_by_name_and_shape_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make("ext_temporal_cnn", num_classes=0, projection_dim=8)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.5)
    path = save(source, tmp_path / "pretrained.pt")
    with caplog.at_level(logging.INFO, logger="fairseq_ext.modules.pretrained"):
        model = make("ext_temporal_cnn", pretrained_path=path)
    for name, value in model.encoder.state_dict().items():
        torch.testing.assert_close(value, source.encoder.state_dict()[name])
    assert "initial values: classifier.1.weight, classifier.1.bias" in caplog.text
    assert "not used: projector.0.weight" in caplog.text


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    source = make("ext_temporal_cnn")
    averaged = {name: torch.full_like(value, 2.0) for name, value in source.state_dict().items()}
    model = make("ext_temporal_cnn", pretrained_path=save(source, tmp_path / "ema.pt", averaged))
    assert bool((model.classifier[1].weight == 2.0).all())


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"decoder.weight": torch.zeros(3)}}, path)
    with pytest.raises(ValueError, match="no tensor has the name and shape of one in TemporalCnn"):
        make("ext_temporal_cnn", pretrained_path=str(path))


def test_a_frozen_encoder_does_not_move_or_update_its_statistics() -> None:
    model = make("ext_spectral_cnn", freeze_encoder=True).train()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    source, padding_mask, target = tones(6)
    torch.nn.functional.cross_entropy(model(source, padding_mask)["logits"], target).backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())
