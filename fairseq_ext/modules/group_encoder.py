"""From groups of frame features to one embedding: a residual CNN per group, transformer, pooling, and fusion.

Groups are fused either as steps, before the transformer, or as embeddings at the end: then each has one of its own, of
norm 1, and they stand side by side, so that the cosine of two clips is the mean of the groups' cosines by their shares.

Shapes: B batch, T frames at 100 Hz, T' steps of `stride` frames, D columns of a group, G groups, W width, E embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layer_sum import LayerSum
from .padding import strided_lengths, valid_mask
from .pooling import AttentiveStatisticsPooling, masked_mean, masked_std
from .residual import ResidualBlock1d
from .transformer import TransformerConfig, TransformerEncoder

FUSIONS = ("steps", "embeddings")


@dataclass
class GroupEncoderConfig:
    """Keys of the network above the features."""

    width: int = field(default=64, metadata={"help": "W, channels of every part"})
    kernel_size: int = field(default=5, metadata={"help": "taps of the convolutions over time, odd"})
    stride: int = field(
        default=2, metadata={"help": "frames per step of the network; 2 = 50 steps per second"}
    )
    num_blocks: int = field(
        default=3, metadata={"help": "residual blocks of each group; block i has dilation 2 ** i"}
    )
    cnn_dropout: float = field(default=0.1, metadata={"help": "dropout inside each block; a probability"})
    transformer_layers: int = field(default=1, metadata={"help": "transformer layers; 0 = none"})
    attention_heads: int = field(default=4, metadata={"help": "attention heads; divides the width"})
    ffn_width: int = field(default=128, metadata={"help": "width inside the feed-forward parts"})
    position_kernel: int = field(
        default=31, metadata={"help": "steps that the convolution of relative positions covers"}
    )
    transformer_dropout: float = field(
        default=0.1, metadata={"help": "dropout of the transformer and its attention; a probability"}
    )
    pooling_hidden: int = field(default=32, metadata={"help": "width of the attention that pools over time"})
    input_statistics: bool = field(
        default=True,
        metadata={
            "help": "let mean and deviation of the features themselves join what is pooled, which makes little data go "
            "far: a linear discriminant analysis of them is within the network's reach"
        },
    )
    pooled_dropout: float = field(default=0.2, metadata={"help": "dropout of what was pooled; a probability"})
    embedding_dim: int = field(
        default=64,
        metadata={
            "help": "E, width of the embedding, which has norm 1; of each group's where fusion is embeddings"
        },
    )
    fusion: str = field(
        default="steps",
        metadata={
            "help": "what is fused by learned weights: steps = the frames of all groups, before the transformer; "
            "embeddings = one of each group, side by side"
        },
    )


class GroupCnn(nn.Module):
    """Strided convolution over time, then residual blocks of growing dilation; padding stays 0."""

    def __init__(self, dim: int, config: GroupEncoderConfig, stride: int) -> None:
        super().__init__()
        self.stride, width, taps = stride, config.width, config.kernel_size
        self.stem = nn.Sequential(
            nn.Conv1d(dim, width, taps, stride, taps // 2, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.blocks = nn.ModuleList(
            ResidualBlock1d(width, taps, 2**i, config.cnn_dropout) for i in range(config.num_blocks)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, T, D) frames, 0 on padding: (B, T', W)."""
        steps = self.stem(frames.transpose(1, 2))  # (B, W, T')
        valid = valid_mask(strided_lengths(lengths, self.stride), steps.shape[2])[:, None, :]
        steps = steps * valid
        for block in self.blocks:
            steps = block(steps, valid)
        result: Tensor = steps.transpose(1, 2)
        return result


class PooledHead(nn.Module):
    """From what was pooled (B, P) to a vector (B, E)."""

    def __init__(self, pooled: int, dropout: float, dim: int) -> None:
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(pooled), nn.Dropout(dropout)
        self.projection = nn.Linear(pooled, dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """Project (B, P) to (B, E)."""
        found: Tensor = self.projection(self.dropout(self.norm(pooled)))
        return found


class GroupEncoder(nn.Module):
    """Embedding of a clip from its groups of features.

    The steps of each group are brought to mean 0 and variance 1 before they are added, so that the fusion's weights are
    shares of like things. Fused as embeddings, the groups share transformer and pooling.

    Args:
        dims: group -> D.
        config: the keys.
        fine: groups whose frames come one per step already, such as those of a speech encoder.
    """

    def __init__(
        self, dims: Mapping[str, int], config: GroupEncoderConfig, fine: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.groups, self.fine, self.stride = tuple(dims), fine, config.stride
        self.cnns = nn.ModuleDict(
            {name: GroupCnn(dim, config, 1 if name in fine else config.stride) for name, dim in dims.items()}
        )
        if config.fusion not in FUSIONS:
            raise ValueError(
                f"model.fusion: one of {', '.join(FUSIONS)} expected, found {config.fusion!r}; change it"
            )
        self.late = config.fusion == "embeddings"
        self.out_dim = config.embedding_dim * (len(dims) if self.late else 1)
        self.fusion = LayerSum(len(dims), normalize=True)
        self.fusion.scores.requires_grad_(len(dims) > 1)  # the share of the only one is 1
        self.transformer = TransformerEncoder(_transformer(config)) if config.transformer_layers else None
        self.pooling = AttentiveStatisticsPooling(config.width, config.pooling_hidden)
        pooled = self.pooling.out_dim(config.width)
        with_statistics = [name for name in dims if name not in fine] if config.input_statistics else []
        # The groups whose statistics each head takes.
        self.heard = [[name] * (name in with_statistics) for name in dims] if self.late else [with_statistics]
        self.heads = nn.ModuleList(
            PooledHead(
                pooled + 2 * sum(dims[name] for name in heard), config.pooled_dropout, config.embedding_dim
            )
            for heard in self.heard
        )

    def shares(self) -> dict[str, float]:
        """Return the share of each group in the fusion; they sum to 1."""
        return dict(zip(self.groups, self.fusion.weights().tolist(), strict=True))

    def forward(
        self, frames: Mapping[str, Tensor], lengths: Tensor, whole: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode a batch.

        Args:
            frames: group -> (B, T, D), or (B, T', D) of the fine ones, 0 on padding.
            lengths: (B,), frames at 100 Hz.
            whole: the same without masks, of which the statistics are taken; None = the same.

        Returns:
            Embeddings (B, E) before they are brought to norm 1, or side by side (B, G * E) of norm 1; and steps
            (B, T', W) before pooling.
        """
        counts = strided_lengths(lengths, self.stride)
        sizes = {name: counts if name in self.fine else lengths for name in self.groups}
        groups = [self.cnns[name](frames[name], sizes[name]) for name in self.groups]
        statistics = whole or frames
        if not self.late:
            steps = self._attended(self.fusion(groups), counts)
            return self._vector(0, self.pooling(steps, counts), statistics, lengths), steps
        # As one batch, of G * B clips.
        each = counts.repeat(len(groups))
        steps = self._attended(torch.cat([F.layer_norm(group, group.shape[-1:]) for group in groups]), each)
        pooled = self.pooling(steps, each).chunk(len(groups))
        shares = self.fusion.weights().to(steps)
        embeddings = [
            shares[i].sqrt() * F.normalize(self._vector(i, pooled[i], statistics, lengths), dim=1)
            for i in range(len(groups))
        ]
        return torch.cat(embeddings, 1), self.fusion(steps.chunk(len(groups)))

    def _attended(self, steps: Tensor, counts: Tensor) -> Tensor:
        """Return steps after the transformer, 0 on padding."""
        if self.transformer is not None:
            steps, _ = self.transformer(steps, counts)
        return steps * valid_mask(counts, steps.shape[1])[:, :, None]

    def _vector(self, head: int, pooled: Tensor, frames: Mapping[str, Tensor], lengths: Tensor) -> Tensor:
        """Return what a head makes of what was pooled and of the statistics of its groups, (B, E)."""
        parts = [pooled]
        for name in self.heard[head]:
            parts += [masked_mean(frames[name], lengths), masked_std(frames[name], lengths)]
        vector: Tensor = self.heads[head](torch.cat(parts, 1))
        return vector


def _transformer(config: GroupEncoderConfig) -> TransformerConfig:
    return TransformerConfig(
        encoder_layers=config.transformer_layers,
        encoder_embed_dim=config.width,
        encoder_ffn_embed_dim=config.ffn_width,
        encoder_attention_heads=config.attention_heads,
        dropout=config.transformer_dropout,
        attention_dropout=config.transformer_dropout,
        layer_norm_first=True,
        conv_pos=config.position_kernel,
        conv_pos_groups=config.attention_heads,
    )


class Reconstruction(nn.Module):
    """Linear heads from steps to the frames under them, one per group.

    Args:
        dims: group -> D.
        width: W.
        stride: frames per step.
    """

    def __init__(self, dims: Mapping[str, int], width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.heads = nn.ModuleDict({name: nn.Linear(width, stride * dim) for name, dim in dims.items()})

    def forward(self, steps: Tensor) -> dict[str, Tensor]:
        """Return group -> (B, T' * stride, D) of steps (B, T', W)."""
        return {
            name: head(steps).unflatten(2, (self.stride, -1)).flatten(1, 2)
            for name, head in self.heads.items()
        }


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, vectors: Tensor) -> Tensor:
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(vectors: Tensor) -> Tensor:
    """Return the vectors; their gradient changes sign on its way back (Ganin and Lempitsky 2015, equation 9)."""
    found: Tensor = _Reversal.apply(vectors)  # type: ignore[no-untyped-call]
    return found
