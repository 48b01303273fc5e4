"""`ConvHead`: residual convolutions between an encoder and an output layer over frames.

An output layer alone names each frame by itself. Convolutions over the neighbours learn in far fewer updates what an
encoder was never trained to give: which frame of a phone speaks for it, and that the others are blank.

Shapes: B batch, T frames, D width of the encoder, W width of the head.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class ConvHead(nn.Module):
    """A projection of D to W channels, then residual convolutions over time.

    Args:
        in_dim: D.
        dim: W.
        num_layers: number of convolutions.
        kernel_size: taps, odd.
    """

    def __init__(self, in_dim: int, dim: int, num_layers: int, kernel_size: int) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"model.head_kernel: an odd number expected, found {kernel_size}; change it")
        self.input = nn.Linear(in_dim, dim)
        self.layers = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2) for _ in range(num_layers)
        )

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Transform (B, T, D) to (B, T, W); `valid` (B, T) is False on padding, where the result is 0."""
        mask = valid[:, None, :].to(frames)
        hidden = F.gelu(self.input(frames)).transpose(1, 2) * mask  # (B, W, T)
        for layer in self.layers:
            hidden = (hidden + F.gelu(layer(hidden))) * mask
        return hidden.transpose(1, 2)
