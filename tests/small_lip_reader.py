"""A lip reader of random weights as a training stores it, for tests of what is around the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import OmegaConf

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.models.av_ctc_attention import AvCtcAttentionConfig, ExtAvCtcAttention

SYMBOLS = [*SPECIAL_SYMBOLS, "▁bin", "▁blue", "▁now"]
KEYS: dict[str, Any] = {
    "modality": "video", "front_end_width": 4, "front_end_blocks": "1", "front_end_pool": 4, "encoder_type": "gru",
    "encoder_layers": 1, "encoder_embed_dim": 16, "decoder_layers": 1, "decoder_embed_dim": 8,
    "decoder_ffn_embed_dim": 8, "decoder_attention_heads": 2,
}  # fmt: skip


def write_lip_reader(path: Path, **keys: Any) -> Path:
    """Write what fairseq stores of a training, with other `keys` of the model; the weights name more than blanks."""
    torch.manual_seed(3)
    keys = {**KEYS, **keys}
    config = merge_with_parent(AvCtcAttentionConfig(), OmegaConf.create(keys))
    model = ExtAvCtcAttention(config, len(SYMBOLS))
    with torch.no_grad():
        model.proj.weight.mul_(20.0)
        model.proj.bias[0] = -50.0
    return store(path, model, keys, SYMBOLS)


def store(path: Path, model: ExtAvCtcAttention, keys: Mapping[str, Any], symbols: list[str]) -> Path:
    """Write what a training leaves of a model with these keys and symbols."""
    state = {
        "cfg": {
            "model": {**keys, "_name": "ext_av_ctc_attention"},
            "task": {"_name": "ext_av_recognition", "labels": "words"},
        },
        "model": model.state_dict(),
        "task_state": {"symbols": symbols, "long_s": 1.0},
        "optimizer_history": [{"num_updates": 7}],
        "extra_state": {},
    }
    torch.save(state, path)
    return path
