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
        """Apply the block to (B, W, T) frames, 0 where `valid` (B, 1, T) is not; so is the result."""
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
        """Apply the block to (B, W, T, F) planes, 0 where `valid` (B, 1, T, 1) is not; so is the result.

        Padding is cleared between the convolutions too: the second reaches into it.
        """
        return torch.relu(planes + self.second(self.first(planes) * valid)) * valid
