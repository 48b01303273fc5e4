"""Public AV-HuBERT checkpoints as those of `ext_av_hubert`: names of tensors, keys of the configuration.

The names are those that the files hold: front end and projections at the top, the transformer below `encoder`, as in
fairseq's HuBERT; a fine-tuned one has all below `encoder.w2v_model`, and nests the pre-training's configuration as
`w2v_args`. Configurations were written by several versions: keys that do not bear on the network are passed over.
"""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor

from ..file_errors import FileError
from .av_encoder_input import AvFrontEndConfig
from .checkpoint_file import checkpoint_weights, describe, read_checkpoint
from .input_masks import InputMaskConfig
from .transformer import TransformerConfig

logger = logging.getLogger(__name__)

NAME = "ext_av_hubert"
# Name in the file -> ours; the first that fits counts, what fits none belongs to another part (a decoder).
RENAMED = (
    ("feature_extractor_video.", "front_end.feature_extractor_video."),
    ("feature_extractor_audio.", "front_end.feature_extractor_audio."),
    ("layer_norm.", "front_end.layer_norm."),
    ("post_extract_proj.", "front_end.post_extract_proj."),
    ("encoder.layers.", "encoder.layers."),
    ("encoder.layer_norm.", "encoder.layer_norm."),
    ("encoder.pos_conv.", "encoder.pos_conv."),
    ("final_proj.", "final_proj."),
    ("mask_emb", "mask_emb"),
    ("label_embs_concat", "label_embs_concat"),
)
FINE_TUNED = "encoder.w2v_model."
# Every one has a first convolution over pictures, or a projection of sound.
_MARKS = ("feature_extractor_video.resnet.frontend3D.0.weight", "feature_extractor_audio.proj.weight")
# Key in the file -> ours, where they differ.
_CONFIG = {"resnet_relu_type": "front_end_activation", "dropout_input": "front_end_dropout"}
_OWN = ("masking_type", "mask_prob", "mask_length", "mask_channel_prob", "mask_channel_length")
_KEYS = {
    *(item.name for kind in (TransformerConfig, AvFrontEndConfig, InputMaskConfig) for item in fields(kind)),
    *_OWN,
    *("final_dim", "logit_temp", "untie_final_proj", "feature_grad_mult"),
}
# Values that another network would need.
_REQUIRED = {"sim_type": "cosine", "sub_encoder_layers": 0}


def read_av_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint; a public AV-HuBERT, pre-trained or fine-tuned, as if `ext_av_hubert` had written it.

    Raises:
        FileNotFoundError: no such file.
        FileError: an AV-HuBERT of a kind that we do not have.
        ValueError: not a checkpoint of fairseq.
    """
    state = read_checkpoint(path)
    prefix = _prefix(checkpoint_weights(state))
    if prefix is None:
        return state
    config = _pretraining(state.get("cfg") or state.get("args") or {})
    for key, wanted in _REQUIRED.items():
        if config.get(key, wanted) != wanted:
            raise FileError(
                f"{path}: {key}={wanted!r} expected, found {config[key]!r}: such an AV-HuBERT is not supported; give "
                "another checkpoint"
            )
    weights, others = rename(checkpoint_weights(state), prefix)
    if others:
        logger.info(f"{path}: {len(others)} tensors are no part of the encoder, e.g. {others[0]}")
    known = {_CONFIG.get(key, key): value for key, value in config.items() if value is not None}
    passed_over = sorted(set(known) - _KEYS - {"_name"})
    if passed_over:
        logger.info(f"{path}: {len(passed_over)} keys of {describe(state)} do not bear on the network")
    model = {key: value for key, value in known.items() if key in _KEYS} | _sizes(weights)
    return {
        "model": weights,
        "cfg": {"model": {**model, "_name": NAME}},
        "optimizer_history": state.get("optimizer_history") or [],
        "task_state": {},
    }


def rename(weights: Mapping[str, Tensor], prefix: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """Return tensors by our names, and the names of those that have none.

    Args:
        weights: tensors by their names in the file.
        prefix: what stands before the names of the encoder.
    """
    ours, others = {}, []
    for name, value in weights.items():
        bare = name.removeprefix(prefix)
        new = next((own + bare.removeprefix(old) for old, own in RENAMED if bare.startswith(old)), None)
        if new is None or not name.startswith(prefix):
            others.append(name)
        else:
            ours[new] = value.float()
    return ours, others


def _prefix(weights: Mapping[str, Tensor]) -> str | None:
    """Return what stands before the names in a public file; None for other files, ours among them."""
    for prefix in (FINE_TUNED, ""):
        if any(prefix + mark in weights for mark in _MARKS):
            return prefix
    return None


def _pretraining(cfg: Any) -> Mapping[str, Any]:
    """Return the model's configuration of the pre-training, which a fine-tuned file nests."""
    cfg = vars(cfg) if isinstance(cfg, argparse.Namespace) else cfg
    model: Mapping[str, Any] = cfg["model"] if isinstance(cfg.get("model"), Mapping) else cfg
    nested = model.get("w2v_args")
    return _pretraining(nested) if nested is not None else model


def _sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the keys that the weights tell better than any configuration."""
    video = weights.get("front_end.feature_extractor_video.resnet.frontend3D.0.weight")
    audio = weights.get("front_end.feature_extractor_audio.proj.weight")
    found: dict[str, Any] = {"modality": "both" if video is not None and audio is not None else "video"}
    if audio is not None:
        found["audio_feat_dim"] = audio.shape[1]
        found["modality"] = "audio" if video is None else "both"
    if video is not None:
        found["front_end_width"] = len(video)
        trunk = "front_end.feature_extractor_video.resnet.trunk.layer"
        blocks = {
            tuple(name.removeprefix(trunk).split(".")[:2]) for name in weights if name.startswith(trunk)
        }
        stages = sorted({stage for stage, _ in blocks})
        found["front_end_blocks"] = ",".join(str(sum(s == stage for s, _ in blocks)) for stage in stages)
    found["front_end_pool"] = 1
    return found
