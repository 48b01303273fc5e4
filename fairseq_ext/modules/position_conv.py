"""Relative positions by a wide grouped convolution over time (wav2vec 2.0, HuBERT, WavLM).

Baevski et al. 2020, "wav2vec 2.0", section 2; its weights are normalised per kernel position (Salimans & Kingma 2016).
On CPUs it goes through blocks of Fourier transforms (overlap-save: Oppenheim & Schafer, "Discrete-time signal
processing", section 8.7): with 128 taps a quarter of the time of the direct sum, and the same to rounding.

Shapes: B batch, T frames, D width, K kernel, G groups, E = D / G, N = 2 K length of a block, P blocks, W frequencies.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PositionConv(nn.Module):
    """Grouped convolution; as many frames out as in.

    Checkpoints name the weights `weight_g` and `weight_v`, or, written through torch's newer parametrization,
    `parametrizations.weight.original0` and `original1`; both load.

    Args:
        dim: D.
        kernel: K, frames.
        groups: G.

    Raises:
        ValueError: the groups do not divide the width.
    """

    def __init__(self, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        if dim % groups:
            raise ValueError(
                f"conv_pos_groups: {groups} does not divide encoder_embed_dim ({dim}); change one of them"
            )
        self.kernel, self.groups = kernel, groups
        # As fairseq starts it: the sum over K positions and D channels has variance 4.
        weight = torch.randn(dim, dim // groups, kernel) * math.sqrt(4.0 / (kernel * dim))
        self.weight_v = nn.Parameter(weight)
        self.weight_g = nn.Parameter(_norm(weight))  # (1, 1, K)
        self.bias = nn.Parameter(torch.zeros(dim))

    def weight(self) -> Tensor:
        """Return the weights in use, (D, E, K)."""
        return self.weight_v * (self.weight_g / _norm(self.weight_v)).to(self.weight_v)

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve frames (B, T, D), zero beyond a clip's length, over time."""
        if frames.is_cpu and frames.dtype == torch.float32:
            return convolve_blocks(frames, self.weight(), self.groups) + self.bias
        # An even kernel with this padding gives one frame too many, which is cut off at the end, as in fairseq.
        size = frames.shape[1]
        convolved = F.conv1d(
            frames.transpose(1, 2), self.weight(), self.bias, padding=self.kernel // 2, groups=self.groups
        )
        return convolved[:, :, :size].transpose(1, 2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for old, new in (("original0", "weight_g"), ("original1", "weight_v")):
            name = f"{prefix}parametrizations.weight.{old}"
            if name in state_dict:
                state_dict[f"{prefix}{new}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _norm(weight: Tensor) -> Tensor:
    """Return the norm of the weights of each kernel position, float32: (1, 1, K)."""
    return weight.float().square().sum((0, 1), keepdim=True).sqrt()


def convolve_blocks(frames: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Convolve over time with zeros around, by Fourier transforms of overlapping blocks.

    Args:
        frames: (B, T, D).
        weight: (D, E, K); its position K // 2 meets the frame itself.
        groups: G.
    """
    num_clips, size, dim = frames.shape
    kernel = weight.shape[2]
    num_blocks = -(-size // kernel)
    after = (num_blocks + 1) * kernel - kernel // 2 - size
    # Each block gives K frames, for which it needs K - 1 more beside them.
    blocks = F.pad(frames, (0, 0, kernel // 2, after)).unfold(1, 2 * kernel, kernel)  # (B, P, D, N)
    spectrum = torch.fft.rfft(blocks, dim=3).view(num_clips * num_blocks, groups, dim // groups, -1)
    # The conjugate turns a convolution into the correlation that networks call by that name.
    response = torch.fft.rfft(weight, 2 * kernel, dim=2).conj().unflatten(0, (groups, -1))  # (G, E, E, W)
    product = spectrum.permute(3, 1, 0, 2) @ response.permute(3, 0, 2, 1)  # (W, G, B P, E)
    blocks = torch.fft.irfft(product.permute(2, 0, 1, 3).flatten(2), 2 * kernel, dim=1)  # (B P, N, D)
    # The transform is circular: only the first K frames of a block are free of its other end.
    blocks = blocks[:, :kernel]
    result: Tensor = blocks.reshape(num_clips, num_blocks * kernel, dim)[:, :size]
    return result
