"""A small recogniser to convert, and ways to change its folder."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

ALPHABET = ["|", "a", "à", "ç", "·", "ŀ", "'"]


SIZES: dict[str, Any] = {
    "conv_feature_layers": "[(8, 10, 5), (8, 3, 2)]",
    "encoder_layers": 3,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "conv_pos": 4,
    "conv_pos_groups": 2,
    "mask_prob": 0.1,
}


WEIGHTS, PREPROCESSOR = "model.safetensors", "preprocessor_config.json"


def own_checkpoint(path: Path, symbols: list[str] | None = None, **keys: Any) -> Path:
    """Write a checkpoint of our recogniser."""
    symbols = [*SPECIAL_SYMBOLS, *(ALPHABET if symbols is None else symbols)]
    config = CtcConfig(**{**SIZES, **keys})
    state = {
        "cfg": {"model": {**vars(config), "_name": "ext_ctc"}, "task": {"sample_rate_hz": 8000}},
        "model": ExtCtc(config, len(symbols)).state_dict(),
        "task_state": {"symbols": symbols},
    }
    torch.save(state, path)
    return path


def change(path: Path, **values: Any) -> None:
    """Change keys of a JSON file."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **values}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def drop(folder: Path, *names: str) -> None:
    """Take tensors out of the weights."""
    weights = load_file(folder / WEIGHTS)
    save_file({name: value for name, value in weights.items() if name not in names}, folder / WEIGHTS)


def rename(folder: Path, old: str, new: str) -> None:
    """Give a tensor another name."""
    weights = load_file(folder / WEIGHTS)
    weights[new] = weights.pop(old)
    save_file(weights, folder / WEIGHTS)


def truncate(path: Path) -> None:
    """Keep half a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
