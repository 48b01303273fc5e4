"""Attention of wav2vec 2.0, HuBERT and WavLM, by torch's fused kernels; relative positions by a bias or by rotation.

Chen et al. 2022, "WavLM", section III-B (the bias and its gate); Su et al. 2021, "RoFormer", section 3.2 (rotation).
State-dict keys are those of fairseq's `MultiheadAttention`, and of WavLM's for what it adds.

Shapes: B batch, T frames, D width, H heads, d = D / H, N buckets of distance.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .products import Linear


def _distance_buckets(num_frames: int, num_buckets: int, max_distance: int, device: Any = None) -> Tensor:
    """Return the bucket of the distance of any two frames: exact nearby, logarithmic beyond (Raffel et al. 2020, T5).

    Half of the N buckets are for each direction, half of those for exact distances; beyond `max_distance` frames all
    share one. The result is (T, T), 0 to N - 1; row = from, column = to.
    """
    position = torch.arange(num_frames, device=device)
    relative = position[None, :] - position[:, None]
    half, distance = num_buckets // 2, relative.abs()
    exact = half // 2
    scale = (half - exact) / math.log(max_distance / exact)
    # Distance 0 has no logarithm; its value is not used.
    beyond = exact + ((distance.clamp(min=1).float() / exact).log() * scale).long()
    bucket = torch.where(distance < exact, distance, beyond.clamp(max=half - 1))
    return bucket + half * (relative > 0)


# Su et al. 2021, section 3.3: the longest wave of the rotation, as that of the sinusoidal positions.
_ROTARY_BASE = 10_000.0


def rotate(heads: Tensor) -> Tensor:
    """Turn each pair of values of (B, H, T, d) by an angle that grows with t, so that products know the distance.

    Su et al. 2021, equation 34; d is even.
    """
    half = heads.shape[-1] // 2
    dtype = torch.promote_types(heads.dtype, torch.float32)
    rate = _ROTARY_BASE ** (-torch.arange(half, device=heads.device, dtype=dtype) / half)
    angle = torch.arange(heads.shape[-2], device=heads.device)[:, None] * rate  # (T, d / 2)
    cos, sin = angle.cos().to(heads), angle.sin().to(heads)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class SelfAttention(nn.Module):
    """Attention of all frames to all valid frames, by torch's fused kernels.

    Args:
        dim: D.
        num_heads: H.
        dropout: dropout of the attention weights; a probability.
        num_buckets: N, when this layer holds the relative position bias that all layers share; 0 = another one does,
            or there is none.
        max_distance: distance beyond which all share a bucket, frames.
        gated: whether each frame scales the bias.
        rotary: whether queries and keys are turned by their position, see `rotate`.

    Raises:
        ValueError: the heads do not divide the width, or, with `rotary`, give heads of an odd width.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float,
        *,
        num_buckets: int,
        max_distance: int,
        gated: bool,
        rotary: bool = False,
    ) -> None:
        super().__init__()
        if rotary and dim // num_heads % 2:
            raise ValueError(
                f"encoder_attention_heads: {num_heads} heads of {dim} values have an odd width, which rotary positions "
                "cannot turn; change one of them"
            )
        if dim % num_heads:
            raise ValueError(
                f"encoder_attention_heads: {num_heads} does not divide encoder_embed_dim ({dim}); change one of them"
            )
        self.num_heads, self.dropout, self.max_distance, self.rotary = (
            num_heads,
            dropout,
            max_distance,
            rotary,
        )
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (Linear(dim, dim) for _ in range(4))
        self.relative_attention_bias = nn.Embedding(num_buckets, num_heads) if num_buckets else None
        self.grep_linear, self.grep_a = None, None
        if gated:
            self.grep_linear = nn.Linear(dim // num_heads, 8)
            self.grep_a = nn.Parameter(torch.ones(1, num_heads, 1, 1))

    def position_bias(self, num_frames: int) -> Tensor | None:
        """Return the bias (H, T, T) that all layers share; None when another layer owns it, or none does."""
        table = self.relative_attention_bias
        if table is None:
            return None
        buckets = _distance_buckets(num_frames, table.num_embeddings, self.max_distance, table.weight.device)
        result: Tensor | None = table(buckets).permute(2, 0, 1)  # (H, T, T)
        return result

    def forward(self, frames: Tensor, valid: Tensor | None, bias: Tensor | None) -> Tensor:
        """Attend to the valid frames.

        Args:
            frames: (B, T, D).
            valid: (B, T) bool, False = padding; None = no padding.
            bias: (H, T, T), see `position_bias`; None = none.
        """
        query, key, value = (
            self._split(project(frames)) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.rotary:
            query, key = rotate(query), rotate(key)
        mask = self._mask(frames, valid, bias)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        result: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))  # (B, H, T, d) to (B, T, D)
        return result

    def _split(self, frames: Tensor) -> Tensor:
        result: Tensor = frames.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, d)
        return result

    def _mask(self, frames: Tensor, valid: Tensor | None, bias: Tensor | None) -> Tensor | None:
        """Return the mask, None whenever possible: only then the fastest kernel runs."""
        keys = None if valid is None else valid[:, None, None, :]  # (B, 1, 1, T)
        if bias is None:
            return keys
        added = bias[None] if self.grep_linear is None else self._gate(frames) * bias  # (B, H, T, T)
        return added if keys is None else added.masked_fill(~keys, float("-inf"))

    def _gate(self, frames: Tensor) -> Tensor:
        """Return the gates (B, H, T, 1) of the layer's input (Chen et al. 2022, equations 3-6)."""
        assert self.grep_linear is not None
        # WavLM's weights give four numbers per gate, which are summed; the equations have one.
        gates = self.grep_linear(self._split(frames)).unflatten(3, (2, 4)).sum(4).sigmoid()  # (B, H, T, 2)
        update, reset = gates.chunk(2, dim=3)
        result: Tensor = update * (reset * self.grep_a - 1.0) + 2.0
        return result
