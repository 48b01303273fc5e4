"""The decoders that are scored: greedy, beam search with a language model tuned on a dev set, joint with attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from ...decoding.arpa import read_arpa
from ...decoding.ctc import BeamConfig, BeamSearch, greedy
from ...decoding.joint import JointConfig, JointSearch
from ...decoding.ngram import NgramModel
from ...decoding.tuning import Grid, Trial, tune
from ...text.spelling import Spelling, read_record
from ..trained import ClipRecognizer
from .acoustics import Batch

GREEDY, WITH_LM, JOINT = "greedy", "lm", "joint"


@dataclass(frozen=True)
class Decoder:
    """A named function from log-probabilities to texts.

    Attributes:
        name: name in results, such as `greedy`.
        settings: settings that are written to results.
        decode: ln p (B, T, V), valid frames (B,), and where it is asked for what an attention decoder reads (B, T, E)
            -> B texts.
        needs_memory: whether it reads the last of these.
        weights: those of the language model that it decodes with, as `write_lm_weights` takes them.
    """

    name: str
    settings: Mapping[str, Any]
    decode: Callable[..., list[str]]
    needs_memory: bool = False
    weights: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LanguageModel:
    """A language model, and the grid of weights to tune over.

    Attributes:
        model: the n-gram model.
        name: name in results, such as its file name.
        beam_size: hypotheses kept per utterance.
        grid: weights that tuning starts from.
        spelling: how its words are spelled; None = not known.
    """

    model: NgramModel
    name: str
    beam_size: int = 32
    grid: Grid = field(default_factory=Grid)
    spelling: Spelling | None = None

    def check_spelling(self, spelling: Spelling, manifest: Path) -> None:
        """Raise ValueError if the words of the model are spelled otherwise than the texts of a manifest."""
        if self.spelling is not None and self.spelling != spelling:
            raise ValueError(
                f"{self.name}: its words are spelled by {self.spelling.describe()}, and the texts of {manifest} by "
                f"{spelling.describe()}; train the language model on texts of this manifest (fairseq-ext train lm)"
            )


def read_language_model(path: Path, **settings: Any) -> LanguageModel:
    """Read an ARPA file and the record of its spelling; further fields of `LanguageModel` are taken as they are."""
    spelling = read_record(path.with_name(f"{path.name}.spelling.json"))
    return LanguageModel(read_arpa(path), path.name, spelling=spelling, **settings)


def greedy_decoder(symbols: Sequence[str]) -> Decoder:
    """Make the decoder that takes the likeliest of V symbols at every frame."""

    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        return [best.text for best in greedy(log_probs, lengths, symbols)]

    return Decoder(GREEDY, {}, decode)


def tuned_decoder(
    symbols: Sequence[str], lm: LanguageModel, dev: Sequence[Batch], references: Sequence[str], dev_name: str
) -> Decoder:
    """Make a beam search whose language model weights have the fewest errors on a dev set.

    Args:
        dev: log-probabilities of the dev set, which must not be the scored split.
        references: spelled texts of the dev set, in the order of its batches.
        dev_name: name of the dev set in results.
    """
    search = BeamSearch(symbols, BeamConfig(beam_size=lm.beam_size), lm.model)
    best = _tune(search, dev, references, lm.grid)
    weights = asdict(best.weights)
    settings = {
        "lm": lm.name,
        "order": lm.model.order,
        "beam": lm.beam_size,
        **weights,
        "tuned_on": dev_name,
        "tuning_wer": round(best.errors.rate, 5),
    }
    # A value per symbol is no setting to read.
    shown = {name: value for name, value in settings.items() if name != "log_prior"}
    decode = partial(_texts, search.reweighted(**weights))
    return Decoder(WITH_LM, shown, decode, weights=settings)


def _tune(search: BeamSearch, dev: Sequence[Batch], references: Sequence[str], grid: Grid) -> Trial:
    least = math.inf
    with tqdm(desc="tune", unit="trial", leave=False, disable=None) as progress:

        def show(trial: Trial) -> None:
            nonlocal least
            least = min(least, trial.errors.rate)
            progress.set_postfix_str(f"WER {100 * least:.1f} %", refresh=False)
            progress.update()

        return tune(search, dev, references, grid, on_trial=show).best


def joint_decoder(recognizer: ClipRecognizer, symbols: Sequence[str], config: JointConfig) -> Decoder:
    """Make a beam search by CTC and, where there is one, an attention decoder together."""
    search = JointSearch(symbols, config)

    def decode(log_probs: Tensor, lengths: Tensor, memory: Tensor) -> list[str]:
        return [best[0].text for best in recognizer.decode(search, log_probs, lengths, memory)]

    settings = {
        "beam": config.beam_size,
        "ctc_weight": config.ctc_weight,
        "length_bonus": config.length_bonus,
    }
    return Decoder(JOINT, settings, decode, needs_memory=True)


def _texts(search: BeamSearch, log_probs: Tensor, lengths: Tensor) -> list[str]:
    return [best[0].text for best in search(log_probs, lengths)]
