"""The conformer: attention and convolution in one layer, between two halves of a feed-forward part.

Gulati et al. 2020, "Conformer", section 2; the published lip readers have 12 layers of width 768 and a kernel of 31
frames (Ma et al. 2023, "Auto-AVSR", section 3). Batch norm in the convolution is replaced by a norm of each frame,
which neither padding nor the size of a batch changes.

Shapes: B batch, T frames, D width, K kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SelfAttention
from .padding import valid_mask
from .products import Linear

POSITIONS = ("relative", "rotary")


@dataclass
class ConformerConfig:
    """Keys of the conformer; the widths are named as those of the transformer."""

    encoder_layers: int = field(default=12, metadata={"help": "number of layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "D, width of the frames"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "width inside the feed-forward parts"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "attention heads; divides D"})
    dropout: float = field(default=0.1, metadata={"help": "dropout after each part; a probability"})
    attention_dropout: float = field(
        default=0.1, metadata={"help": "dropout of the attention weights; a probability"}
    )
    conv_kernel: int = field(default=31, metadata={"help": "K, kernel of the convolutions, frames, odd"})
    positions: str = field(
        default="relative",
        metadata={"help": "relative = a learnt bias per distance, shared by the layers; rotary = rotation"},
    )
    num_buckets: int = field(default=64, metadata={"help": "number of distances with a bias of their own"})
    max_distance: int = field(
        default=400, metadata={"help": "distance from which all share one bias, frames"}
    )


class ConvModule(nn.Module):
    """Gated projection, depthwise convolution over time, norm, projection (Gulati et al. 2020, section 2.2).

    Raises:
        ValueError: an even kernel.
    """

    def __init__(self, dim: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"model.conv_kernel: an odd number expected, found {kernel}; change it")
        self.layer_norm = nn.LayerNorm(dim)
        self.gate = Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=False)
        self.conv_norm = nn.LayerNorm(dim)
        self.out = Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, valid: Tensor | None) -> Tensor:
        """Transform (B, T, D); `valid` (B, T) is False on padding, which the convolution must not see."""
        hidden = F.glu(self.gate(self.layer_norm(frames)), -1)
        if valid is not None:
            hidden = hidden.masked_fill(~valid[:, :, None], 0.0)
        hidden = self.depthwise(hidden.transpose(1, 2)).transpose(1, 2)
        result: Tensor = self.dropout(self.out(F.silu(self.conv_norm(hidden))))
        return result


class FeedForward(nn.Module):
    """Norm, widening, swish, narrowing."""

    def __init__(self, dim: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.layer_norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.fc1, self.fc2 = Linear(dim, inner), Linear(inner, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Transform (B, T, D)."""
        result: Tensor = self.dropout(self.fc2(self.dropout(F.silu(self.fc1(self.layer_norm(frames))))))
        return result


class ConformerLayer(nn.Module):
    """Half a feed-forward part, attention, convolution, the other half, norm (Gulati et al. 2020, equation 1).

    `owns_bias` tells whether this layer holds the bias of the distances that all share.
    """

    def __init__(self, config: ConformerConfig, owns_bias: bool) -> None:
        super().__init__()
        dim, inner = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.ffn_before = FeedForward(dim, inner, config.dropout)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.self_attn = SelfAttention(
            dim,
            config.encoder_attention_heads,
            config.attention_dropout,
            num_buckets=config.num_buckets if owns_bias else 0,
            max_distance=config.max_distance,
            gated=False,
            rotary=config.positions == "rotary",
        )
        self.conv = ConvModule(dim, config.conv_kernel, config.dropout)
        self.ffn_after = FeedForward(dim, inner, config.dropout)
        self.final_layer_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, frames: Tensor, valid: Tensor | None, keys: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        """Transform (B, T, D).

        Args:
            frames: the input.
            valid: (B, T), False on padding; None = no padding.
            keys: the same with at least one frame per clip, which the attention needs.
            bias: (H, T, T), see `SelfAttention.position_bias`.
        """
        frames = frames + 0.5 * self.ffn_before(frames)
        frames = frames + self.dropout(self.self_attn(self.self_attn_layer_norm(frames), keys, bias))
        frames = frames + self.conv(frames, valid)
        result: Tensor = self.final_layer_norm(frames + 0.5 * self.ffn_after(frames))
        return result


class ConformerEncoder(nn.Module):
    """The layers; as many frames out as in.

    Raises:
        ValueError: unknown positions.
    """

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        if config.positions not in POSITIONS:
            raise ValueError(
                f"model.positions: one of {', '.join(POSITIONS)} expected, found {config.positions!r}; change it"
            )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            ConformerLayer(config, owns_bias=config.positions == "relative" and number == 0)
            for number in range(config.encoder_layers)
        )

    def forward(
        self,
        frames: Tensor,
        lengths: Tensor | None = None,
        *,
        on_layer: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Encode frames (B, T, D) of clips of (B,) frames, None = all; `on_layer` receives what each layer gives."""
        size = frames.shape[1]
        valid = None if lengths is None else valid_mask(lengths, size)
        keys = None if lengths is None else valid_mask(lengths.clamp(min=1), size)
        frames = self.dropout(frames)
        first = self.layers[0] if len(self.layers) else None
        bias = first.self_attn.position_bias(size) if isinstance(first, ConformerLayer) else None
        for layer in self.layers:
            frames = layer(frames, valid, keys, bias)
            if on_layer is not None:
                on_layer(frames)
        return frames
