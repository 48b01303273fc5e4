"""Take the encoder of a Whisper from its folder, as Hugging Face lays it out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..file_errors import FileError
from .hf_folder import Folder
from .whisper_encoder import MAX_FRAMES

_SIZES = {
    "d_model": "encoder_embed_dim",
    "encoder_layers": "encoder_layers",
    "encoder_attention_heads": "encoder_attention_heads",
    "encoder_ffn_dim": "encoder_ffn_embed_dim",
    "num_mel_bins": "num_mels",
}
# What another value of would give other numbers than our network's.
_ONLY = {"activation_function": "gelu", "scale_embedding": False, "max_source_positions": MAX_FRAMES}
_PREFIX = re.compile(r"^(model\.)?encoder\.")
_NAMES = (
    (re.compile(r"^conv([12])\."), r"feature_extractor.conv\1."),
    (re.compile(r"^embed_positions\.weight$"), "encoder.positions"),
    (re.compile(r"^(layers|layer_norm)\."), r"encoder.\1."),
)


@dataclass(frozen=True)
class WhisperFolder:
    """The encoder of a folder: keys of `EncoderConfig`, and weights named as in `WhisperEncoder`, float32."""

    shape: dict[str, Any]
    weights: dict[str, Tensor]


def whisper_encoder(content: Folder, folder: Path) -> WhisperFolder:
    """Take the encoder out of what a folder holds; the decoder is left out.

    Raises:
        FileError: a size that is missing, or something our network does not compute.
    """
    shape = _shape(content.config, folder)
    weights = {
        _rename(_PREFIX.sub("", name)): value.float()
        for name, value in content.weights.items()
        if _PREFIX.match(name)
    }
    # Its keys have no bias, which would add the same to all products with a query.
    for name in [name for name in weights if name.endswith("k_proj.weight")]:
        weights[name.replace(".weight", ".bias")] = torch.zeros(len(weights[name]))
    return WhisperFolder(shape, weights)


def _shape(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    where = folder / "config.json"
    for key, value in _ONLY.items():
        if config.get(key, value) != value:
            raise FileError(
                f"{where}: {key} = {value!r} expected, found {config[key]!r}; it is not supported"
            )
    for key in _SIZES:
        if type(config.get(key)) is not int or config[key] < 1:
            raise FileError(f"{where}: {key}: a whole number expected, found {config.get(key)!r}; correct it")
    return {
        "encoder_type": "whisper",
        **{ours: config[theirs] for theirs, ours in _SIZES.items()},
        "activation_fn": "gelu",
        "layer_norm_first": True,
        "relative_position_embedding": False,
        "gru_rel_pos": False,
    }


def _rename(name: str) -> str:
    for pattern, target in _NAMES:
        name, found = pattern.subn(target, name)
        if found:
            break
    return name
