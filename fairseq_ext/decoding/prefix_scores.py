"""CTC prefix scores: ln p of all transcripts that begin with a hypothesis, for many hypotheses and next tokens at once.

Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition", algorithm 2; Graves 2012,
"Supervised sequence labelling", section 7.5.

Shapes: B clips, K hypotheses of each, P tokens that are tried, T frames, V symbols. All values are ln p.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .frames import BLANK, valid_frames

_NEVER = float("-inf")


@dataclass(frozen=True)
class PrefixState:
    """Forward values of B times K hypotheses.

    Attributes:
        symbol: (B, K, T) ln p of the alignments of the first t + 1 frames that spell the hypothesis and end in its last
            token.
        blank: (B, K, T) the same of those that end in blank.
        last: (B, K) last token; -1 = none yet.
    """

    symbol: Tensor
    blank: Tensor
    last: Tensor


@dataclass(frozen=True)
class Extended:
    """The forward values of hypotheses with each of P next tokens, (B, K, P, T), and their prefix scores (B, K, P)."""

    symbol: Tensor
    blank: Tensor
    tokens: Tensor
    score: Tensor

    def select(self, rows: Tensor, tried: Tensor) -> PrefixState:
        """Return the state of K' hypotheses: from which one each grew (B, K'), and by which of its P tokens (B, K')."""
        batch = torch.arange(len(rows), device=rows.device)[:, None]
        where = (batch, rows, tried)
        return PrefixState(self.symbol[where], self.blank[where], self.tokens[where])


class PrefixScorer:
    """The frames of a batch; `log_probs` (B, T, V) are ln p, `lengths` (B,) the valid frames."""

    def __init__(self, log_probs: Tensor, lengths: Tensor) -> None:
        ended = ~valid_frames(log_probs, lengths)[:, :, None]
        # Beyond its end a clip goes on with certain blanks, which change no hypothesis.
        frames = log_probs.double().masked_fill(ended, _NEVER)
        frames[:, :, BLANK].masked_fill_(ended[:, :, 0], 0.0)
        self.frames = frames

    def start(self) -> PrefixState:
        """Return the state of one empty hypothesis per clip."""
        blank = self.frames[:, None, :, BLANK].cumsum(2)  # (B, 1, T)
        last = torch.full(blank.shape[:2], -1, device=blank.device)
        return PrefixState(torch.full_like(blank, _NEVER), blank, last)

    @staticmethod
    def whole(state: PrefixState) -> Tensor:
        """Return ln p (B, K) that the transcripts end here."""
        return torch.logaddexp(state.symbol[:, :, -1], state.blank[:, :, -1])

    def extend(self, state: PrefixState, tokens: Tensor) -> Extended:
        """Extend every hypothesis by each of its tokens (B, K, P), none of them the blank."""
        num_frames = self.frames.shape[1]
        shape = (*tokens.shape, num_frames)
        emitted = self.frames.transpose(1, 2)  # (B, V, T)
        values = emitted[:, None].expand(-1, tokens.shape[1], -1, -1)
        values = values.gather(2, tokens[..., None].expand(shape))  # (B, K, P, T)
        before = self._before(state, tokens, shape)
        blanks = emitted[:, BLANK][:, None, None]  # (B, 1, 1, T)
        symbol, blank = torch.full(shape, _NEVER).to(values), torch.full(shape, _NEVER).to(values)
        symbol[..., 0] = before[..., 0] + values[..., 0]
        for t in range(1, num_frames):
            symbol[..., t] = torch.logaddexp(symbol[..., t - 1], before[..., t]) + values[..., t]
            blank[..., t] = torch.logaddexp(symbol[..., t - 1], blank[..., t - 1]) + blanks[..., t]
        return Extended(symbol, blank, tokens, torch.logsumexp(before + values, 3))

    @staticmethod
    def _before(state: PrefixState, tokens: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return ln p (B, K, P, T) of the hypothesis in the frames before each, such that the token is a new one."""
        whole = torch.logaddexp(state.symbol, state.blank)
        repeats = (tokens == state.last[:, :, None])[..., None]  # the same again counts only after a blank
        found = torch.where(repeats, state.blank[:, :, None], whole[:, :, None]).expand(shape)
        is_empty = (state.last < 0)[:, :, None, None].expand(*shape[:3], 1)
        first = torch.zeros(is_empty.shape, dtype=found.dtype, device=found.device)
        return torch.cat([first.masked_fill(~is_empty, _NEVER), found[..., :-1]], 3)
