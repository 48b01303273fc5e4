"""The CTC model: what it takes from a checkpoint, what trains when, and its masks."""

import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models.hubert.hubert import HubertConfig, HubertModel
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config as StockConfig
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Model
from omegaconf import OmegaConf

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config
from fairseq_ext.modules.padding import pad_waveforms
from fairseq_ext.modules.pretrained_encoder import read_encoder
from fairseq_ext.modules.speech_encoder import SpeechEncoder, SpeechEncoderConfig

SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abcçàŀ"]
RATE = 8000
SIZES: dict[str, Any] = {
    "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 2",
    "encoder_layers": 3,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
POSITIONS = "w2v_encoder.w2v_model.encoder.pos_conv.0"
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}
Written = tuple[dict[str, Any], torch.nn.Module]


def config(**keys: Any) -> Any:
    """Return the model's section as fairseq hands it over."""
    return OmegaConf.structured(CtcConfig(**keys))


def task(symbols: list[str] = SYMBOLS, sample_rate_hz: int = RATE) -> Any:
    """Return what `build_model` reads of its task."""
    return SimpleNamespace(symbols=symbols, sample_rate_hz=sample_rate_hz)


def own_pretraining() -> Written:
    model = ExtWav2Vec2(Wav2Vec2Config(**SIZES, **LARGE, final_dim=8, latent_vars=4))
    cfg = {"model": {**SIZES, **LARGE, "dropout": 0.7}, "task": {"normalize": True, "sample_rate_hz": RATE}}
    return {"cfg": cfg, "model": model.state_dict()}, model


def stock_pretraining() -> Written:
    stock = OmegaConf.structured(StockConfig(**SIZES, quantize_targets=True, latent_vars=4, final_dim=8))
    model = Wav2Vec2Model(stock)
    cfg = {"model": OmegaConf.to_container(stock, enum_to_str=True), "task": {"sample_rate": RATE}}
    return {"cfg": cfg, "model": model.state_dict()}, model


def legacy_hubert() -> Written:
    """Before 2021 one flat namespace held the keys of model and task."""
    keys = {**SIZES, "final_dim": 8, "label_rate": 50.0}
    model = HubertModel(HubertConfig(**keys), SimpleNamespace(sample_rate=RATE), [Dictionary()])
    return {
        "args": Namespace(task="hubert_pretraining", sample_rate=RATE, **keys),
        "model": model.state_dict(),
    }, model


def flat_wavlm() -> Written:
    keys = {
        **SIZES,
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "num_buckets": 32,
        "normalize": True,
    }
    shape = {key: value for key, value in keys.items() if key != "normalize"}
    model = SpeechEncoder(SpeechEncoderConfig(**shape))
    return {"cfg": keys, "model": model.state_dict()}, model


def stock_ctc() -> Written:
    """fairseq nests the configuration of the pre-training, and keeps a `Dictionary`."""
    dictionary = Dictionary()
    for symbol in SYMBOLS[4:]:
        dictionary.add_symbol(symbol)
    model = ExtCtc(config(**SIZES), len(SYMBOLS))
    inner = {"model": SIZES, "task": {"normalize": True, "sample_rate": RATE}}
    cfg = {"model": {"_name": "wav2vec_ctc", "w2v_args": inner}, "task": {}}
    return {
        "cfg": cfg,
        "model": model.state_dict(),
        "task_state": {"target_dictionary": dictionary},
    }, model.encoder


def own_ctc() -> Written:
    model = ExtCtc(config(**SIZES), len(SYMBOLS))
    cfg = {"model": {**SIZES, "normalize": True}, "task": {"sample_rate_hz": RATE}}
    return {"cfg": cfg, "model": model.state_dict(), "task_state": {"symbols": SYMBOLS}}, model.encoder


SOURCES: list[Callable[[], Written]] = [
    own_pretraining, stock_pretraining, legacy_hubert, flat_wavlm, stock_ctc, own_ctc,
]  # fmt: skip
every_source = pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)


def written(make: Callable[[], Written], folder: Path) -> tuple[Path, dict[str, Any], torch.nn.Module]:
    """Return a checkpoint file, its content, and the network in it."""
    torch.manual_seed(3)
    state, network = make()
    torch.save(state, folder / "source.pt")
    return folder / "source.pt", state, network


@every_source
def test_encoder_comes_from_the_checkpoint_with_its_shape(make: Any, tmp_path: Path) -> None:
    path, _, network = written(make, tmp_path)
    # none of the sizes of the default, wav2vec 2.0 base, are the file's
    model = ExtCtc.build_model(config(pretrained_path=str(path), dropout=0.0), task()).eval()
    kept = network.state_dict()
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert model.config.encoder_layers == 3
    assert model.config.conv_feature_layers == SIZES["conv_feature_layers"]
    assert model.config.normalize == (make not in {stock_pretraining, legacy_hubert})
    assert model.config.dropout == 0.0  # training's own choice stays
    assert model(torch.randn(1, 2000))["logits"].isfinite().all()


@every_source
def test_encoder_is_read_with_symbols_rate_and_head(make: Any, tmp_path: Path) -> None:
    source = read_encoder(written(make, tmp_path)[0])
    with_head = make in {stock_ctc, own_ctc}
    assert source.symbols == (SYMBOLS if with_head else None)
    assert sorted(source.head) == (["bias", "weight"] if with_head else [])
    assert source.sample_rate_hz == (None if make is flat_wavlm else RATE)


def test_weights_written_through_torchs_parametrization_load(tmp_path: Path) -> None:
    path, state, _ = written(own_ctc, tmp_path)
    old = state["model"]
    pairs = (("weight_g", "original0"), ("weight_v", "original1"))
    state["model"] = dict(old)
    for before, after in pairs:
        value = state["model"].pop(f"{POSITIONS}.{before}")
        state["model"][f"{POSITIONS}.parametrizations.weight.{after}"] = value
    torch.save(state, path)
    model = ExtCtc.build_model(config(pretrained_path=str(path)), task())
    for before, _ in pairs:
        name = f"{POSITIONS}.{before}"
        assert torch.equal(model.state_dict()[name], old[name])


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    path, state, _ = written(own_ctc, tmp_path)
    averaged = {name: value + 1.0 for name, value in state["model"].items()}
    torch.save({**state, "extra_state": {"ema": averaged}}, path)
    model = ExtCtc.build_model(config(pretrained_path=str(path)), task())
    for name, value in model.state_dict().items():
        assert torch.equal(value, averaged[name])


@pytest.mark.parametrize("make", [stock_ctc, own_ctc])
def test_output_layer_for_the_same_symbols_is_taken(make: Any, tmp_path: Path) -> None:
    path, state, _ = written(make, tmp_path)
    model = ExtCtc.build_model(config(pretrained_path=str(path)), task())
    assert torch.equal(model.w2v_encoder.proj.weight, state["model"]["w2v_encoder.proj.weight"])


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([*SYMBOLS, "é"], "it lacks ['é'], and has [] besides"),
        ([*SYMBOLS[:-1], "ñ"], "it lacks ['ñ'], and has ['ŀ'] besides"),
        ([*SYMBOLS[:4], *SYMBOLS[:3:-1]], "in another order"),
    ],
)
def test_output_layer_for_other_symbols_starts_anew_with_a_warning(
    symbols: list[str], message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, state, _ = written(own_ctc, tmp_path)
    with caplog.at_level(logging.WARNING):
        model = ExtCtc.build_model(config(pretrained_path=str(path)), task(symbols))
    assert "output layer left at random values" in caplog.text
    assert message in caplog.text
    weight = model.w2v_encoder.proj.weight
    assert weight.shape == (len(symbols), 24)
    theirs = state["model"]["w2v_encoder.proj.weight"]
    assert len(weight) != len(theirs) or not torch.equal(weight, theirs)


def test_output_layer_of_unknown_symbols_is_not_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, state, _ = written(stock_ctc, tmp_path)
    del state["task_state"]
    torch.save(state, path)
    with caplog.at_level(logging.WARNING):
        ExtCtc.build_model(config(pretrained_path=str(path)), task())
    assert "does not name the symbols of its outputs" in caplog.text


def test_other_sample_rate_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _, _ = written(own_ctc, tmp_path)
    with caplog.at_level(logging.WARNING):
        ExtCtc.build_model(config(pretrained_path=str(path)), task(sample_rate_hz=16000))
    assert "trained at 8000 Hz, the task has 16000 Hz" in caplog.text


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such checkpoint"):
        ExtCtc.build_model(config(pretrained_path=str(tmp_path / "none.pt")), task())


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut off", {"model": 1}, {"cfg": {}, "model": {"w": torch.ones(1)}}]
)
def test_file_without_an_encoder_is_named(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(
        ValueError,
        match=r"other\.pt (is not a fairseq checkpoint|has no wav2vec .* encoder): ",
    ):
        read_encoder(path)


def test_encoder_of_another_shape_is_refused(tmp_path: Path) -> None:
    path, state, _ = written(own_ctc, tmp_path)
    del state["model"]["w2v_encoder.w2v_model.encoder.layers.1.fc1.weight"]
    torch.save(state, path)
    with pytest.raises(ValueError, match=r": no encoder\.layers\.1\.fc1\.weight; this network"):
        ExtCtc.build_model(config(pretrained_path=str(path)), task())
    state["cfg"]["model"]["encoder_ffn_embed_dim"] = 48
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"size mismatch for .*fc1\.weight"):
        ExtCtc.build_model(config(pretrained_path=str(path)), task())


def trained_names(model: ExtCtc, num_updates: int) -> set[str]:
    """Parameters that a step at this update changes."""
    model.zero_grad()
    model.train()
    model.set_num_updates(num_updates)
    model(torch.randn(2, 3000))["logits"].square().sum().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_output_layer_trains_alone_at_first() -> None:
    model = ExtCtc(config(**SIZES, mask_prob=0.5, freeze_finetune_updates=5), len(SYMBOLS))
    head = {"w2v_encoder.proj.weight", "w2v_encoder.proj.bias"}
    assert trained_names(model, 0) == trained_names(model, 4) == head
    assert trained_names(model, 5) == {name for name, _ in model.named_parameters()}


def test_frozen_convolutions_never_train() -> None:
    model = ExtCtc(config(**SIZES, mask_prob=0.5, freeze_feature_extractor=True), len(SYMBOLS))
    names = {name for name, _ in model.named_parameters()}
    convolutions = {name for name in names if ".feature_extractor." in name}
    assert convolutions
    assert trained_names(model, 100) == names - convolutions
    assert not any(parameter.requires_grad for parameter in model.encoder.feature_extractor.parameters())


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
def test_frozen_layers_never_train_and_have_no_dropout(kind: dict[str, Any]) -> None:
    model = ExtCtc(config(**SIZES, **kind, mask_prob=0.5, dropout=0.5, frozen_layers=2), len(SYMBOLS))
    names = trained_names(model, 100) - {"w2v_encoder.proj.weight", "w2v_encoder.proj.bias"}
    prefix = "w2v_encoder.w2v_model.encoder."
    after = (f"{prefix}layers.2.", f"{prefix}layer_norm.") if kind else f"{prefix}layers.2."
    assert names
    assert all(name.startswith(after) for name in names)
    assert names == {n for n, p in model.encoder.named_parameters(prefix=prefix[:-9]) if p.requires_grad}
    assert [layer.training for layer in model.encoder.encoder.layers] == [False, False, True]
    assert not model.eval().encoder.encoder.layers[2].training


def test_freezing_random_convolutions_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ExtCtc.build_model(config(**SIZES, freeze_feature_extractor=True), task())
    assert "the convolutions stay random" in caplog.text


@pytest.mark.parametrize("kind", [{}, LARGE], ids=["base", "large"])
def test_layers_have_decaying_rates(kind: dict[str, Any]) -> None:
    model = ExtCtc(config(**SIZES, **kind, layer_decay=0.5), len(SYMBOLS))
    scales = {
        name.removeprefix("w2v_encoder.w2v_model."): parameter.optim_overrides["optimizer"]["lr_scale"]
        for name, parameter in model.named_parameters()
        if hasattr(parameter, "optim_overrides")
    }
    assert not any("proj" in name and name.startswith("w2v_encoder") for name in scales)
    assert [scales[f"encoder.layers.{i}.fc1.weight"] for i in range(3)] == [0.125, 0.25, 0.5]
    assert scales["feature_extractor.conv_layers.0.0.weight"] == 0.0625
    assert scales["encoder.layer_norm.weight"] == (0.5 if kind else 0.0625)
    with pytest.raises(ValueError, match=r"layer_decay: 0 < x <= 1 expected, found 1\.5"):
        ExtCtc(config(**SIZES, layer_decay=1.5), len(SYMBOLS))


@pytest.mark.parametrize(
    "keys", [{"mask_prob": 0.5, "mask_length": 4}, {"mask_channel_prob": 0.3, "mask_channel_length": 3}]
)
def test_masks_follow_from_the_seeds_alone(keys: dict[str, Any]) -> None:
    torch.manual_seed(1)
    model = ExtCtc(config(**SIZES, **NO_DROPOUT, **keys), len(SYMBOLS)).train()
    clips = [torch.randn(size) for size in (3000, 2500, 1200)]
    source, padding = pad_waveforms(clips)
    seeds = torch.tensor([5, 6, 7])

    def logits(*args: Any) -> Any:
        return model(*args)["logits"]

    first = logits(source, padding, seeds)
    torch.manual_seed(99)  # the global state plays no part
    assert torch.equal(first, logits(source, padding, seeds))
    assert not torch.allclose(first, logits(source, padding, seeds + 10))
    alone = logits(clips[1][None], None, seeds[1:2])
    torch.testing.assert_close(first[1:2, : alone.shape[1]], alone, atol=1e-5, rtol=0)
    model.eval()
    assert torch.equal(logits(source, padding, seeds), logits(source, padding))


def test_normalised_clips_have_no_level() -> None:
    torch.manual_seed(1)
    model = ExtCtc(config(**SIZES, **LARGE, normalize=True), len(SYMBOLS)).eval()
    clips = [torch.randn(3000), torch.randn(1500)]
    with torch.no_grad():
        expected = model(*pad_waveforms(clips))["logits"]
        found = model(*pad_waveforms([7.0 * clips[0] + 3.0, 0.01 * clips[1] - 1.0]))["logits"]
        alone = model(clips[1][None])["logits"]
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=0)
    # a variance of 1e-4 is not far above the constant that keeps silence finite
    torch.testing.assert_close(found[1, : alone.shape[1]], alone[0], atol=0.1, rtol=0)
    torch.testing.assert_close(expected[1, : alone.shape[1]], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_clips_too_short_for_a_frame_have_none(size: int) -> None:
    model = ExtCtc(config(**SIZES, normalize=True), len(SYMBOLS)).eval()
    output = model(*pad_waveforms([torch.randn(2000), torch.randn(size)]))
    assert output["lengths"].tolist()[1] == 0
    assert output["padding_mask"][1].all()
    assert output["logits"].isfinite().all()
