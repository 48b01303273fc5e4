"""Vectors of clips from the layers of a frozen encoder, for probes that choose among the layers.

Shapes: B batch, S samples, T frames, D width of the encoder, L layers that are taken.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .encoders import Encoder
from .padding import normalize_clips
from .pooling import masked_mean, masked_std


class LayerStatistics(nn.Module):
    """Mean and deviation over time of the frames of each layer.

    Args:
        encoder: the network.
        layers: numbers of the layers, 0 = what enters the first one.
        normalize: whether the encoder expects clips of mean 0 and variance 1.
    """

    def __init__(self, encoder: Encoder, layers: Sequence[int], normalize: bool) -> None:
        super().__init__()
        self.encoder, self.layers, self.normalize = encoder, tuple(layers), normalize

    @torch.no_grad()
    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        """Embed clips (B, S): "embedding" (B, L * 2 D), layer after layer; "logits" and "projection" are None."""
        if self.normalize:
            source = normalize_clips(source, padding_mask)
        output = self.encoder(source, padding_mask, return_hidden=True)
        hidden = [output.hidden[layer].float() for layer in self.layers]
        parts = [pool(frames, output.lengths) for frames in hidden for pool in (masked_mean, masked_std)]
        return {"embedding": torch.cat(parts, 1), "logits": None, "projection": None}
