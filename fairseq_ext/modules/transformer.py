"""The transformer of wav2vec 2.0, HuBERT and WavLM: relative positions by a convolution, then attention layers.

Baevski et al. 2020, "wav2vec 2.0", section 2.
State-dict keys are those of fairseq's `TransformerEncoder`.

Shapes: B batch, T frames, D width, H heads, d = D / H, N buckets of distance, K kernel of the positions, G its groups.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SelfAttention
from .padding import valid_mask
from .position_conv import PositionConv
from .products import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_fast": partial(F.gelu, approximate="tanh"),
    "gelu_accurate": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "swish": F.silu,
    "tanh": torch.tanh,
}
# Devlin et al. 2019, BERT: standard deviation of all matrices at the start.
INIT_STD = 0.02


@dataclass
class TransformerConfig:
    """Keys of the transformer, named as in fairseq's `Wav2Vec2Config`; WavLM's names for what it adds."""

    encoder_layers: int = field(default=12, metadata={"help": "number of layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "D, width of the frames"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "width inside the feed-forward parts"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "H, attention heads; divides D"})
    activation_fn: str = field(
        default="gelu",
        metadata={"help": "activation of the feed-forward parts: gelu, gelu_fast, relu, swish, tanh"},
    )
    layer_norm_first: bool = field(
        default=False, metadata={"help": "norm before each part (large models), not after (base models)"}
    )
    dropout: float = field(
        default=0.1, metadata={"help": "dropout after each part of a layer; a probability"}
    )
    attention_dropout: float = field(
        default=0.1, metadata={"help": "dropout of the attention weights; a probability"}
    )
    activation_dropout: float = field(
        default=0.0, metadata={"help": "dropout inside the feed-forward parts; a probability"}
    )
    encoder_layerdrop: float = field(
        default=0.0, metadata={"help": "probability that an update skips a layer"}
    )
    conv_pos: int = field(default=128, metadata={"help": "K, kernel of the relative positions, frames"})
    conv_pos_groups: int = field(
        default=16, metadata={"help": "G, groups of the relative positions; divides D"}
    )
    relative_position_embedding: bool = field(
        default=False, metadata={"help": "add a learnt bias per distance to the attention (WavLM)"}
    )
    num_buckets: int = field(default=320, metadata={"help": "N, number of buckets of distances (WavLM: 320)"})
    max_distance: int = field(
        default=800, metadata={"help": "distance from which all share one bucket, frames (WavLM: 800)"}
    )
    gru_rel_pos: bool = field(
        default=False, metadata={"help": "let each frame gate its relative position bias (WavLM)"}
    )


class TransformerLayer(nn.Module):
    """Attention and feed-forward part, each with a residual connection and a norm.

    Args:
        config: the keys.
        owns_bias: whether this layer holds the relative position bias that all layers share.

    Raises:
        ValueError: an unknown activation.
    """

    def __init__(self, config: TransformerConfig, owns_bias: bool = False) -> None:
        super().__init__()
        if config.activation_fn not in ACTIVATIONS:
            raise ValueError(
                f"activation_fn: one of {', '.join(ACTIVATIONS)} expected, found {config.activation_fn!r}; change it"
            )
        dim = config.encoder_embed_dim
        self.norm_first = config.layer_norm_first
        self.activation = ACTIVATIONS[config.activation_fn]
        self.self_attn = SelfAttention(
            dim,
            config.encoder_attention_heads,
            config.attention_dropout,
            num_buckets=config.num_buckets if owns_bias else 0,
            max_distance=config.max_distance,
            gated=config.relative_position_embedding and config.gru_rel_pos,
        )
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.fc1 = Linear(dim, config.encoder_ffn_embed_dim)
        self.fc2 = Linear(config.encoder_ffn_embed_dim, dim)
        self.final_layer_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)

    def forward(self, frames: Tensor, valid: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Transform frames (B, T, D); `valid` and `bias` as for `SelfAttention.forward`."""
        attend, feed = self.self_attn, self._feed_forward
        if self.norm_first:
            frames = frames + self.dropout(attend(self.self_attn_layer_norm(frames), valid, bias))
            result: Tensor = frames + self.dropout(feed(self.final_layer_norm(frames)))
        else:
            frames = self.self_attn_layer_norm(frames + self.dropout(attend(frames, valid, bias)))
            result = self.final_layer_norm(frames + self.dropout(feed(frames)))
        return result

    def _feed_forward(self, frames: Tensor) -> Tensor:
        result: Tensor = self.fc2(self.activation_dropout(self.activation(self.fc1(frames))))
        return result


class TransformerEncoder(nn.Module):
    """Positions, norm and layers."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.encoder_embed_dim
        self.norm_first, self.layerdrop = config.layer_norm_first, config.encoder_layerdrop
        self.dropout = nn.Dropout(config.dropout)
        self.pos_conv = nn.Sequential(PositionConv(dim, config.conv_pos, config.conv_pos_groups), nn.GELU())
        self.layer_norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(
            TransformerLayer(config, owns_bias=config.relative_position_embedding and number == 0)
            for number in range(config.encoder_layers)
        )
        self.layers.apply(_init_linear)

    def forward(
        self, frames: Tensor, lengths: Tensor | None = None, return_hidden: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Encode frames.

        Args:
            frames: (B, T, D).
            lengths: (B,), frames that are valid; None = all.
            return_hidden: keep what lies between the layers.

        Returns:
            (B, T, D), and with `return_hidden` the input of the first layer and each layer's output, (B, T, D) each.
        """
        valid = None if lengths is None else valid_mask(lengths, frames.shape[1])
        frames = self._with_positions(frames, valid)
        # A clip too short for a frame still needs a key, or its softmax is 0 / 0.
        keys = None if lengths is None else valid_mask(lengths.clamp(min=1), frames.shape[1])
        first = self.layers[0] if len(self.layers) else None
        # WavLM: one bias for all layers, computed once, from the table in the first one.
        bias = first.self_attn.position_bias(frames.shape[1]) if isinstance(first, TransformerLayer) else None
        hidden = [frames]
        for layer in self.layers:
            if not self._is_dropped():
                frames = layer(frames, keys, bias)
            hidden.append(frames)  # a dropped layer repeats its input: the list keeps an entry per layer
        frames = self.layer_norm(frames) if self.norm_first else frames
        return frames, hidden if return_hidden else []

    def _with_positions(self, frames: Tensor, valid: Tensor | None) -> Tensor:
        # The convolution reaches across a clip's end: padding that is not 0 would change the last frames.
        if valid is not None:
            frames = frames.masked_fill(~valid[:, :, None], 0.0)
        frames = frames + self.pos_conv(frames)
        result: Tensor = self.dropout(frames if self.norm_first else self.layer_norm(frames))
        return result

    def _is_dropped(self) -> bool:
        """Draw on the host from torch's generator: fairseq seeds it per update, the same on every rank."""
        return self.training and self.layerdrop > 0 and float(torch.rand(())) < self.layerdrop


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_STD)
        nn.init.zeros_(module.bias)
