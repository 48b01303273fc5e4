"""Beam search by CTC and an attention decoder together: each hypothesis grows token by token, scored by both.

Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition", section III-B: attention
alone skips and repeats; CTC's prefix scores, which are about all frames, keep it from that. Without a decoder it is a
search by CTC alone. A word language model takes part as in `beam`.

The whole batch is searched at once, on the device of the log-probabilities.

Shapes: B clips, K hypotheses of each, P tokens that are tried, T frames, V symbols, E width of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .ctc import Hypothesis, text_of
from .frames import BLANK, NUM_SPECIAL, check, valid_frames
from .fusion import Lexicon, WordFusion
from .lm_weights import USUAL_WEIGHTS
from .ngram import NgramModel
from .prefix_scores import PrefixScorer, PrefixState

if TYPE_CHECKING:
    from ..modules.attention_decoder import AttentionDecoder, DecoderState

END = 2  # `</s>`
# Without a decoder, tokens of lower ln p in every frame of a clip are not tried; as in `ctc.BeamConfig`.
_LEAST_LOG_PROB = -7.0


@dataclass(frozen=True)
class JointConfig:
    """Settings of the search."""

    beam_size: int = field(default=40, metadata={"help": "hypotheses kept per clip"})
    ctc_weight: float = field(
        default=0.1, metadata={"help": "share of CTC in the score, the decoder has the rest; 1 = CTC alone"}
    )
    length_bonus: float = field(default=0.0, metadata={"help": "score per token"})
    tried: int = field(
        default=0,
        metadata={"help": "tokens by which a hypothesis grows, the likeliest; 0 = 1.5 times the beam"},
    )
    max_tokens: int = field(default=0, metadata={"help": "tokens of a transcript; 0 = as many as frames"})
    num_best: int = field(default=1, metadata={"help": "different texts returned per clip, at most"})
    alpha: float = field(
        default=USUAL_WEIGHTS.alpha, metadata={"help": "weight of ln p of the language model"}
    )
    beta: float = field(
        default=USUAL_WEIGHTS.beta, metadata={"help": "score per word, with a language model"}
    )
    unk_score: float = field(
        default=USUAL_WEIGHTS.unk_score, metadata={"help": "score per word that the language model lacks"}
    )


@dataclass(frozen=True)
class _Ended:
    tokens: tuple[int, ...]
    score: float
    ctc: float
    attention: float


@dataclass
class _Beam:
    """The growing hypotheses.

    Attributes:
        score: (B, K), the sum that they are ranked by, without the language model; -inf in empty slots.
        attention: (B, K) ln p by the decoder.
        tokens: (B, K, L).
        prefix: their CTC forward values.
        decoder: state of the decoder of B K hypotheses; None = there is no decoder.
        next_log_probs: (B, K, V) ln p of the next token by the decoder; None = there is no decoder.
    """

    score: Tensor
    attention: Tensor
    tokens: Tensor
    prefix: PrefixState
    decoder: DecoderState | None = None
    next_log_probs: Tensor | None = None
    ended: list[list[_Ended]] = field(default_factory=list)


class JointSearch:
    """The search.

    Args:
        symbols: V symbols in fairseq's order; `|` between words, or pieces with `▁` before words.
        config: settings; None = the defaults of `JointConfig`.
        lm: language model of words, normalised like the recogniser's transcripts; None = no language model.

    Raises:
        ValueError: a setting is out of range, or the symbols can spell no word of the language model.
    """

    def __init__(
        self, symbols: Sequence[str], config: JointConfig | None = None, lm: NgramModel | None = None
    ) -> None:
        self.symbols, self.config = tuple(symbols), config or JointConfig()
        _check(self.config)
        self.lexicon = None if lm is None else Lexicon(lm, self.symbols)

    @torch.no_grad()
    def __call__(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        decoder: AttentionDecoder | None = None,
        memory: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Return the best texts of each clip, the best one first; a result does not depend on the other clips.

        Args:
            log_probs: (B, T, V) ln p of CTC, on any device.
            lengths: (B,), valid frames.
            decoder: the attention decoder; None = CTC alone.
            memory: (B, T, E), the frames that the decoder attends to.
            starts: (B,), tokens that transcripts start with; None = `<s>`.

        Raises:
            ValueError: other shapes, or values that cannot be ln p.
        """
        check(log_probs, lengths, self.symbols)
        scorer = PrefixScorer(log_probs, lengths)
        size = len(log_probs)
        zeros = log_probs.new_zeros((size, 1), dtype=torch.float64)
        beam = _Beam(zeros, zeros, zeros[:, :, None].long()[:, :, :0], scorer.start())
        beam.ended = [[] for _ in range(size)]
        if decoder is not None:
            assert memory is not None
            valid = valid_frames(log_probs, lengths.clamp(min=1))
            first = torch.full((size,), BLANK, device=memory.device) if starts is None else starts
            logits, beam.decoder = decoder.step(first, decoder.start(memory, valid))
            beam.next_log_probs = logits.double().log_softmax(1)[:, None]
        weight = 1.0 if decoder is None else self.config.ctc_weight
        fusion = None if self.lexicon is None else self._fusion(self.lexicon, (size, 1))
        limits = (
            lengths if not self.config.max_tokens else lengths.clamp(max=self.config.max_tokens)
        ).tolist()
        for length in range(max(limits, default=0) + 1):
            self._end(beam, weight, fusion, length, limits)
            if self._is_over(beam, length, limits, fusion):
                break
            beam = self._grow(beam, weight, fusion, scorer, decoder)
        return [self._ranked(ended) for ended in beam.ended]

    def _fusion(self, lexicon: Lexicon, shape: tuple[int, int]) -> WordFusion:
        cfg = self.config
        return WordFusion(lexicon, shape, alpha=cfg.alpha, beta=cfg.beta, unk_score=cfg.unk_score)

    def _end(
        self, beam: _Beam, weight: float, fusion: WordFusion | None, length: int, limits: list[int]
    ) -> None:
        """Let every hypothesis end here too."""
        ctc, attention = PrefixScorer.whole(beam.prefix), beam.attention
        if beam.next_log_probs is not None:
            attention = attention + beam.next_log_probs[:, :, END]
        score = weight * ctc + self.config.length_bonus * length
        if weight < 1:
            score = score + (1 - weight) * attention
        score = score.masked_fill(beam.score.isneginf(), -math.inf)
        if fusion is not None:
            score = score + torch.from_numpy(fusion.finish()).to(score)
        rows = zip(beam.tokens.tolist(), score.tolist(), ctc.tolist(), attention.tolist(), strict=True)
        for ended, limit, row in zip(beam.ended, limits, rows, strict=True):
            if length <= limit:
                found = (_Ended(tuple(t), *values) for t, *values in zip(*row, strict=True))
                ended += [one for one in found if one.score > -math.inf]
                ended.sort(key=lambda one: -one.score)
                del ended[self.config.beam_size :]

    def _is_over(self, beam: _Beam, length: int, limits: list[int], fusion: WordFusion | None) -> bool:
        """Return whether no growing hypothesis can become better than those wanted of its clip that have ended."""
        # A hypothesis only loses by growing, but for what each further token, and word, is rewarded with.
        reward = max(self.config.length_bonus, 0.0) + (
            max(self.config.beta, 0.0) if fusion is not None else 0.0
        )
        best = beam.score if fusion is None else beam.score + torch.from_numpy(fusion.bonus).to(beam.score)
        for ended, limit, score in zip(beam.ended, limits, best.amax(1).tolist(), strict=True):
            if length >= limit:
                continue
            wanted = ended[: self.config.num_best]
            if len(wanted) < self.config.num_best or score + reward * (limit - length) > wanted[-1].score:
                return False
        return True

    def _grow(
        self,
        beam: _Beam,
        weight: float,
        fusion: WordFusion | None,
        scorer: PrefixScorer,
        decoder: AttentionDecoder | None,
    ) -> _Beam:
        """Return the best K hypotheses that are one token longer."""
        tried, counts = self._tried(beam, scorer)  # (B, K, P)
        extended = scorer.extend(beam.prefix, tried)
        attention = beam.attention[:, :, None].expand(tried.shape)
        if beam.next_log_probs is not None:
            attention = attention + beam.next_log_probs.gather(2, tried)
        length = beam.tokens.shape[2] + 1
        score = weight * extended.score + self.config.length_bonus * length
        if weight < 1:
            score = score + (1 - weight) * attention
        score = score.masked_fill(beam.score[:, :, None].isneginf(), -math.inf)
        if counts is not None:
            score = score.masked_fill(~counts, -math.inf)
        ranked, word_end = score, None
        if fusion is not None:
            assert self.lexicon is not None
            word_end = fusion.word_end()
            gain = np.where(self.lexicon.ends_word[tried.cpu().numpy()], word_end[0][:, :, None], 0.0)
            ranked = score + torch.from_numpy(fusion.bonus[:, :, None] + gain).to(score)
        flat = ranked.flatten(1)
        best = flat.topk(min(self.config.beam_size, flat.shape[1]), 1).indices  # (B, K')
        rows, columns = best // tried.shape[2], best % tried.shape[2]
        batch = torch.arange(len(best), device=best.device)[:, None]
        where = (batch, rows, columns)
        grown = _Beam(
            score[where],
            attention[where],
            torch.cat([beam.tokens[batch, rows], tried[where][..., None]], 2),
            extended.select(rows, columns),
            ended=beam.ended,
        )
        if fusion is not None:
            fusion.advance(rows.cpu().numpy(), tried[where].cpu().numpy(), word_end)
        if decoder is not None and beam.decoder is not None:
            state = beam.decoder.select((batch * beam.score.shape[1] + rows).flatten())
            logits, grown.decoder = decoder.step(tried[where].flatten(), state)
            grown.next_log_probs = logits.double().log_softmax(1).unflatten(0, rows.shape)
        return grown

    def _tried(self, beam: _Beam, scorer: PrefixScorer) -> tuple[Tensor, Tensor | None]:
        """Return the tokens by which each hypothesis grows (B, K, P), and which of them count; None = all."""
        if beam.next_log_probs is not None:
            count = self.config.tried or math.ceil(1.5 * self.config.beam_size)
            count = min(count, beam.next_log_probs.shape[2] - NUM_SPECIAL)
            return beam.next_log_probs[:, :, NUM_SPECIAL:].topk(count, 2).indices + NUM_SPECIAL, None
        # CTC alone: what is likely in some frame of the clip.
        values, tokens = scorer.frames[:, :, NUM_SPECIAL:].amax(1).sort(1, descending=True)  # (B, V)
        counts = values >= _LEAST_LOG_PROB
        counts[:, 0] = True
        count = int(counts.sum(1).max())
        if self.config.tried:
            count = min(count, self.config.tried)
        shape = (*beam.score.shape, count)
        tried = tokens[:, None, :count] + NUM_SPECIAL
        return tried.expand(shape), counts[:, None, :count].expand(shape)

    def _ranked(self, ended: list[_Ended]) -> list[Hypothesis]:
        """Return the different texts, the best spelling of each."""
        found: dict[str, Hypothesis] = {}
        for one in ended:
            text = text_of(one.tokens, self.symbols)
            lm = 0.0 if self.lexicon is None else self.lexicon.lm.score_words(text.split())
            found.setdefault(text, Hypothesis(text, one.tokens, one.score, one.ctc, lm, one.attention))
        return list(found.values())[: self.config.num_best]


def _check(config: JointConfig) -> None:
    for name, low, high in (
        ("beam_size", 1, math.inf),
        ("num_best", 1, math.inf),
        ("ctc_weight", 0.0, 1.0),
        ("unk_score", -1e9, 0.0),
        ("alpha", 0.0, 1e9),
    ):
        if not low <= getattr(config, name) <= high:
            raise ValueError(
                f"{name}: a value from {low} to {high} expected, found {getattr(config, name)}; change the setting"
            )
