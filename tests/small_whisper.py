"""A Whisper with random weights, small enough for tests, in a folder as Hugging Face lays it out."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

DIM, LAYERS, MELS = 24, 2, 80
CONFIG: dict[str, Any] = {
    "model_type": "whisper",
    "d_model": DIM,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 32,
    "num_mel_bins": MELS,
    "max_source_positions": 1500,
    "activation_function": "gelu",
}


def weights(seed: int = 1) -> dict[str, torch.Tensor]:
    """Return the weights by Hugging Face's names, with one of the decoder, in half precision as many are published."""
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (DIM, MELS, 3),
        "conv1.bias": (DIM,),
        "conv2.weight": (DIM, DIM, 3),
        "conv2.bias": (DIM,),
        "embed_positions.weight": (1500, DIM),
        "layer_norm.weight": (DIM,),
        "layer_norm.bias": (DIM,),
    }
    for layer in (f"layers.{i}." for i in range(LAYERS)):
        for name, shape in (("fc1", (32, DIM)), ("fc2", (DIM, 32))):
            shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
        for name in ("q", "k", "v", "out"):
            shapes[f"{layer}self_attn.{name}_proj.weight"] = (DIM, DIM)
            if name != "k":
                shapes[f"{layer}self_attn.{name}_proj.bias"] = (DIM,)
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{layer}{name}.weight": (DIM,), f"{layer}{name}.bias": (DIM,)}
    generator = torch.Generator().manual_seed(seed)
    found = {
        f"model.encoder.{name}": 0.3 * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }
    found["model.decoder.embed_tokens.weight"] = torch.zeros(4, DIM)
    return {name: value.half() for name, value in found.items()}


def write(folder: Path, *, lacks: str = "", **config: Any) -> Path:
    """Write the folder, without the weights whose name has `lacks` in it, and with other values in its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in weights().items() if not lacks or lacks not in name}
    save_file(kept, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    return folder
