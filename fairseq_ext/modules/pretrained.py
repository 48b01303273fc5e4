"""Start a model from another one's checkpoint: copy what agrees in name and shape, report the rest."""

import logging
from pathlib import Path

from torch import nn

from .checkpoint_file import checkpoint_weights, read_checkpoint

logger = logging.getLogger(__name__)


def load_pretrained(model: nn.Module, path: str | Path) -> list[str]:
    """Copy weights of a checkpoint, the averaged (EMA) ones if any, into a model where name and shape agree.

    What was copied and what was not is logged.

    Returns:
        Names of the entries that were copied.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or no entry agrees, which means the wrong one.
    """
    weights, own = checkpoint_weights(read_checkpoint(path)), model.state_dict()
    matching = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    if not matching:
        raise ValueError(
            f"{path}: no tensor has the name and shape of one in {type(model).__name__}; check pretrained_path and the "
            "model's sizes"
        )
    model.load_state_dict(matching, strict=False)
    initial, unused = ([name for name in names if name not in matching] for names in (own, weights))
    logger.info(
        f"{path}: loaded {len(matching)} tensors; left at their initial values: {', '.join(initial) or 'none'}; in the "
        f"file but not used: {', '.join(unused) or 'none'}"
    )
    return list(matching)
