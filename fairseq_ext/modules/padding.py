"""Padded batches of clips: make one, tell padding from frames, normalise the clips in it.

Shapes: B batch, S samples, T positions of any kind.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# Default of torch's layer norm, by which fairseq normalised the waveforms that wav2vec 2.0 was pre-trained on.
EPSILON = 1e-5


def pad_waveforms(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad B waveforms (S_i,) with zeros at the end: (B, S), and (B, S) bool, True = padding."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    source = torch.nn.utils.rnn.pad_sequence(list(waveforms), batch_first=True)  # (B, S)
    return source, ~valid_mask(lengths, source.shape[1])


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Return (B, T) bool, True below the lengths (B,); `size` is T."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def strided_lengths(lengths: Tensor, stride: int) -> Tensor:
    """Return the numbers of steps (B,) that cover clips of (B,) frames, the last of them perhaps in part.

    They are also the lengths after a convolution with this stride and padding of half its odd kernel.
    """
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")


def clip_lengths(source: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Return the numbers (B,) of samples of clips (B, S); mask (B, S) bool, True = padding, None = no padding."""
    if padding_mask is None:
        return torch.full((len(source),), source.shape[1], device=source.device)
    return (~padding_mask).sum(1)


def normalize_clips(source: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Bring every clip to mean 0 and variance 1, as the layer-norm (large) wav2vec 2.0 models expect.

    Args:
        source: (B, S) waveforms.
        padding_mask: (B, S) bool, True = padding, which does not count; None = no padding.

    Returns:
        (B, S), float32, 0 on padding.
    """
    source = source.float()
    if padding_mask is None:
        return torch.nn.functional.layer_norm(source, source.shape[1:], eps=EPSILON)
    valid = ~padding_mask
    count = valid.sum(1, keepdim=True).clamp(min=1)
    centred = (source - (source * valid).sum(1, keepdim=True) / count) * valid
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * (variance + EPSILON).rsqrt()


def mean_square(frames: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean square of the valid frames (B, T, C), float32.

    `lengths` (B,) are in frames; None = all.
    """
    squares = frames.float().square()
    if lengths is None:
        return squares.mean()
    valid = valid_mask(lengths, frames.shape[1])[:, :, None]
    return (squares * valid).sum() / (lengths.sum().clamp(min=1) * frames.shape[2])
