"""Vectors of clips from the layers of a frozen encoder, for probes that choose among them.

A clip may be divided into equal parts, whose means keep the order of its sounds.

Shapes: B batch, S samples, T frames, D width of the encoder.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from .encoder_layers import EncoderLayers
from .pooling import masked_std


class LayerStatistics(nn.Module):
    """Of the frames of each layer, the mean of each part of a clip, and the deviation over the whole.

    Args:
        encoder: the layers.
        parts: numbers of parts that a clip is divided into; each layer is taken with each number.
    """

    def __init__(self, encoder: EncoderLayers, parts: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.candidates = tuple(product(encoder.layers, parts))

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of what the embedding holds of each candidate, a layer with a number of parts."""
        return tuple((parts + 1) * self.encoder.encoder.out_dim for _, parts in self.candidates)

    @torch.no_grad()
    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        """Embed clips (B, S): "embedding" (B, sum of widths), one candidate after another; other entries are None."""
        by_layer, lengths = self.encoder(source, padding_mask)
        frames = dict(zip(self.encoder.layers, by_layer, strict=True))
        found = []
        for layer, parts in self.candidates:
            found += [part_means(frames[layer], lengths, parts), masked_std(frames[layer], lengths)]
        return {"embedding": torch.cat(found, 1), "logits": None, "projection": None}


def part_means(frames: Tensor, lengths: Tensor, num_parts: int) -> Tensor:
    """Return the means (B, parts * D) of equal parts of the valid frames of (B, T, D).

    A part of a clip that has fewer frames than parts is the nearest frame; that of a clip without frames is 0.
    """
    bounds = torch.arange(num_parts + 1, device=lengths.device)[None] * lengths[:, None] // num_parts
    first = bounds[:, :-1].minimum((lengths[:, None] - 1).clamp(min=0))  # (B, parts)
    last = bounds[:, 1:].maximum(first + 1).minimum(lengths[:, None])
    position = torch.arange(frames.shape[1], device=lengths.device)
    inside = (position >= first[:, :, None]) & (position < last[:, :, None])  # (B, parts, T)
    shares = inside / inside.sum(2, keepdim=True).clamp(min=1)
    return (shares @ frames).flatten(1)
