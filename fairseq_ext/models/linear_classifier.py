"""`ext_linear_classifier`: a linear layer on a small time-normalised log-mel picture. The baseline.

Shapes: B batch, T frames, F mel bands, N time segments, M bands after averaging.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.models import register_model
from torch import Tensor, nn

from ..modules.pooling import segment_means
from ._utterance_model import UtteranceModel, UtteranceModelConfig


@dataclass
class LinearClassifierConfig(UtteranceModelConfig):
    """Keys of the linear baseline."""

    num_segments: int = field(default=10, metadata={"help": "time segments the clip is averaged over"})
    num_bands: int = field(default=20, metadata={"help": "bands the features are averaged over"})


class PictureEncoder(nn.Module):
    """Averages over N time segments and M bands; nothing is learnt here."""

    def __init__(self, num_segments: int, num_bands: int) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.num_bands = num_bands
        self.out_dim = num_segments * num_bands

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Shrink a batch (B, T, F) of lengths (B,), frames, to (B, N * M)."""
        picture = segment_means(features, lengths, self.num_segments)  # (B, N, F)
        return nn.functional.adaptive_avg_pool1d(picture, self.num_bands).flatten(1)


@register_model("ext_linear_classifier", dataclass=LinearClassifierConfig)
class LinearClassifier(UtteranceModel):
    """Linear classifier on down-sampled log-mel features."""

    @classmethod
    def make_encoder(cls, config: Any, num_features: int) -> PictureEncoder:
        """See `UtteranceModel.make_encoder`."""
        return PictureEncoder(config.num_segments, min(config.num_bands, num_features))
