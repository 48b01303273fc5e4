"""The lip reader's network: types of encoder, padding, gradients with a decoder, start from a checkpoint."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from fairseq_ext.models.av_ctc_attention import AvCtcAttentionConfig, ExtAvCtcAttention
from fairseq_ext.modules.padding import valid_mask
from fairseq_ext.modules.transformer import TransformerConfig, TransformerEncoder

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", *"abc"]
KEYS: dict[str, Any] = {
    "modality": "both", "front_end_width": 4, "front_end_blocks": "1", "front_end_pool": 2, "encoder_layers": 2,
    "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2, "conv_kernel": 3, "conv_pos": 4,
    "conv_pos_groups": 2, "num_buckets": 8, "max_distance": 20, "decoder_layers": 1, "decoder_embed_dim": 8,
    "decoder_ffn_embed_dim": 8, "decoder_attention_heads": 2,
}  # fmt: skip
LENGTHS = torch.tensor([9, 6, 2])
TOKENS = torch.tensor([[0, 4, 5], [0, 6, 4], [0, 5, 6]])


def task(symbols: list[str] = SYMBOLS, num_frame_classes: int = 0, num_starts: int = 0) -> Any:
    return SimpleNamespace(symbols=symbols, num_frame_classes=num_frame_classes, num_starts=num_starts)


def make(seed: int = 1, of: Any = None, **keys: Any) -> ExtAvCtcAttention:
    torch.manual_seed(seed)
    config = OmegaConf.structured(AvCtcAttentionConfig(**{**KEYS, **keys}))
    return ExtAvCtcAttention.build_model(config, of or task())


def clips() -> dict[str, Tensor]:
    torch.manual_seed(2)
    return {
        "video": torch.randn(3, 1, 9, 24, 24),
        "audio": torch.randn(3, 104, 9),
        "padding_mask": ~valid_mask(LENGTHS, 9),
    }


@pytest.mark.parametrize("kind", ["conformer", "transformer", "gru", "lstm"])
def test_a_clip_alone_gives_the_same(kind: str) -> None:
    model = make(encoder_type=kind).eval()
    together = model(**clips(), prev_output_tokens=TOKENS)
    for row, length in enumerate(LENGTHS.tolist()):
        part = slice(row, row + 1)
        video, audio = clips()["video"][part, :, :length], clips()["audio"][part, :, :length]
        alone = model(video, audio, prev_output_tokens=TOKENS[part])
        for name in ("logits", "decoder_logits"):
            found = together[name][part, : alone[name].shape[1]]
            torch.testing.assert_close(found, alone[name], rtol=1e-3, atol=1e-4, msg=name)
    probabilities = model.get_normalized_probs(together, log_probs=False)
    assert probabilities.shape == (9, 3, len(SYMBOLS))
    assert probabilities[8, 1].tolist() == [1.0] + [0.0] * 6


@pytest.mark.parametrize("kind", ["conformer", "transformer", "gru"])
def test_gradients_reach_every_parameter(kind: str) -> None:
    model = make(encoder_type=kind, frame_head="own", of=task(num_frame_classes=5, num_starts=2))
    tokens = TOKENS.clone()
    tokens[:2, 0] = torch.tensor([len(SYMBOLS), len(SYMBOLS) + 1])
    output = model(**clips(), prev_output_tokens=tokens)
    assert output["frame_logits"].shape == (3, 9, 5)
    kept = ("logits", "frame_logits", "decoder_logits")
    sum((output[name] * torch.randn_like(output[name])).sum() for name in kept).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_first_updates_can_train_the_outputs_alone() -> None:
    model = make(freeze_finetune_updates=3)
    model.set_num_updates(2)
    model(**clips(), prev_output_tokens=TOKENS)["logits"].sum().backward()
    assert model.proj.bias.grad is not None
    assert all(p.grad is None for p in model.front_end.parameters())
    model.set_num_updates(3)
    model(**clips(), prev_output_tokens=TOKENS)["logits"].sum().backward()
    assert all(p.grad is not None for p in model.frame_encoder.parameters())


@pytest.mark.parametrize(
    ("keys", "of", "message"),
    [
        ({"encoder_type": "mamba"}, task(), "one of conformer, transformer, gru, lstm expected"),
        ({"frame_head": "none"}, task(), "one of output, own expected"),
        ({"frame_head": "output"}, task(num_frame_classes=9), "as many classes of frames as symbols"),
    ],
)
def test_what_cannot_be_built_is_refused(keys: dict[str, Any], of: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(of=of, **keys)


def save(path: Path, weights: dict[str, Tensor], name: str, keys: dict[str, Any], symbols: Any = ()) -> Path:
    model = {**{key: value for key, value in keys.items() if not key.startswith("decoder")}, "_name": name}
    torch.save({"cfg": {"model": model}, "model": weights, "task_state": {"symbols": list(symbols)}}, path)
    return path


def test_front_end_and_encoder_of_a_pretrained_model_are_taken(tmp_path: Path) -> None:
    first = make(7, encoder_type="transformer")
    torch.manual_seed(8)
    keys = {key: value for key, value in KEYS.items() if key in TransformerConfig.__dataclass_fields__}
    encoder = TransformerEncoder(TransformerConfig(**keys))
    weights = {f"front_end.{name}": value for name, value in first.front_end.state_dict().items()}
    weights |= {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    weights |= {"mask_emb": torch.zeros(16), "final_proj.weight": torch.zeros(3, 16)}
    path = save(tmp_path / "hubert.pt", weights, "ext_av_hubert", KEYS)
    # Other widths and another type in the configuration: the file decides. Dropout is the training's.
    found = make(9, encoder_embed_dim=32, front_end_width=8, dropout=0.4, pretrained_path=str(path))
    for name, value in encoder.state_dict().items():
        assert torch.equal(found.frame_encoder.encoder.state_dict()[name], value), name
    assert torch.equal(
        found.front_end.state_dict()["layer_norm.weight"], weights["front_end.layer_norm.weight"]
    )
    assert found.config.dropout == 0.4
    kept = found.encoder_keys()
    assert (kept["encoder_type"], kept["encoder_embed_dim"], kept["front_end_width"]) == (
        "transformer",
        16,
        4,
    )
    public = {name.removeprefix("front_end."): value for name, value in weights.items()}
    save(tmp_path / "public.pt", public, "av_hubert", KEYS)
    again = make(9, dropout=0.4, pretrained_path=str(tmp_path / "public.pt"))
    assert torch.equal(again.front_end.layer_norm.weight, found.front_end.layer_norm.weight)
    assert torch.equal(again.frame_encoder.encoder.layer_norm.weight, encoder.layer_norm.weight)
    del weights["encoder.layer_norm.weight"]
    save(tmp_path / "cut.pt", weights, "ext_av_hubert", KEYS)
    with pytest.raises(ValueError, match="1 weights of front end and encoder are missing"):
        make(pretrained_path=str(tmp_path / "cut.pt"))
    save(tmp_path / "other.pt", weights, "ext_ctc", KEYS)
    with pytest.raises(ValueError, match="a checkpoint of AV-HuBERT or of ext_av_ctc_attention expected"):
        make(pretrained_path=str(tmp_path / "other.pt"))


def test_outputs_of_a_lip_reader_are_taken_for_the_same_symbols(tmp_path: Path) -> None:
    first = make(7)
    keys = {**KEYS, "encoder_type": "conformer"}
    path = save(tmp_path / "lips.pt", first.state_dict(), "ext_av_ctc_attention", keys, SYMBOLS)
    again = make(8, pretrained_path=str(path))
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in again.state_dict().items())
    other = make(8, of=task([*SYMBOLS[:-1], "ç"]), pretrained_path=str(path))
    assert torch.equal(other.front_end.state_dict()["layer_norm.weight"], first.front_end.layer_norm.weight)
    assert not torch.equal(other.proj.weight, first.proj.weight)
