"""What is explained: a score per clip, computed from a network's output.

Legend: B clips (changed copies of one clip), T frames, V vocabulary, C classes, U tokens of a transcript.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..decoding.alignment import TokenSpan
from ..decoding.frames import BLANK


class Target(Protocol):
    """A score to explain."""

    @property
    def name(self) -> str:
        """Name of the target, for figures and messages."""

    def __call__(self, output: Tensor) -> Tensor:
        """Return the scores of B clips, (B,); higher = more certain."""


@dataclass(frozen=True, slots=True)
class TokenTarget:
    """The sum of the tokens' logits over their aligned frames, for one character or all those of a word.

    Class activation maps use logits (Selvaraju et al. 2017, "Grad-CAM", section 3), because the gradient of a log
    probability is almost 0, with a random sign, where a network is certain. A softmax hides what all logits of a
    frame have in common, so the mean over the frame is subtracted.

    `spans` has each token's, from `decoding.alignment.align`.
    """

    name: str
    spans: tuple[TokenSpan, ...]

    def __post_init__(self) -> None:
        """Check that there is a token."""
        if not self.spans:
            raise ValueError(f"target {self.name!r} has no tokens; give the span of one or more")

    def __call__(self, output: Tensor) -> Tensor:
        """Score log probabilities (B, T, V): (B,), in nats above the mean symbol."""
        _check_log_probs(output, f"target {self.name!r}")
        last = max(span.end for span in self.spans)
        if output.shape[1] < last:
            raise ValueError(
                f"target {self.name!r}: expected {last} frames or more, found {output.shape[1]}; align the "
                "clip that is explained"
            )
        scores = output - output.mean(2, keepdim=True)
        return torch.stack([scores[:, s.start : s.end, s.token].sum(1) for s in self.spans]).sum(0)


@dataclass(frozen=True, slots=True)
class TranscriptTarget:
    """The log probability of a whole transcript over all alignments: minus the CTC loss.

    `tokens` are U symbol indices without blanks.
    """

    name: str
    tokens: tuple[int, ...]

    def __call__(self, output: Tensor) -> Tensor:
        """Score log probabilities (B, T, V): (B,), in nats."""
        _check_log_probs(output, f"target {self.name!r}")
        size, num_frames, _ = output.shape
        tokens = torch.tensor([self.tokens] * size, device=output.device)  # (B, U)
        frames, lengths = torch.full((size,), num_frames), torch.full((size,), len(self.tokens))
        loss = nn.functional.ctc_loss(
            output.transpose(0, 1),  # (T, B, V)
            tokens,
            frames,
            lengths,
            blank=BLANK,
            reduction="none",
        )
        return -loss


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """The logit of a class of an utterance classifier."""

    name: str
    index: int

    def __call__(self, output: Tensor) -> Tensor:
        """Score logits (B, C): (B,)."""
        if output.ndim != 2 or not 0 <= self.index < output.shape[1]:
            raise ValueError(
                f"class {self.name!r}: expected logits (B, C) with C > {self.index}, found shape "
                f"{tuple(output.shape)}; pass the classifier's logits"
            )
        return output[:, self.index]


def _check_log_probs(output: Tensor, name: str) -> None:
    if output.ndim != 3:
        raise ValueError(
            f"{name}: expected log probabilities (B, T, V), found shape {tuple(output.shape)}; transpose "
            "them, or explain a class"
        )
    total = float(output.detach()[0, 0].float().exp().sum())
    if not abs(total - 1.0) < 0.02:  # bfloat16 rounds to 3 digits
        raise ValueError(
            f"{name}: expected log probabilities, found a frame whose probabilities sum to {total:.3g}; "
            "apply log_softmax over the vocabulary, the last axis"
        )
