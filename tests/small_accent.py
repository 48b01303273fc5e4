"""A checkpoint of an accent encoder that is small enough for tests, with random weights."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import OmegaConf

from fairseq_ext.models.accent_encoder import AccentEncoder, AccentEncoderConfig

KEYS: dict[str, Any] = {
    "width": 8,
    "num_blocks": 1,
    "ffn_width": 16,
    "position_kernel": 4,
    "embedding_dim": 8,
    "attention_heads": 2,
}
CLASSES = {"accent": ["ca", "es", "vi"], "speaker": ["s", "t"]}


def write(path: Path, rate_hz: int = 16_000, **keys: Any) -> AccentEncoder:
    """Write a checkpoint and return its model in evaluation mode."""
    torch.manual_seed(1)
    task = SimpleNamespace(streams=CLASSES, sample_rate_hz=rate_hz)
    keys = {**KEYS, **keys}
    model = AccentEncoder.build_model(OmegaConf.structured(AccentEncoderConfig(**keys)), task)
    state = {
        "cfg": {
            "model": {"_name": "ext_accent_encoder", **keys},
            "task": {"label": "accent", "sample_rate_hz": rate_hz},
            "common": {"seed": 1},
        },
        "model": model.state_dict(),
        "task_state": {"class_names": {name: list(names) for name, names in CLASSES.items()}},
    }
    torch.save(state, path)
    return model.eval()
