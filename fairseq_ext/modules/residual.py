"""Residual blocks that keep padding at 0, so that a clip's result does not depend on its batch.

Shapes: B batch, W channels, T steps, F bands.
"""

import torch
from torch import Tensor, nn


class ResidualBlock1d(nn.Module):
    """A dilated and a pointwise convolution over time, batch-normalised, added to their input.

    Args:
        width: W.
        kernel_size: taps, odd.
        dilation: steps between taps.
        dropout: dropout between the two; a probability.
    """

    def __init__(self, width: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = (kernel_size // 2) * dilation
        self.body = nn.Sequential(
            nn.Conv1d(width, width, kernel_size, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, 1, bias=False),
            nn.BatchNorm1d(width),
        )

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Apply the block.

        Args:
            frames: (B, W, T), 0 on padding.
            valid: (B, 1, T) bool.

        Returns:
            (B, W, T), 0 on padding.
        """
        return torch.relu(frames + self.body(frames)) * valid


class ResidualBlock2d(nn.Module):
    """Two 3 x 3 convolutions over time and frequency, batch-normalised, added to their input.

    Args:
        width: W.
        dropout: dropout of whole planes between the two; a probability.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout2d(dropout),
        )
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, planes: Tensor, valid: Tensor) -> Tensor:
        """Apply the block; padding is cleared between the convolutions too: the second reaches into it.

        Args:
            planes: (B, W, T, F), 0 on padding.
            valid: (B, 1, T, 1) bool.

        Returns:
            (B, W, T, F), 0 on padding.
        """
        return torch.relu(planes + self.second(self.first(planes) * valid)) * valid


def halve_lengths(lengths: Tensor) -> Tensor:
    """Return the lengths after a convolution of stride 2 with padding of half its kernel.

    Args:
        lengths: (B,), frames.

    Returns:
        (B,), steps.
    """
    return torch.div(lengths + 1, 2, rounding_mode="floor")
