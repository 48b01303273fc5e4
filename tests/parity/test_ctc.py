"""CTC against stock fairseq: its model with our weights and back, its criterion on the same batch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fairseq.criterions.ctc import CtcCriterion, CtcCriterionConfig
from fairseq.data import Dictionary
from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc
from omegaconf import OmegaConf
from reference64 import Results, compare, gradients
from torch import Tensor

from fairseq_ext.criterions.ctc import ExtCtcCriterion
from fairseq_ext.data.labels import PAD
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.modules.padding import pad_waveforms

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", *"abcçàŀ"]
CONV = "[(32, 10, 5)] + [(32, 3, 2)] * 2 + [(32,2,2)]"
SIZES: dict[str, Any] = {
    "conv_feature_layers": CONV,
    "encoder_layers": 2,
    "encoder_embed_dim": 48,
    "encoder_ffn_embed_dim": 96,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}
FLAVOURS: dict[str, dict[str, Any]] = {
    "base": {},
    "large": {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True},
}


# Frames of the longest clip: its CTC recursion rounds so many times in a row.
NUM_FRAMES = 200


@dataclass
class Step:
    """The result of a criterion and its backward pass."""

    loss: Results
    gradients: Results
    count: int
    logged: dict[str, Any]


def task() -> Any:
    """Return the attributes of a task that models and criterions read, stock and ours."""
    dictionary = Dictionary()
    for symbol in SYMBOLS[4:]:
        dictionary.add_symbol(symbol)
    return SimpleNamespace(target_dictionary=dictionary, symbols=SYMBOLS)


def stock_model(kind: dict[str, Any], data: Any, normalize: bool = False) -> Any:
    """Return fairseq's model, with weights far from their initial values."""
    args = {
        "task": {"_name": "audio_pretraining", "data": str(data), "normalize": normalize},
        "model": {"_name": "wav2vec2", **SIZES, **kind},
        "criterion": None,
        "lr_scheduler": None,
    }
    config = OmegaConf.structured(Wav2Vec2CtcConfig)
    config.w2v_args, config.normalize, config.data = args, normalize, str(data)
    config.ddp_backend = "legacy_ddp"
    torch.manual_seed(1)
    model = Wav2VecCtc.build_model(config, task())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@torch.no_grad()
def log_probs(model: Any, source: Tensor, padding: Tensor) -> Tensor:
    """Return (T, B, V) log-probabilities of a model, stock or ours."""
    found: Tensor = model.get_normalized_probs(model(source=source, padding_mask=padding), log_probs=True)
    return found


@pytest.fixture(params=FLAVOURS, name="pair")
def _pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, ExtCtc]:
    kind = FLAVOURS[request.param]
    stock = stock_model(kind, tmp_path)
    ours = ExtCtc(CtcConfig(**SIZES, **kind), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    return stock, ours


@pytest.mark.precision
def test_log_probabilities_equal_those_of_stock_fairseq(pair: tuple[Any, ExtCtc]) -> None:
    stock, ours = pair
    source = torch.randn(2, 4001)
    padding = torch.zeros(2, 4001, dtype=torch.bool)

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        found = log_probs(ours.to(dtype), source.to(dtype), padding)
        assert found.std() > 0.1
        return {"": found}, {"": log_probs(stock.to(dtype), source.to(dtype), padding)}

    compare(run)


def test_stock_fairseq_loads_ours(pair: tuple[Any, ExtCtc]) -> None:
    stock, ours = pair
    assert stock.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.precision
def test_normalised_large_model_equals_stock_fairseq(tmp_path: Path) -> None:
    stock = stock_model(FLAVOURS["large"], tmp_path, normalize=True)
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"], normalize=True), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    clips = [3.0 + 5.0 * torch.randn(4001), 0.01 * torch.randn(2500)]

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        raw = [clip.to(dtype) for clip in clips]
        normalized = [F.layer_norm(clip, clip.shape) for clip in raw]  # as stock datasets do
        found = log_probs(ours.to(dtype), *pad_waveforms(raw))
        return {"": found}, {"": log_probs(stock.to(dtype), *pad_waveforms(normalized))}

    compare(run)


@pytest.fixture
def batch() -> dict[str, Any]:
    """Three padded clips with transcripts; the second holds a letter twice in a row."""
    generator = torch.Generator().manual_seed(4)
    source, padding = pad_waveforms([torch.randn(size, generator=generator) for size in (4001, 3000, 1500)])
    rows = [[5, 6, 4, 8, 10, 4], [7, 7, 4], [9, 4]]
    target = torch.nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], True, PAD)
    sizes = torch.tensor([len(row) for row in rows])
    net_input = {"source": source, "padding_mask": padding}
    counts = {"nsentences": 3, "ntokens": int(sizes.sum())}
    return {
        "id": torch.arange(3),
        "net_input": net_input,
        "target": target,
        "target_lengths": sizes,
        **counts,
    }


def stock_criterion(zero_infinity: bool, sentence_avg: bool) -> Any:
    """Return fairseq's criterion."""
    config = CtcCriterionConfig(zero_infinity=zero_infinity, sentence_avg=sentence_avg, post_process="letter")
    return CtcCriterion(config, task())


def criterion_step(criterion: Any, model: Any, batch: dict[str, Any], dtype: torch.dtype) -> Step:
    """Run a criterion and the backward pass in a precision."""
    net_input = {**batch["net_input"], "source": batch["net_input"]["source"].to(dtype)}
    loss, count, logged = criterion(model.to(dtype), {**batch, "net_input": net_input})
    loss.backward()
    return Step({"loss": loss}, gradients(model), count, logged)


@pytest.mark.precision
@pytest.mark.parametrize("sentence_avg", [False, True])
def test_loss_and_gradients_equal_those_of_stock_fairseq(
    batch: dict[str, Any], tmp_path: Path, sentence_avg: bool
) -> None:
    # the large model: in the base model of stock fairseq the padding counts
    stock = stock_model(FLAVOURS["large"], tmp_path)
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())

    @cache
    def run(dtype: torch.dtype) -> tuple[Step, Step]:
        found = criterion_step(ExtCtcCriterion(task(), True, sentence_avg), ours, batch, dtype)
        expected = criterion_step(stock_criterion(False, sentence_avg), stock, batch, dtype)
        assert found.count == expected.count
        assert found.logged["num_infeasible"] == 0
        return found, expected

    def part(dtype: torch.dtype, name: str) -> tuple[Results, Results]:
        found, expected = run(dtype)
        return getattr(found, name), getattr(expected, name)

    compare(lambda dtype: part(dtype, "loss"), num_roundings=NUM_FRAMES)
    # A gradient is exp(a - b) of sums a, b of ln p that grow to the loss: its relative error is their absolute one.
    loss = run(torch.float32)[0].loss["loss"].item()
    compare(lambda dtype: part(dtype, "gradients"), num_roundings=2 * NUM_FRAMES, largest=loss)


def test_errors_equal_those_of_stock_fairseq(batch: dict[str, Any], tmp_path: Path) -> None:
    stock = stock_model(FLAVOURS["large"], tmp_path)
    with torch.no_grad():  # stock fairseq would emit <pad> and </s>, which ours never does
        stock.w2v_encoder.proj.bias[1:4] = -100.0
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    with torch.no_grad():
        _, _, expected = stock_criterion(True, False)(stock, batch)
        _, _, found = ExtCtcCriterion(task(), True, False)(ours, batch)
    assert expected["w_total"] == found["num_words"] == 4
    assert expected["w_errors"] == found["word_errors"] > 0


@pytest.mark.precision
def test_stock_criterion_trains_our_model(batch: dict[str, Any]) -> None:
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        found = criterion_step(ExtCtcCriterion(task(), True, False), ours, batch, dtype)
        return found.loss, criterion_step(stock_criterion(True, False), ours, batch, dtype).loss

    compare(run, num_roundings=NUM_FRAMES)


@pytest.mark.precision
def test_impossible_transcripts_equal_stock_fairseqs_zero_infinity(batch: dict[str, Any]) -> None:
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    sizes = torch.tensor([4, 600, 3])
    long = torch.arange(5, 11).repeat(3, 100)
    long[torch.arange(600)[None] >= sizes[:, None]] = PAD
    batch |= {"target": long, "target_lengths": sizes, "ntokens": 607}

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        found = criterion_step(ExtCtcCriterion(task(), True, False), ours, batch, dtype)
        expected = criterion_step(stock_criterion(True, False), ours, batch, dtype)
        assert found.count == expected.count
        assert found.logged["num_infeasible"] == 1
        return found.loss, expected.loss

    compare(run, num_roundings=NUM_FRAMES)
