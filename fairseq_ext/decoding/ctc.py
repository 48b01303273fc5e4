"""CTC decoding of batches: greedy, and prefix beam search with or without a language model.

Log-probabilities may be on any device: frames are pruned there; the search itself runs on the CPU, in arrays over all
utterances of the batch (`beam`).

Shapes: B utterances, T frames, V symbols in fairseq's order, the blank first (see the package).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..text.units import are_pieces, from_characters, from_pieces
from .beam import Beam
from .frames import BLANK, NUM_SPECIAL, check, thin_out, valid_frames
from .fusion import Lexicon, WordFusion
from .lm_weights import USUAL_WEIGHTS
from .ngram import Floats, NgramModel
from .prior import without_prior


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A transcript.

    Attributes:
        text: words with single spaces.
        tokens: symbols of the text; of several spellings in a beam, the likeliest.
        score: value for ranking: ctc + alpha lm + beta per word + unk_score per unknown word.
        ctc: acoustic ln p: summed over the alignments in the beam, or of the one path of greedy decoding; with a
            `prior_scale`, of frames with the prior taken off.
        lm: ln p of the language model, end of sentence included; 0 without one.
        attention: ln p of an attention decoder, end included (`joint`); 0 without one.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    ctc: float
    lm: float
    attention: float = 0.0


@dataclass(frozen=True)
class BeamConfig:
    """Settings of the beam search."""

    beam_size: int = field(default=32, metadata={"help": "hypotheses kept per utterance"})
    min_token_log_prob: float = field(
        default=-7.0, metadata={"help": "symbols of lower ln p do not extend hypotheses in a frame"}
    )
    skip_blank_prob: float = field(
        default=0.999,
        metadata={"help": "runs of frames with a blank likelier than this count as one; 1 = off"},
    )
    num_best: int = field(default=1, metadata={"help": "different texts returned per utterance, at most"})
    alpha: float = field(
        default=USUAL_WEIGHTS.alpha, metadata={"help": "weight of ln p of the language model"}
    )
    beta: float = field(
        default=USUAL_WEIGHTS.beta, metadata={"help": "score per word; used with a language model only"}
    )
    unk_score: float = field(
        default=USUAL_WEIGHTS.unk_score,
        metadata={"help": "score per word that is not in the language model, 0 or less"},
    )
    prior_scale: float = field(
        default=USUAL_WEIGHTS.prior_scale,
        metadata={"help": "power of the symbols' prior by which their probabilities are divided; 0 = off"},
    )
    log_prior: tuple[float, ...] = field(
        default=USUAL_WEIGHTS.log_prior, metadata={"help": "ln of that prior, a value per symbol"}
    )


def text_of(tokens: Sequence[int], symbols: Sequence[str]) -> str:
    """Convert symbols to text: letters joined, `|` or `▁` as spaces."""
    units = [symbols[token] for token in tokens]
    return from_pieces(units) if are_pieces(symbols[NUM_SPECIAL:]) else from_characters(units)


def best_path(log_probs: Tensor) -> Tensor:
    """Return the likeliest symbol of every frame of ln p (B, T, V), never a special symbol other than the blank.

    Symbol indices, (B, T) int64.
    """
    best, symbol = log_probs[..., NUM_SPECIAL:].max(-1)
    return torch.where(log_probs[..., BLANK] >= best, BLANK, symbol + NUM_SPECIAL)


@torch.no_grad()
def greedy(log_probs: Tensor, lengths: Tensor, symbols: Sequence[str]) -> list[Hypothesis]:
    """Take the likeliest symbol of every frame, and drop repeats and blanks.

    `log_probs` are ln p, (B, T, V), on any device; `lengths` the numbers of valid frames, (B,).

    Raises:
        ValueError: other shapes, or values that cannot be ln p.
    """
    check(log_probs, lengths, symbols)
    path = best_path(log_probs)
    valid = valid_frames(log_probs, lengths)
    previous = torch.nn.functional.pad(path, (1, 0), value=BLANK)[:, :-1]
    emitted = (path != BLANK) & (path != previous) & valid
    path_log_prob = log_probs.gather(-1, path[..., None])[..., 0].double()
    scores = path_log_prob.masked_fill(~valid, 0.0).sum(1).tolist()
    rows = zip(path.cpu(), emitted.cpu(), scores, strict=True)
    found = [(tuple(tokens[keep].tolist()), score) for tokens, keep, score in rows]
    return [Hypothesis(text_of(tokens, symbols), tokens, score, score, 0.0) for tokens, score in found]


class BeamSearch:
    """Prefix beam search with or without a language model.

    Args:
        symbols: V symbols in fairseq's order; `|` between words, or pieces with `▁` before words.
        config: settings; None = the defaults of `BeamConfig`.
        lm: language model of words, normalised like the recogniser's transcripts; None = no language model.

    Raises:
        ValueError: a setting is out of range, or the symbols can spell no word of the language model.
    """

    def __init__(
        self, symbols: Sequence[str], config: BeamConfig | None = None, lm: NgramModel | None = None
    ) -> None:
        self.symbols = tuple(symbols)
        self.config = config or BeamConfig()
        _check_config(self.config, len(self.symbols))
        self.lexicon = None if lm is None else Lexicon(lm, self.symbols)

    def reweighted(self, **changes: Any) -> "BeamSearch":
        """Return a search with other fields of `BeamConfig` and the same language model."""
        other = BeamSearch(self.symbols, replace(self.config, **changes))
        other.lexicon = self.lexicon
        return other

    @torch.no_grad()
    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """Return the best texts of each utterance, the best one first; the result does not depend on the others.

        `log_probs` are ln p, (B, T, V), on any device; `lengths` the numbers of valid frames, (B,).

        Raises:
            ValueError: other shapes, or values that cannot be ln p.
        """
        check(log_probs, lengths, self.symbols)
        if scale := self.config.prior_scale:
            prior = torch.tensor(self.config.log_prior, dtype=torch.float64)
            log_probs = without_prior(log_probs, prior, scale)
        frames = thin_out(
            log_probs,
            lengths,
            min_token_log_prob=self.config.min_token_log_prob,
            skip_blank_prob=self.config.skip_blank_prob,
        )
        shape = (len(log_probs), self.config.beam_size)
        fusion = None if self.lexicon is None else self._fusion(self.lexicon, shape)
        beam = Beam(*shape, fusion)
        for frame, tokens, values, width in zip(
            frames.log_probs, frames.tokens, frames.values, frames.widths, strict=True
        ):
            beam.step(frame, tokens[:, :width], values[:, :width])
        ctc = beam.log_prob + frames.skipped[:, None]
        bonus = np.zeros(shape) if fusion is None else fusion.finish()
        rows = zip(beam.prefixes(), ctc, bonus, strict=True)
        return [self._ranked(*row) for row in rows]

    def _fusion(self, lexicon: Lexicon, shape: tuple[int, int]) -> WordFusion:
        cfg = self.config
        return WordFusion(lexicon, shape, alpha=cfg.alpha, beta=cfg.beta, unk_score=cfg.unk_score)

    def _ranked(self, prefixes: list[list[int]], ctc: Floats, bonus: Floats) -> list[Hypothesis]:
        """Join the spellings of a text, such as with and without a last `|`, and sort the texts."""
        joined: dict[str, tuple[tuple[int, ...], float, float]] = {}
        for k in np.argsort(-ctc, kind="stable"):
            if np.isneginf(ctc[k]):
                break
            text = text_of(prefixes[k], self.symbols)
            # The likeliest spelling comes first and keeps its tokens; all of them have the same words, so one bonus.
            tokens, mass, _ = joined.get(text, (tuple(prefixes[k]), -np.inf, 0.0))
            joined[text] = tokens, float(np.logaddexp(mass, ctc[k])), float(bonus[k])
        ranked = sorted(joined.items(), key=lambda item: -(item[1][1] + item[1][2]))
        return [
            Hypothesis(text, tokens, mass + gain, mass, self._lm_score(text))
            for text, (tokens, mass, gain) in ranked[: self.config.num_best]
        ]

    def _lm_score(self, text: str) -> float:
        return 0.0 if self.lexicon is None else self.lexicon.lm.score_words(text.split())


def _check_config(config: BeamConfig, num_symbols: int) -> None:
    for name, low, high in (
        ("beam_size", 1, math.inf),
        ("num_best", 1, math.inf),
        ("skip_blank_prob", 0.5, 1.0),
        ("unk_score", -1e9, 0.0),
        ("alpha", 0.0, 1e9),
        ("prior_scale", 0.0, 1.0),
    ):
        if not low <= getattr(config, name) <= high:
            raise ValueError(
                f"{name}: a value from {low} to {high} expected, found {getattr(config, name)}; change the setting"
            )
    if config.prior_scale and len(config.log_prior) != num_symbols:
        raise ValueError(
            f"prior_scale {config.prior_scale}: a log_prior of {num_symbols} values expected, one per symbol, found "
            f"{len(config.log_prior)}; take `prior.mean_posterior` of a development set, or set prior_scale to 0"
        )
