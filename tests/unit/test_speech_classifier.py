"""The speech classifier: padding, layers, what trains, what it takes from a checkpoint, and its file alone."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small_whisper
import torch
from omegaconf import OmegaConf
from small_encoder import SIZES

from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.inference.classifier import classify
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.speech_classifier import LayerSum, SpeechClassifier, SpeechClassifierConfig
from fairseq_ext.models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config
from fairseq_ext.modules.padding import pad_waveforms

RATE = 8000
STREAMS = {"accent": ["balear", "central", "valencià"], "gender": ["female", "male"]}
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True, "normalize": True}
CLIPS = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in (3000, 2100, 900)]
Build = Callable[..., SpeechClassifier]


def config(**keys: Any) -> Any:
    """Return the model's section as fairseq hands it over."""
    return OmegaConf.structured(SpeechClassifierConfig(**{**SIZES, **keys}))


def build(**keys: Any) -> SpeechClassifier:
    """Return a model for both streams."""
    torch.manual_seed(1)
    task: Any = SimpleNamespace(streams=STREAMS, sample_rate_hz=RATE)
    return SpeechClassifier.build_model(config(**keys), task)


def scores_of(model: SpeechClassifier, clips: list[torch.Tensor] = CLIPS) -> dict[str, Any]:
    """Return the model's output for a batch."""
    output: dict[str, Any] = model(*pad_waveforms(clips))
    return output


def trained(model: SpeechClassifier) -> set[str]:
    """Parameters that a step changes, all heads scored."""
    model.train()
    sum(logits.square().sum() for logits in scores_of(model)["all_logits"]).backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("pooling", ["mean", "mean_std", "statistics", "attention"])
@pytest.mark.parametrize("layers", ["weighted", "last"])
def test_padding_never_counts(kind: dict[str, Any], pooling: str, layers: str) -> None:
    model = build(**kind, pooling=pooling, layers=layers).eval()
    with torch.no_grad():
        together = scores_of(model)
        for row, clip in enumerate(CLIPS):
            alone = model(clip[None])
            torch.testing.assert_close(
                together["embedding"][row], alone["embedding"][0], atol=1e-4, rtol=1e-4
            )
            for batch, one in zip(together["all_logits"], alone["all_logits"], strict=True):
                torch.testing.assert_close(batch[row], one[0], atol=1e-4, rtol=1e-4)
    assert together["embedding"].shape == (3, {"mean": 24, "mean_std": 48}.get(pooling, 72))
    assert [tuple(logits.shape) for logits in together["all_logits"]] == [(3, 3), (3, 2)]


def test_clip_too_short_for_a_frame_is_finite() -> None:
    for pooling in ("mean", "statistics", "attention"):
        output = scores_of(build(pooling=pooling).eval(), [torch.randn(2000), torch.randn(3)])
        assert all(bool(logits.isfinite().all()) for logits in output["all_logits"])


def test_layer_weights_are_shares() -> None:
    layer_sum = LayerSum(4)
    layers = [torch.full((2, 3, 5), float(value)) for value in (0, 1, 2, 3)]
    assert layer_sum.weights().tolist() == [0.25] * 4
    torch.testing.assert_close(layer_sum(layers), torch.full((2, 3, 5), 1.5))
    with torch.no_grad():
        layer_sum.scores.copy_(torch.tensor([-2.0, 0.0, 30.0, 1.0]))
    assert float(layer_sum.weights().sum().detach()) == pytest.approx(1.0)
    torch.testing.assert_close(layer_sum(layers), layers[2], atol=1e-5, rtol=0)


def test_layers_of_different_level_count_alike_when_normalised() -> None:
    layers = [torch.randn(2, 3, 50), 1000.0 * torch.randn(2, 3, 50) + 7.0]
    alike, raw = LayerSum(2, normalize=True)(layers), LayerSum(2)(layers)
    expected = sum(torch.nn.functional.layer_norm(frames, (50,)) for frames in layers) / 2
    torch.testing.assert_close(alike, expected)
    assert raw.std().item() > 100 > 10 > alike.std().item()


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
def test_frozen_encoder_neither_trains_nor_changes(kind: dict[str, Any]) -> None:
    model = build(**kind, freeze_encoder=True, dropout=0.5)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    names = trained(model)
    assert names == {
        "layer_sum.scores",
        *(f"heads.{number}.{part}" for number in (0, 1) for part in ("weight", "bias")),
    }
    assert not model.encoder.training
    assert model.heads.training
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert not model.encode(CLIPS[0][None]).frames.requires_grad
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    heads = model.heads[1].weight.clone()
    optimizer.step()
    assert not torch.equal(heads, model.heads[1].weight)
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())
    # in training mode the output is the same twice: dropout is off
    assert torch.equal(scores_of(model)["embedding"], scores_of(model)["embedding"])


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("layers", ["weighted", "last"])
def test_everything_that_asks_for_a_gradient_gets_one(kind: dict[str, Any], layers: str) -> None:
    model = build(**kind, layers=layers, pooling="attention")
    asking = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    # a bias of all keys alike moves no softmax: its gradient is 0 but for rounding
    no_effect = {
        name for name in asking if name.endswith("k_proj.bias") or name == "pooling.attention.2.bias"
    }
    assert asking - no_effect <= trained(model) <= asking
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_encoder_has_its_own_learning_rate() -> None:
    model = build(encoder_lr_scale=0.1)
    scales = {
        name: p.optim_overrides["optimizer"]["lr_scale"]
        for name, p in model.named_parameters()
        if hasattr(p, "optim_overrides")
    }
    assert set(scales.values()) == {0.1}
    assert scales.keys() == {name for name, _ in model.named_parameters() if name.startswith("encoder.")}
    frozen = build(encoder_lr_scale=0.1, freeze_encoder=True)
    assert not any(hasattr(p, "optim_overrides") for p in frozen.parameters())


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
def test_frozen_layers_and_what_lies_before_them_do_not_train(kind: dict[str, Any]) -> None:
    model = build(**kind, frozen_layers=1, dropout=0.5, final_dropout=0.5)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    names = {name for name in trained(model) if name.startswith("encoder.")}
    assert names
    assert all(name.startswith("encoder.encoder.layers.1.") for name in names)
    assert [layer.training for layer in model.encoder.encoder.layers] == [False, True]
    assert not model.encoder.feature_extractor.training
    torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 0.1).step()
    changed = {n for n, value in model.encoder.state_dict().items() if not torch.equal(before[n], value)}
    assert changed
    assert all(name.startswith("encoder.layers.1.") for name in changed)


def test_not_every_layer_can_be_frozen_by_number() -> None:
    with pytest.raises(ValueError, match=r"model\.frozen_layers: less than the 2 layers expected, found 2"):
        build(frozen_layers=2)


def test_first_updates_leave_the_encoder_alone() -> None:
    model = build(freeze_finetune_updates=3, frozen_layers=1)
    assert not any(name.startswith("encoder.") for name in trained(model))
    model.set_num_updates(3)
    assert any(name.startswith("encoder.") for name in trained(model))


def test_standardised_vectors_have_mean_0_and_variance_1() -> None:
    model = build(standardize=True)
    found = model.train()(*pad_waveforms(CLIPS))["embedding"]
    torch.testing.assert_close(found.mean(0), torch.zeros(72), atol=1e-5, rtol=0)
    assert float(found.detach().std(0, unbiased=False).mean()) == pytest.approx(1.0, abs=0.05)
    assert bool(model(CLIPS[0][None])["embedding"].isfinite().all())  # a batch of one
    model.eval()
    together, alone = scores_of(model)["embedding"][0], model(CLIPS[0][None])["embedding"][0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layers", ["weighted", "last"])
def test_the_first_layers_of_an_encoder_are_taken(layers: str, tmp_path: Path) -> None:
    folder = str(small_whisper.write(tmp_path / "whisper"))
    whole = build(pretrained_path=folder, layers=layers).eval()
    cut = build(pretrained_path=folder, pretrained_layers=1, layers=layers).eval()
    assert len(cut.encoder.encoder.layers) == 1
    with torch.no_grad():
        expected = whole.encode(CLIPS[0][None], return_hidden=True).hidden[:2]
        found = cut.encode(CLIPS[0][None], return_hidden=True).hidden
    torch.testing.assert_close(found, expected)
    again = build(**cut.encoder_keys(), layers=layers, pretrained_layers=1)
    assert {n: v.shape for n, v in again.state_dict().items()} == {
        n: v.shape for n, v in cut.state_dict().items()
    }


def test_the_first_layers_of_a_checkpoint_are_taken(tmp_path: Path) -> None:
    source = write_pretraining(tmp_path / "source.pt").state_dict()
    model = build(pretrained_path=str(tmp_path / "source.pt"), pretrained_layers=2, frozen_layers=1)
    assert len(model.encoder.encoder.layers) == model.encoder_keys()["encoder_layers"] == 2
    assert all(torch.equal(value, source[name]) for name, value in model.encoder.state_dict().items())
    assert all(".layers.1." in name for name in trained(model) if name.startswith("encoder."))


def test_no_more_layers_than_there_are(tmp_path: Path) -> None:
    folder = str(small_whisper.write(tmp_path / "whisper"))
    with pytest.raises(
        ValueError, match=r"model\.pretrained_layers: 0 to 2 expected, the layers of .*, found 3"
    ):
        build(pretrained_path=folder, pretrained_layers=3)


@pytest.mark.parametrize("key", ["layers", "pooling"])
def test_unknown_choice_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.{key}: one of .* expected, found 'none of them'"):
        build(**{key: "none of them"})


def write_pretraining(path: Path) -> torch.nn.Module:
    """Write a checkpoint of `ext_wav2vec2`, of other sizes than the configuration's."""
    kind = {key: value for key, value in LARGE.items() if key != "normalize"}
    sizes = {**SIZES, **kind, "encoder_layers": 3, "encoder_embed_dim": 32}
    model = ExtWav2Vec2(Wav2Vec2Config(**sizes, final_dim=8, latent_vars=4))
    cfg = {"model": sizes, "task": {"normalize": True, "sample_rate_hz": RATE}}
    torch.save({"cfg": cfg, "model": model.state_dict()}, path)
    return model


def write_recogniser(path: Path) -> torch.nn.Module:
    """Write a checkpoint of `ext_ctc`."""
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), 7)
    cfg = {"model": {**SIZES, "normalize": False}, "task": {"sample_rate_hz": RATE}}
    torch.save({"cfg": cfg, "model": model.state_dict(), "task_state": {"symbols": ["a"] * 7}}, path)
    return model.encoder


@pytest.mark.parametrize("write", [write_pretraining, write_recogniser])
def test_encoder_comes_from_the_checkpoint_with_its_shape(write: Any, tmp_path: Path) -> None:
    source = write(tmp_path / "source.pt").state_dict()
    model = build(pretrained_path=str(tmp_path / "source.pt"), freeze_encoder=True)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, source[name]), name
    keys = model.encoder_keys()
    large = write is write_pretraining
    assert (keys["encoder_layers"], keys["normalize"]) == ((3, True) if large else (2, False))
    assert model.layer_sum is not None
    assert len(model.layer_sum.scores) == keys["encoder_layers"] + 1
    again = build(**keys)
    assert {n: v.shape for n, v in again.state_dict().items()} == {
        n: v.shape for n, v in model.state_dict().items()
    }


def test_other_sample_rate_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_recogniser(tmp_path / "source.pt")
    task: Any = SimpleNamespace(streams=STREAMS, sample_rate_hz=16000)
    SpeechClassifier.build_model(config(pretrained_path=str(tmp_path / "source.pt")), task)
    assert "trained at 8000 Hz, the task has 16000 Hz" in caplog.text


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such checkpoint"):
        build(pretrained_path=str(tmp_path / "none.pt"))


@pytest.fixture
def trained_file(tmp_path: Path) -> Path:
    """Return what a training of two streams leaves, its starting point deleted."""
    model = build(**LARGE, pooling="attention")
    keys = OmegaConf.to_container(config(**LARGE, pooling="attention"), enum_to_str=True)
    cfg = {
        "common": {"seed": 1},
        "task": {"sample_rate_hz": RATE, "label": "accent,gender"},
        "model": {**keys, "_name": "ext_speech_classifier", "pretrained_path": "/gone/source.pt"},
    }
    state = {"cfg": cfg, "model": model.state_dict(), "task_state": {"class_names": STREAMS}}
    torch.save(state, tmp_path / "checkpoint_last.pt")
    return tmp_path / "checkpoint_last.pt"


def test_file_alone_gives_each_stream(trained_file: Path) -> None:
    waveform = CLIPS[0].numpy()
    all_logits = build(**LARGE, pooling="attention").eval()(CLIPS[0][None])["all_logits"]
    for number, (stream, names) in enumerate(STREAMS.items()):
        loaded = load_model(trained_file, label=stream)
        assert (loaded.label, loaded.labels) == (stream, names)
        assert torch.equal(loaded.model(CLIPS[0][None])["logits"], all_logits[number])
        likeliest = names[int(all_logits[number].argmax())]
        assert next(iter(classify(loaded, waveform))) == likeliest
        probabilities = loaded.model.get_normalized_probs(loaded.model(CLIPS[0][None]), log_probs=False)
        assert classify(loaded, waveform)[likeliest] == pytest.approx(float(probabilities.max()))
    assert load_model(trained_file).label == "accent"


def test_stream_that_was_not_trained_is_refused(trained_file: Path) -> None:
    with pytest.raises(ValueError, match=r"no label stream 'age'; choose one of \['accent', 'gender'\]"):
        load_model(trained_file, label="age")
