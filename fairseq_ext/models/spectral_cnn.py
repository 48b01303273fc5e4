"""`ext_spectral_cnn`: residual 2-D convolutions, the maximum over frequency, 1-D blocks over time.

The best compact model for unseen speakers (recipe `spoken_digits`). Small kernels that slide over frequency see the
same formant pattern wherever a vocal tract puts it, and the maximum over the remaining bands lets it move by whole
bands.

Shapes: B batch, T frames, F mel bands, T' steps of two frames, F' bands left, W channels.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.models import register_model
from torch import Tensor, nn

from ..modules.padding import strided_lengths, valid_mask
from ..modules.pooling import AttentiveStatisticsPooling
from ..modules.residual import ResidualBlock1d, ResidualBlock2d
from ._utterance_model import UtteranceModel, UtteranceModelConfig


@dataclass
class SpectralCnnConfig(UtteranceModelConfig):
    """Keys of the time-frequency convolutional network."""

    width_1: int = field(
        default=16, metadata={"help": "channels of the first stage, at half the bands and frames"}
    )
    width_2: int = field(
        default=32, metadata={"help": "channels of the second stage, at a quarter of the bands"}
    )
    width_3: int = field(default=64, metadata={"help": "channels of the third stage and after it"})
    num_blocks: int = field(default=2, metadata={"help": "1-D residual blocks; block i has dilation 2 ** i"})
    encoder_dropout: float = field(default=0.1, metadata={"help": "dropout inside each block; a probability"})


class SpectralCnnEncoder(nn.Module):
    """Three stages in two dimensions, maximum over frequency, temporal blocks, attentive statistics."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        one, two, three = config.width_1, config.width_2, config.width_3
        self.stem = _conv(1, one, kernel_size=5, stride=(2, 2))
        self.stage_1 = ResidualBlock2d(one, config.encoder_dropout)
        self.down_1 = _conv(one, two, kernel_size=3, stride=(1, 2))
        self.stage_2 = ResidualBlock2d(two, config.encoder_dropout)
        self.down_2 = _conv(two, three, kernel_size=3, stride=(1, 2))
        self.mix = nn.Sequential(nn.Conv1d(three, three, 1, bias=False), nn.BatchNorm1d(three), nn.ReLU())
        self.blocks = nn.ModuleList(
            ResidualBlock1d(three, 5, 2**i, config.encoder_dropout) for i in range(config.num_blocks)
        )
        self.pooling = AttentiveStatisticsPooling(three)
        self.out_dim = self.pooling.out_dim(three)
        # A fifth faster on a CPU, and no compilation for most new lengths.
        for planes in (self.stem, self.stage_1, self.down_1, self.stage_2, self.down_2):
            planes.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch; what lies beyond a clip's end is kept at 0 at every layer.

        Args:
            features: (B, T, F), 0 on padding.
            lengths: (B,), frames.

        Returns:
            (B, 3 W).
        """
        planes = self.stem(features[:, None])  # (B, W, T', F')
        lengths = strided_lengths(lengths, 2)
        valid = valid_mask(lengths, planes.shape[2])[:, None, :]  # (B, 1, T')
        planes = self.stage_1(planes * valid[..., None], valid[..., None])
        planes = self.stage_2(self.down_1(planes) * valid[..., None], valid[..., None])
        frames = self.mix(self.down_2(planes).amax(3)) * valid  # (B, W, T')
        for block in self.blocks:
            frames = block(frames, valid)
        result: Tensor = self.pooling(frames.transpose(1, 2), lengths)
        return result


def _conv(num_in: int, num_out: int, kernel_size: int, stride: tuple[int, int]) -> nn.Module:
    convolution = nn.Conv2d(num_in, num_out, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(num_out), nn.ReLU())


@register_model("ext_spectral_cnn", dataclass=SpectralCnnConfig)
class SpectralCnn(UtteranceModel):
    """Time-frequency convolutional classifier."""

    @classmethod
    def make_encoder(cls, config: Any, num_features: int) -> SpectralCnnEncoder:
        """See `UtteranceModel.make_encoder`."""
        return SpectralCnnEncoder(config)
