"""Read the file of a checkpoint, ours or fairseq's, without running code that it may hold."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..file_errors import FileError
from ..torch_files import TorchFileError, loading


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read the entries of a checkpoint of fairseq without running code that it may hold.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of fairseq, or a damaged one, also where torch would read it.
    """
    path = Path(path)
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder, not a checkpoint; {_advice(path)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; train first or check the path")
    try:
        with loading(path):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except TorchFileError as error:
        if error.is_damaged:
            message = f"{path} is not a sound checkpoint: {error.reason}; copy it again or train again"
        else:
            message = (
                f"{path} is not a fairseq checkpoint: {error.reason}; copy it again or give another file"
            )
        raise FileError(message) from error
    if not isinstance(state, dict) or not isinstance(state.get("model"), Mapping):
        found = (
            f"entries {[str(key) for key in state][:6]}" if isinstance(state, dict) else type(state).__name__
        )
        raise ValueError(
            f'{path} is not a fairseq checkpoint: weights under "model" expected, found {found}; give another file'
        )
    return state


def checkpoint_weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Return the state dict of a loaded fairseq checkpoint, the averaged (EMA) weights when there are any."""
    averaged = (checkpoint.get("extra_state") or {}).get("ema")
    weights: Mapping[str, Tensor] = averaged or checkpoint["model"]
    return weights


def describe(checkpoint: Mapping[str, Any]) -> str:
    """Describe what a checkpoint holds, for a message: a classifier and its label, or the model by its name."""
    cfg = checkpoint.get("cfg") or checkpoint.get("args") or {}
    cfg = vars(cfg) if isinstance(cfg, argparse.Namespace) else cfg
    model = cfg["model"] if isinstance(cfg.get("model"), Mapping) else cfg
    name = str(model.get("_name") or model.get("arch") or "")
    if (checkpoint.get("task_state") or {}).get("class_names"):
        label = (cfg.get("task") or {}).get("label")
        return f"a classifier ({name})" + (f" of {label}" if label else "")
    return f"a model {name!r}" if name else "weights without a configuration"


def _advice(folder: Path) -> str:
    if (folder / "config.json").is_file():
        return (
            f"it is a model of Hugging Face: convert it with `fairseq-ext convert checkpoint {folder} start.pt` and "
            "give start.pt"
        )
    return "give a file in it, such as checkpoint_last.pt"
