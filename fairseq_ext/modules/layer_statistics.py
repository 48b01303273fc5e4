"""Vectors of clips from the layers of a frozen encoder, for probes that choose among them.

A clip may be divided into equal parts, whose means keep the order of its sounds, and be heard between stretches of
silence, as Whisper heard its training recordings: windows of 30 s, mostly padded. Only frames of the clip itself count.

Shapes: B batch, S samples, T frames, D width of the encoder.
"""

from collections.abc import Sequence
from itertools import groupby, product
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import Encoder
from .padding import normalize_clips
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
        encoder: the network.
        layers: numbers of the layers, 0 = what enters the first one.
        parts: numbers of parts that a clip is divided into; each layer is taken with each number.
        normalize: whether the encoder expects clips of mean 0 and variance 1.
        pads_s: lengths of the silence before and after a clip, s, rounded to whole frames; the encoder runs once for
            each.
        sample_rate_hz: sample rate of the encoder, Hz.
    """

    def __init__(
        self,
        encoder: Encoder,
        layers: Sequence[int],
        parts: Sequence[int],
        normalize: bool,
        pads_s: Sequence[float] = (0.0,),
        sample_rate_hz: int = 16_000,
    ) -> None:
        super().__init__()
        self.encoder, self.normalize = encoder, normalize
        self.pad_frames = {pad_s: round(pad_s * sample_rate_hz / encoder.hop_samples) for pad_s in pads_s}
        self.candidates = tuple(Candidate(*chosen) for chosen in product(self.pad_frames, layers, parts))

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of what the embedding holds of each candidate."""
        return tuple((candidate.parts + 1) * self.encoder.out_dim for candidate in self.candidates)

    @torch.no_grad()
    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        """Embed clips (B, S): "embedding" (B, sum of widths), one candidate after another; other entries are None."""
        if self.normalize:
            source = normalize_clips(source, padding_mask)
        found = []
        for pad_s, of_pad in groupby(self.candidates, lambda candidate: candidate.pad_s):
            hidden, lengths = self._between_silence(source, padding_mask, self.pad_frames[pad_s])
            for candidate in of_pad:
                frames = hidden[candidate.layer].float()
                found += [part_means(frames, lengths, candidate.parts), masked_std(frames, lengths)]
        return {"embedding": torch.cat(found, 1), "logits": None, "projection": None}

    def _between_silence(
        self, source: Tensor, padding_mask: Tensor | None, num_frames: int
    ) -> tuple[list[Tensor], Tensor]:
        """Encode (B, S) with silence on both sides; return the frames of the clips, by layer, and their numbers."""
        if num_frames == 0:
            output = self.encoder(source, padding_mask, return_hidden=True)
            return output.hidden, output.lengths
        lengths = clip_lengths(source, padding_mask)
        output = self.encoder(
            *with_silence(source, lengths, num_frames * self.encoder.hop_samples), return_hidden=True
        )
        own = self.encoder.frame_lengths(lengths)
        stretch = slice(num_frames, num_frames + int(own.max()))
        return [frames[:, stretch] for frames in output.hidden], own


def clip_lengths(source: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Return the numbers (B,) of samples of clips (B, S)."""
    if padding_mask is None:
        return torch.full((len(source),), source.shape[1], device=source.device)
    return (~padding_mask).sum(1)


def with_silence(source: Tensor, lengths: Tensor, num_samples: int) -> tuple[Tensor, Tensor]:
    """Put zeros before and after clips (B, S); return (B, S + 2 * num_samples) and its mask, True on padding.

    The zeros belong to the clips: the encoder sees them.
    """
    position = torch.arange(source.shape[1], device=source.device)
    source = source.masked_fill(position >= lengths[:, None], 0.0)
    source = F.pad(source, (num_samples, num_samples))
    position = torch.arange(source.shape[1], device=source.device)
    return source, position >= (lengths + 2 * num_samples)[:, None]


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
