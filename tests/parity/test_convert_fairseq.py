"""Conversion against stock fairseq: it loads what we write for it, and its checkpoints of every age convert."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from fairseq.models.hubert.hubert import HubertConfig, HubertModel
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config as StockConfig
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Model
from fairseq.models.wav2vec.wav2vec2_asr import Wav2VecCtc
from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig
from reference64 import Results, compare
from torch import Tensor, nn

from fairseq_ext import models, tasks  # noqa: F401 - registers them
from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.checkpoints.encoder import load_encoder_layers
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.modules.speech_encoder import SpeechEncoder, SpeechEncoderConfig

CONV = "[(32, 10, 5)] + [(32, 3, 2), (32, 2, 2)]"
SIZES: dict[str, Any] = {
    "conv_feature_layers": CONV,
    "encoder_layers": 2,
    "encoder_embed_dim": 48,
    "encoder_ffn_embed_dim": 96,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
ALPHABET = ["|", "a", "à", "ç", "·", "ŀ", "'"]
NUM_SAMPLES = 4001


def randomised(network: nn.Module) -> Any:
    """Move the weights far from their initial values."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def load(path: Path) -> tuple[Any, Any]:
    """Return model and task, as fairseq's own loader makes them."""
    networks, _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    return networks[0].eval(), task


def save(path: Path, model: dict[str, Any], weights: dict[str, Tensor], **rest: Any) -> Path:
    """Write a checkpoint as a training of fairseq does."""
    cfg = {"model": model, "task": {"normalize": False, "sample_rate": 8000}}
    history = [{"optimizer_name": "FairseqAdam", "lr_scheduler_state": {}, "num_updates": 9}]
    torch.save({"cfg": cfg, "model": weights, "optimizer_history": history, "extra_state": {}, **rest}, path)
    return path


def encoder_after(source: Path, folder: Path) -> SpeechEncoder:
    """Return our encoder with the weights of a checkpoint that went to Hugging Face and back."""
    convert(source, folder / "theirs")
    convert(folder / "theirs", folder / "ours.pt")
    state = torch.load(folder / "ours.pt")
    encoder = SpeechEncoder(SpeechEncoderConfig(**pick(state["cfg"]["model"])))
    weights = {name.removeprefix("w2v_encoder.w2v_model."): value for name, value in state["model"].items()}
    encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})
    return encoder.eval()


def pick(model: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of the encoder."""
    return {name: model[name] for name in SpeechEncoderConfig.__dataclass_fields__ if name in model}


@pytest.fixture(params=["base", "large"], name="sizes")
def _sizes(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SIZES if request.param == "base" else {**SIZES, **LARGE}


@pytest.fixture(name="recogniser")
def _recogniser(sizes: dict[str, Any], tmp_path: Path) -> tuple[ExtCtc, Path]:
    """Our recogniser, and a folder of Hugging Face's layout converted from it."""
    symbols = [*SPECIAL_SYMBOLS, *ALPHABET]
    config = CtcConfig(**sizes, normalize="extractor_mode" in sizes)
    ours = randomised(ExtCtc(config, len(symbols)))
    model = {**vars(config), "_name": "ext_ctc"}
    source = save(tmp_path / "own.pt", model, ours.state_dict(), task_state={"symbols": symbols})
    convert(source, tmp_path / "hugging_face")
    return ours, tmp_path / "hugging_face"


@pytest.mark.precision
@torch.no_grad()
def test_stock_fairseq_recognises_with_what_is_written_for_it(
    recogniser: tuple[ExtCtc, Path], tmp_path: Path
) -> None:
    ours, folder = recogniser
    convert(folder, tmp_path / "stock.pt", reader="fairseq")
    stock, task = load(tmp_path / "stock.pt")
    assert type(stock) is Wav2VecCtc
    assert task.target_dictionary.symbols == [*SPECIAL_SYMBOLS, *ALPHABET]
    assert task.cfg.sample_rate == 8000
    assert task.cfg.normalize == ours.config.normalize
    source = torch.randn(2, NUM_SAMPLES)
    ours.config = replace(ours.config, normalize=False)  # stock fairseq does it in its dataset

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        expected = stock.to(dtype)(source=source.to(dtype), padding_mask=None)["encoder_out"]
        return {"": ours.to(dtype)(source.to(dtype))["logits"]}, {"": expected.transpose(0, 1)}

    compare(run)


@torch.no_grad()
def test_loader_of_fairseq_takes_ours_too(recogniser: tuple[ExtCtc, Path], tmp_path: Path) -> None:
    ours, folder = recogniser
    convert(folder, tmp_path / "ours.pt")
    again, task = load(tmp_path / "ours.pt")
    assert task.symbols == [*SPECIAL_SYMBOLS, *ALPHABET]
    source = torch.randn(2, NUM_SAMPLES)
    assert torch.equal(again(source)["logits"], ours(source)["logits"])


@torch.no_grad()
def test_recogniser_of_stock_fairseq_converts(recogniser: tuple[ExtCtc, Path], tmp_path: Path) -> None:
    _, folder = recogniser
    convert(folder, tmp_path / "stock.pt", reader="fairseq")
    convert(tmp_path / "stock.pt", tmp_path / "again")
    for name in ("vocab.json", "config.json", "preprocessor_config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.precision
@torch.no_grad()
def test_stock_fairseq_goes_on_from_a_pretrained_model(sizes: dict[str, Any], tmp_path: Path) -> None:
    stock = randomised(
        Wav2Vec2Model(StockConfig(**sizes, quantize_targets=True, latent_vars=8, final_dim=24))
    )
    config = {name: getattr(stock.cfg, name) for name in StockConfig.__dataclass_fields__}
    source = save(tmp_path / "pretrained.pt", config, stock.state_dict())
    report = convert(source, tmp_path / "theirs")
    assert not report.left_out
    convert(tmp_path / "theirs", tmp_path / "again.pt", reader="fairseq")
    again, _ = load(tmp_path / "again.pt")
    assert type(again) is Wav2Vec2Model
    for name, value in stock.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    source = torch.randn(2, NUM_SAMPLES)

    def run(dtype: torch.dtype, key: str) -> tuple[Results, Results]:
        both = [m.to(dtype).extract_features(source.to(dtype), padding_mask=None) for m in (again, stock)]
        return {key: both[0][key]}, {key: both[1][key]}

    for key in ("x", "features"):
        compare(lambda dtype, key=key: run(dtype, key))


@pytest.mark.precision
@torch.no_grad()
def test_checkpoint_from_before_2021_converts(sizes: dict[str, Any], tmp_path: Path) -> None:
    stock = randomised(Wav2Vec2Model(StockConfig(**sizes)))  # no quantiser: not a model of transformers
    args = argparse.Namespace(arch="wav2vec2", normalize=True, sample_rate=8000, **sizes)
    torch.save({"args": args, "model": stock.state_dict()}, tmp_path / "old.pt")
    report = convert(tmp_path / "old.pt", tmp_path / "report")
    assert set(report.left_out) == {
        f"{n}.{p}" for n in ("project_q", "final_proj") for p in ("weight", "bias")
    }
    assert json.loads((tmp_path / "report" / "preprocessor_config.json").read_text())["do_normalize"]
    source = torch.randn(2, NUM_SAMPLES)
    encoder = encoder_after(tmp_path / "old.pt", tmp_path)

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        expected = stock.to(dtype).extract_features(source.to(dtype), padding_mask=None)["x"]
        return {"": encoder.to(dtype)(source.to(dtype)).frames}, {"": expected}

    compare(run)


@pytest.mark.precision
@torch.no_grad()
def test_hubert_of_stock_fairseq_converts(sizes: dict[str, Any], tmp_path: Path) -> None:
    dictionary = Dictionary()
    dictionary.add_symbol("0")
    config = HubertConfig(**sizes, label_rate=50, final_dim=16)
    stock = randomised(HubertModel(config, HubertPretrainingConfig(), [dictionary]))
    model = {**vars(config), "_name": "hubert"}
    source = save(tmp_path / "hubert.pt", model, stock.state_dict())
    report = convert(source, tmp_path / "folder")
    assert set(report.left_out) == {"label_embs_concat", "final_proj.weight", "final_proj.bias"}
    assert json.loads((tmp_path / "folder" / "config.json").read_text())["architectures"] == ["HubertModel"]
    waveforms = torch.randn(2, NUM_SAMPLES)
    encoder = encoder_after(source, tmp_path)

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        expected, _ = stock.to(dtype).extract_features(waveforms.to(dtype))
        return {"": encoder.to(dtype)(waveforms.to(dtype)).frames}, {"": expected}

    compare(run)


@torch.no_grad()
def test_layers_of_stock_fairseq_are_read(sizes: dict[str, Any], tmp_path: Path) -> None:
    """HuBERT and wav2vec 2.0 as they are published, layer by layer; wav2vec 2.0's own numbers count from 0."""
    dictionary = Dictionary()
    dictionary.add_symbol("0")
    config = HubertConfig(**sizes, label_rate=50, final_dim=16)
    hubert = randomised(HubertModel(config, HubertPretrainingConfig(), [dictionary]))
    hubert_path = save(tmp_path / "hubert.pt", {**vars(config), "_name": "hubert"}, hubert.state_dict())
    wav2vec2 = randomised(Wav2Vec2Model(StockConfig(**sizes)))
    model = {**vars(StockConfig(**sizes)), "_name": "wav2vec2"}
    wav2vec2_path = save(tmp_path / "wav2vec2.pt", model, wav2vec2.state_dict())
    waveforms = torch.randn(2, NUM_SAMPLES)
    for number in (1, 2):
        expected = {
            hubert_path: hubert.extract_features(waveforms, output_layer=number)[0],
            wav2vec2_path: wav2vec2.extract_features(waveforms, None, layer=number - 1)["x"],
        }
        for path, frames in expected.items():
            encoder, _ = load_encoder_layers(path, [number])
            (found,), _ = encoder(waveforms)
            assert (found - frames).abs().max() < 1e-4 * frames.square().mean().sqrt()


@torch.no_grad()
def test_wavlm_as_it_was_released_converts(sizes: dict[str, Any], tmp_path: Path) -> None:
    special = {
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "num_buckets": 32,
        "max_distance": 80,
    }
    config = SpeechEncoderConfig(**sizes, **special)
    encoder = randomised(SpeechEncoder(config))
    flat = {**vars(config), "normalize": True}
    torch.save({"cfg": flat, "model": encoder.state_dict()}, tmp_path / "WavLM.pt")
    source = torch.randn(2, NUM_SAMPLES)
    again = encoder_after(tmp_path / "WavLM.pt", tmp_path)
    # The same code with the same weights: nothing may differ.
    assert torch.equal(again(source).frames, encoder(source).frames)
    assert json.loads((tmp_path / "theirs" / "config.json").read_text())["model_type"] == "wavlm"
    with pytest.raises(ValueError, match="gated relative positions"):
        convert(tmp_path / "theirs", tmp_path / "stock.pt", reader="fairseq")
    assert not (tmp_path / "stock.pt").exists()


def test_recogniser_without_its_dictionary_asks_for_it(
    recogniser: tuple[ExtCtc, Path], tmp_path: Path
) -> None:
    _, folder = recogniser
    convert(folder, tmp_path / "stock.pt", reader="fairseq")
    state = torch.load(tmp_path / "stock.pt")
    torch.save({**state, "task_state": {}}, tmp_path / "bare.pt")
    with pytest.raises(ValueError, match=r"bare\.pt: 0 symbols.* for 11 outputs; .*--dictionary"):
        convert(tmp_path / "bare.pt", tmp_path / "again")
    write_dictionary(tmp_path / "dict.ltr.txt", dict.fromkeys(ALPHABET, 1))
    convert(tmp_path / "bare.pt", tmp_path / "again", dictionary=tmp_path / "dict.ltr.txt")
    assert (tmp_path / "again" / "vocab.json").read_bytes() == (folder / "vocab.json").read_bytes()
    write_dictionary(tmp_path / "dict.ltr.txt", dict.fromkeys(ALPHABET[1:], 1))
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt: 10 symbols.* for 11 outputs"):
        convert(tmp_path / "bare.pt", tmp_path / "third", dictionary=tmp_path / "dict.ltr.txt")
