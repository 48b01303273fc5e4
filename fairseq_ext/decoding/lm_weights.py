"""The weights of a language model in decoding, and their file beside a checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_bytes

NAME = "lm_weights.json"
_KEYS = ("lm", "alpha", "beta", "unk_score", "beam", "tuned_on", "prior_scale", "log_prior")


@dataclass(frozen=True, slots=True)
class LmWeights:
    """The weights of a word's score: alpha ln p(word | words before) + beta, and unk_score if it is unknown.

    Letters are scored by the network's probabilities, divided by a power of the symbols' prior.

    Attributes:
        alpha: weight of ln p of the language model.
        beta: score per word.
        unk_score: score per unknown word, 0 or less.
        prior_scale: that power; 0 = off.
        log_prior: ln of the prior, a value per symbol; empty where it is off.
    """

    alpha: float
    beta: float
    unk_score: float
    prior_scale: float = 0.0
    log_prior: tuple[float, ...] = ()


# Used where nothing was tuned. Without an unk_score, misspelled words would cost no more than rare ones.
USUAL_WEIGHTS = LmWeights(alpha=0.5, beta=1.0, unk_score=-10.0)


def write_lm_weights(checkpoint: Path, settings: Mapping[str, Any]) -> None:
    """Write lm_weights.json to the folder of the checkpoint that decoded the development set.

    `settings` hold `lm` (name of its file), `beam`, `tuned_on` and the fields of `LmWeights`; other keys are dropped.
    """
    text = json.dumps({key: settings[key] for key in _KEYS}, ensure_ascii=False, indent=1)
    write_bytes(checkpoint.with_name(NAME), f"{text}\n".encode())


def read_lm_weights(checkpoint: Path, lm: Path) -> LmWeights | None:
    """Return the tuned weights for an ARPA file of that name; None when none were tuned.

    Raises:
        ValueError: the file is damaged.
    """
    path = checkpoint.with_name(NAME)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        # Files of earlier versions know no prior.
        prior = float(found.get("prior_scale", 0)), tuple(map(float, found.get("log_prior", ())))
        weights = LmWeights(float(found["alpha"]), float(found["beta"]), float(found["unk_score"]), *prior)
        return weights if found["lm"] == lm.name else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged: it must hold lm, alpha, beta and unk_score ({error!r}); remove the file, or score the "
            "recogniser again, which writes it"
        ) from error
