"""Frames of chosen layers of an encoder, in one pass: the way to them of features, probes and embeddings.

Shapes: B batch, S samples, T frames, D width of the encoder, L its layers.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import Encoder
from .layer_sum import LayerSum
from .padding import clip_lengths, normalize_clips
from .speech_encoder import EncoderOutput

# Stands among the numbers of layers for their sum with trained weights.
WEIGHTED = -1


class EncoderLayers(nn.Module):
    """Chosen layers of an encoder.

    Args:
        encoder: the network.
        layers: numbers of the layers: 0 = what enters the first one, 1 = what the first gives, and so on; L + 1 = the
            last one after the norm above it, where there is one (large models, Whisper); `WEIGHTED`.
        normalize: whether the encoder expects clips of mean 0 and variance 1.
        layer_sum: the sum that `WEIGHTED` stands for; None = there is none.
    """

    def __init__(
        self, encoder: Encoder, layers: Sequence[int], normalize: bool, layer_sum: LayerSum | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.layers, self.normalize, self.layer_sum = (
            encoder,
            tuple(layers),
            normalize,
            layer_sum,
        )

    def forward(
        self, source: Tensor, padding_mask: Tensor | None = None, silent_frames: int = 0
    ) -> tuple[list[Tensor], Tensor]:
        """Encode clips (B, S), each between `silent_frames` frames of silence, which are not returned.

        Returns frames (B, T, D) of each chosen layer, float32, and the numbers (B,) of valid ones.
        """
        if self.normalize:
            source = normalize_clips(source, padding_mask)
        if silent_frames == 0:
            output = self.encoder(source, padding_mask, return_hidden=True)
            return self._chosen(output), output.lengths
        lengths = clip_lengths(source, padding_mask)
        heard = with_silence(source, lengths, silent_frames * self.encoder.hop_samples)
        own = self.encoder.frame_lengths(lengths)
        stretch = slice(silent_frames, silent_frames + int(own.max()))
        return [frames[:, stretch] for frames in self._chosen(self.encoder(*heard, return_hidden=True))], own

    def _chosen(self, output: EncoderOutput) -> list[Tensor]:
        by_number = dict(enumerate([*output.hidden, output.frames]))
        if WEIGHTED in self.layers:
            assert self.layer_sum is not None
            by_number[WEIGHTED] = self.layer_sum(output.hidden)
        return [by_number[layer].float() for layer in self.layers]


def with_silence(source: Tensor, lengths: Tensor, num_samples: int) -> tuple[Tensor, Tensor]:
    """Put zeros before and after clips (B, S); return (B, S + 2 * num_samples) and its mask, True on padding.

    The zeros belong to the clips: the encoder sees them.
    """
    position = torch.arange(source.shape[1], device=source.device)
    source = source.masked_fill(position >= lengths[:, None], 0.0)
    source = F.pad(source, (num_samples, num_samples))
    position = torch.arange(source.shape[1], device=source.device)
    return source, position >= (lengths + 2 * num_samples)[:, None]


@torch.no_grad()
def trained_sum(scores: Tensor, normalize: bool) -> LayerSum:
    """Return a sum over layers with trained weights, given before the softmax."""
    found = LayerSum(len(scores), normalize)
    found.scores.copy_(scores)
    return found.requires_grad_(False)
