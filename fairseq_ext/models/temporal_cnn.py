"""`ext_temporal_cnn`: dilated residual 1-D convolutions over time, attentive statistics, linear classifier.

Shapes: B batch, T frames, F features, W width.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.models import register_model
from torch import Tensor, nn

from ..modules.padding import strided_lengths, valid_mask
from ..modules.pooling import AttentiveStatisticsPooling
from ..modules.residual import ResidualBlock1d
from ._utterance_model import UtteranceModel, UtteranceModelConfig


@dataclass
class TemporalCnnConfig(UtteranceModelConfig):
    """Keys of the temporal convolutional network."""

    width: int = field(default=64, metadata={"help": "channels of every layer"})
    kernel_size: int = field(
        default=5, metadata={"help": "taps of each convolution, odd; steps of the layer's input"}
    )
    num_blocks: int = field(default=3, metadata={"help": "residual blocks; block i has dilation 2 ** i"})
    stride: int = field(default=2, metadata={"help": "step of the first convolution, frames"})
    encoder_dropout: float = field(default=0.1, metadata={"help": "dropout inside each block; a probability"})


class TemporalCnnEncoder(nn.Module):
    """Strided convolution, dilated residual blocks, attentive statistics."""

    def __init__(self, num_features: int, config: Any) -> None:
        super().__init__()
        width = config.width
        self.stride = config.stride
        self.stem = nn.Sequential(
            nn.Conv1d(
                num_features, width, config.kernel_size, config.stride, config.kernel_size // 2, bias=False
            ),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(
            ResidualBlock1d(width, config.kernel_size, 2**i, config.encoder_dropout)
            for i in range(config.num_blocks)
        )
        self.pooling = AttentiveStatisticsPooling(width)
        self.out_dim = self.pooling.out_dim(width)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch (B, T, F), 0 on padding, of lengths (B,), frames, to (B, 3 W)."""
        frames = self.stem(features.transpose(1, 2))  # (B, W, T')
        lengths = strided_lengths(lengths, self.stride)
        valid = valid_mask(lengths, frames.shape[2])[:, None, :]
        frames = frames * valid
        for block in self.blocks:
            frames = block(frames, valid)
        result: Tensor = self.pooling(frames.transpose(1, 2), lengths)
        return result


@register_model("ext_temporal_cnn", dataclass=TemporalCnnConfig)
class TemporalCnn(UtteranceModel):
    """Temporal convolutional classifier."""

    @classmethod
    def make_encoder(cls, config: Any, num_features: int) -> TemporalCnnEncoder:
        """See `UtteranceModel.make_encoder`."""
        return TemporalCnnEncoder(num_features, config)
