"""Vectors of clips from the layers of a frozen encoder, for probes that choose among them.

A clip may be divided into equal parts, whose means keep the order of its sounds, and be heard between stretches of
silence, as Whisper heard its training recordings: windows of 30 s, mostly padded. Only frames of the clip itself count.

Shapes: B batch, S samples, T frames, D width of the encoder.
"""

from collections.abc import Sequence
from itertools import groupby, product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .encoder_layers import EncoderLayers
from .pooling import masked_std


class Candidate(NamedTuple):
    """One way to embed a clip, among which a probe chooses.

    Attributes:
        pad_s: silence before the clip and after it, s.
        layer: number of the layer, 0 = what enters the first one.
        parts: number of parts that the clip is divided into.
    """

    pad_s: float
    layer: int
    parts: int


class LayerStatistics(nn.Module):
    """Of the frames of each layer, the mean of each part of a clip, and the deviation over the whole.

    Args:
        encoder: the layers.
        parts: numbers of parts that a clip is divided into; each layer is taken with each number.
        pads_s: lengths of the silence before and after a clip, s, rounded to whole frames; the encoder runs once for
            each.
        sample_rate_hz: sample rate of the encoder, Hz.
    """

    def __init__(
        self,
        encoder: EncoderLayers,
        parts: Sequence[int],
        pads_s: Sequence[float] = (0.0,),
        sample_rate_hz: int = 16_000,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        hop_s = encoder.encoder.hop_samples / sample_rate_hz
        self.pad_frames = {pad_s: round(pad_s / hop_s) for pad_s in pads_s}
        self.candidates = tuple(Candidate(*c) for c in product(self.pad_frames, encoder.layers, parts))

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of what the embedding holds of each candidate."""
        return tuple((candidate.parts + 1) * self.encoder.encoder.out_dim for candidate in self.candidates)

    @torch.no_grad()
    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        """Embed clips (B, S): "embedding" (B, sum of widths), one candidate after another; other entries are None."""
        found = []
        for pad_s, of_pad in groupby(self.candidates, lambda candidate: candidate.pad_s):
            by_layer, lengths = self.encoder(source, padding_mask, self.pad_frames[pad_s])
            frames = dict(zip(self.encoder.layers, by_layer, strict=True))
            for candidate in of_pad:
                of_layer = frames[candidate.layer]
                found += [part_means(of_layer, lengths, candidate.parts), masked_std(of_layer, lengths)]
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
