"""Start a model from another one's checkpoint: copy what agrees in name and shape, report the rest."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from .checkpoint_file import checkpoint_weights, read_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Names of entries: `loaded`; `initialised` = missing in the file or of another shape; `unused`."""

    loaded: tuple[str, ...]
    initialised: tuple[str, ...]
    unused: tuple[str, ...]


def load_pretrained(model: nn.Module, path: str | Path) -> LoadReport:
    """Copy the weights of a checkpoint into a model, where name and shape agree.

    The averaged (EMA) weights are preferred when the checkpoint holds them.

    Args:
        model: model to fill, changed in place.
        path: a checkpoint of fairseq.

    Returns:
        What was loaded and what was not; it is logged too.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or no entry agrees, which means the wrong one.
    """
    report = copy_matching(model, checkpoint_weights(read_checkpoint(path)))
    if not report.loaded:
        raise ValueError(
            f"{path}: no tensor has the name and shape of one in {type(model).__name__}; check pretrained_path and the "
            "model's sizes"
        )
    logger.info(
        f"{path}: loaded {len(report.loaded)} tensors; left at their initial values: "
        f"{', '.join(report.initialised) or 'none'}; in the file but not used: "
        f"{', '.join(report.unused) or 'none'}"
    )
    return report


def copy_matching(model: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Copy the entries that agree in name and shape.

    Args:
        model: model to fill, changed in place.
        weights: a state dict.

    Returns:
        What was loaded and what was not.
    """
    own = model.state_dict()
    matching = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    model.load_state_dict(matching, strict=False)
    return LoadReport(
        loaded=tuple(matching),
        initialised=tuple(name for name in own if name not in matching),
        unused=tuple(name for name in weights if name not in matching),
    )
