"""The language model's weights that a development set chose, kept beside the checkpoint they were chosen for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_bytes

NAME = "lm_weights.json"
_KEYS = ("lm", "alpha", "beta", "beam", "tuned_on")


def write_lm_weights(checkpoint: Path, settings: Mapping[str, Any]) -> None:
    """Writes CHECKPOINT's folder/lm_weights.json.

    Args:
        checkpoint: that decoded the development set.
        settings: `lm` (name of its file), `alpha`, `beta`, `beam` and `tuned_on`; others are left out.
    """
    text = json.dumps({key: settings[key] for key in _KEYS}, ensure_ascii=False, indent=1)
    write_bytes(checkpoint.with_name(NAME), f"{text}\n".encode())


def read_lm_weights(checkpoint: Path, lm: Path) -> tuple[float, float] | None:
    """Finds the weights for a language model.

    Args:
        checkpoint: the recogniser's.
        lm: the ARPA file; weights of one of another name do not count.

    Returns:
        Weight of the language model (alpha) and reward per word (beta); None when none were chosen.

    Raises:
        ValueError: for a damaged file.
    """
    path = checkpoint.with_name(NAME)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return (float(found["alpha"]), float(found["beta"])) if found["lm"] == lm.name else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: lm, alpha and beta expected, found {error}; remove the file") from error
