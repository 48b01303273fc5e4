"""CTC against stock fairseq: its model with our weights and back, its criterion on the same batch."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.criterions.ctc import CtcCriterion, CtcCriterionConfig
from fairseq.data import Dictionary
from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc
from omegaconf import OmegaConf

from fairseq_ext.criterions.ctc import ExtCtcCriterion
from fairseq_ext.data.collate import pad_waveforms
from fairseq_ext.data.labels import PAD
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

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


def task() -> Any:
    """What models and criterions, stock and ours, read of a task."""
    dictionary = Dictionary()
    for symbol in SYMBOLS[4:]:
        dictionary.add_symbol(symbol)
    return SimpleNamespace(target_dictionary=dictionary, symbols=SYMBOLS)


def stock_model(kind: dict[str, Any], data: Any, normalize: bool = False) -> Any:
    """Fairseq's model, with weights far from their initial values."""
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


@pytest.fixture(params=FLAVOURS, name="pair")
def _pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, ExtCtc]:
    kind = FLAVOURS[request.param]
    stock = stock_model(kind, tmp_path)
    ours = ExtCtc(CtcConfig(**SIZES, **kind), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    return stock, ours


def test_log_probabilities_equal_those_of_stock_fairseq(pair: tuple[Any, ExtCtc]) -> None:
    stock, ours = pair
    source = torch.randn(2, 4001)
    padding = torch.zeros(2, 4001, dtype=torch.bool)
    with torch.no_grad():
        expected = stock.get_normalized_probs(stock(source=source, padding_mask=padding), log_probs=True)
        found = ours.get_normalized_probs(ours(source, padding), log_probs=True)
    assert found.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_stock_fairseq_loads_ours(pair: tuple[Any, ExtCtc]) -> None:
    stock, ours = pair
    assert stock.load_state_dict(ours.state_dict(), strict=True)


def test_normalised_large_model_equals_stock_fairseq(tmp_path: Path) -> None:
    stock = stock_model(FLAVOURS["large"], tmp_path, normalize=True)
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"], normalize=True), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    clips = [3.0 + 5.0 * torch.randn(4001), 0.01 * torch.randn(2500)]
    prepared = [torch.nn.functional.layer_norm(clip, clip.shape) for clip in clips]  # as stock datasets do
    source, padding = pad_waveforms(prepared)
    with torch.no_grad():
        expected = stock.get_normalized_probs(stock(source=source, padding_mask=padding), log_probs=True)
        found = ours.get_normalized_probs(ours(*pad_waveforms(clips)), log_probs=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


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
    """Fairseq's."""
    config = CtcCriterionConfig(zero_infinity=zero_infinity, sentence_avg=sentence_avg, post_process="letter")
    return CtcCriterion(config, task())


@pytest.mark.parametrize("sentence_avg", [False, True])
def test_loss_and_gradients_equal_those_of_stock_fairseq(
    batch: dict[str, Any], tmp_path: Path, sentence_avg: bool
) -> None:
    # the large model: of the base one stock fairseq lets the padding count
    stock = stock_model(FLAVOURS["large"], tmp_path)
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    ours.load_state_dict(stock.state_dict())
    expected, count, _ = stock_criterion(False, sentence_avg)(stock, batch)
    found, own_count, logged = ExtCtcCriterion(task(), True, sentence_avg)(ours, batch)
    assert own_count == count
    assert logged["num_infeasible"] == 0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    expected.backward()
    found.backward()
    theirs = dict(stock.named_parameters())
    scale = max(float(p.grad.abs().max()) for p in theirs.values() if p.grad is not None)
    for name, parameter in ours.named_parameters():
        if theirs[name].grad is not None:
            torch.testing.assert_close(
                parameter.grad / scale, theirs[name].grad / scale, atol=1e-5, rtol=1e-3
            )


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


def test_stock_criterion_trains_our_model(batch: dict[str, Any]) -> None:
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    expected, _, _ = stock_criterion(True, False)(ours, batch)
    found, _, _ = ExtCtcCriterion(task(), True, False)(ours, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_impossible_transcripts_equal_stock_fairseqs_zero_infinity(batch: dict[str, Any]) -> None:
    ours = ExtCtc(CtcConfig(**SIZES, **FLAVOURS["large"]), len(SYMBOLS)).eval()
    sizes = torch.tensor([4, 600, 3])
    long = torch.arange(5, 11).repeat(3, 100)
    long[torch.arange(600)[None] >= sizes[:, None]] = PAD
    batch |= {"target": long, "target_lengths": sizes, "ntokens": 607}
    expected, count, _ = stock_criterion(True, False)(ours, batch)
    found, own_count, logged = ExtCtcCriterion(task(), True, False)(ours, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert own_count == count
    assert logged["num_infeasible"] == 1
