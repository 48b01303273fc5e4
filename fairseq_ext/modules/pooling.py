"""Pooling of frame sequences of unequal length into one vector; padding never counts.

Shapes: B batch, T frames, D width.
"""

import torch
from torch import Tensor, nn

from .padding import valid_mask


def masked_mean(frames: Tensor, lengths: Tensor) -> Tensor:
    """Average the valid frames of (B, T, D), `lengths` (B,) of them: (B, D); zeros for a clip without."""
    valid = valid_mask(lengths, frames.shape[1])[:, :, None]
    return frames.masked_fill(~valid, 0.0).sum(1) / lengths.clamp(min=1)[:, None]


def masked_std(frames: Tensor, lengths: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the standard deviation (B, D) over the valid frames of (B, T, D).

    Args:
        frames: (B, T, D).
        lengths: (B,), frames.
        weights: (B, T, D) that sum to 1 over T, 0 on padding; None = equal weights.
    """
    valid = valid_mask(lengths, frames.shape[1])[:, :, None]
    if weights is None:
        weights = valid / lengths.clamp(min=1)[:, None, None]
    frames = frames.masked_fill(~valid, 0.0)
    mean = (weights * frames).sum(1, keepdim=True)
    variance = (weights * (frames - mean).square()).sum(1)
    return (
        variance + 1e-5
    ).sqrt()  # the gradient of a bare root is infinite at 0, as for a clip of one frame


def masked_max(frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the largest value (B, D) over the valid frames of (B, T, D); zeros for a clip without."""
    valid = valid_mask(lengths, frames.shape[1])[:, :, None]
    largest = frames.masked_fill(~valid, -torch.inf).amax(1)
    return torch.where((lengths > 0)[:, None], largest, torch.zeros_like(largest))


class MeanPooling(nn.Module):
    """Pooling by the mean over time."""

    def out_dim(self, dim: int) -> int:
        """Return the width of the pooled vector."""
        return dim

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool (B, T, D) frames, `lengths` (B,) of them valid: (B, D)."""
        return masked_mean(frames, lengths)


class StatisticsPooling(nn.Module):
    """Mean, standard deviation and maximum over time, side by side (Snyder et al. 2018, plus the maximum).

    Args:
        has_max: whether the maximum is one of them.
    """

    def __init__(self, has_max: bool = True) -> None:
        super().__init__()
        self.has_max = has_max

    def out_dim(self, dim: int) -> int:
        """Return the width of the pooled vector."""
        return (3 if self.has_max else 2) * dim

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool (B, T, D) frames, `lengths` (B,) of them valid: (B, 3 D), without the maximum (B, 2 D)."""
        parts = [masked_mean(frames, lengths), masked_std(frames, lengths)]
        if self.has_max:
            parts.append(masked_max(frames, lengths))
        return torch.cat(parts, dim=1)


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and deviation (Okabe et al. 2018, equations 3-6), and the maximum.

    Args:
        dim: D, width of the frames.
        hidden: width of the attention's hidden layer.
    """

    def __init__(self, dim: int, hidden: int = 32) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, dim))

    def out_dim(self, dim: int) -> int:
        """Return the width of the pooled vector."""
        return 3 * dim

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool (B, T, D) frames, `lengths` (B,) of them valid: (B, 3 D)."""
        valid = valid_mask(lengths, frames.shape[1])[:, :, None]
        # The lowest number, not minus infinity: a clip without frames would give 0 / 0.
        scores = self.attention(frames).masked_fill(~valid, torch.finfo(frames.dtype).min)
        weights = scores.softmax(dim=1) * valid  # (B, T, D)
        mean = (weights * frames).sum(1)
        return torch.cat([mean, masked_std(frames, lengths, weights), masked_max(frames, lengths)], dim=1)


def segment_means(frames: Tensor, lengths: Tensor, num_segments: int) -> Tensor:
    """Cut each clip into N equal parts of its own length and average each part: a time-normalised picture (B, N, D).

    A frame that lies across a cut counts in both parts by its shares, so any length works, even one frame.
    """
    edges = (
        torch.linspace(0, 1, num_segments + 1, device=frames.device)[None, :] * lengths[:, None]
    )  # (B, N + 1)
    index = torch.arange(frames.shape[1], device=frames.device)
    covered = (edges[:, :, None] - index).clamp(0, 1)  # (B, N + 1, T): share of each frame before each edge
    weights = covered[:, 1:] - covered[:, :-1]
    return (weights @ frames) / weights.sum(2, keepdim=True).clamp(min=1e-6)
