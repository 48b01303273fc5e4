"""The language model's weights, and the file beside a checkpoint with those that a development set chose for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_bytes

NAME = "lm_weights.json"
_KEYS = ("lm", "alpha", "beta", "unk_score", "beam", "tuned_on")


@dataclass(frozen=True, slots=True)
class LmWeights:
    """What a word adds to ln p of the sound: alpha ln p(word | words before) + beta, and more for unknown ones.

    Attributes:
        alpha: weight of ln p of the language model.
        beta: reward per word.
        unk_score: added for each word that the language model does not know; 0 or less.
    """

    alpha: float
    beta: float
    unk_score: float


# Where nothing was chosen. Without a price of their own, made-up words cost no more than rare ones.
USUAL_WEIGHTS = LmWeights(alpha=0.5, beta=1.0, unk_score=-10.0)


def write_lm_weights(checkpoint: Path, settings: Mapping[str, Any]) -> None:
    """Writes CHECKPOINT's folder/lm_weights.json.

    Args:
        checkpoint: that decoded the development set.
        settings: `lm` (name of its file), the weights, `beam` and `tuned_on`; others are left out.
    """
    text = json.dumps({key: settings[key] for key in _KEYS}, ensure_ascii=False, indent=1)
    write_bytes(checkpoint.with_name(NAME), f"{text}\n".encode())


def read_lm_weights(checkpoint: Path, lm: Path) -> LmWeights | None:
    """Finds the weights for a language model.

    Args:
        checkpoint: the recogniser's.
        lm: the ARPA file; weights of one of another name do not count.

    Returns:
        The weights; None when none were chosen.

    Raises:
        ValueError: for a damaged file.
    """
    path = checkpoint.with_name(NAME)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        weights = LmWeights(float(found["alpha"]), float(found["beta"]), float(found["unk_score"]))
        return weights if found["lm"] == lm.name else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: lm, alpha, beta and unk_score expected, found {error}; remove the file, or score the recogniser "
            "again, which writes it"
        ) from error
