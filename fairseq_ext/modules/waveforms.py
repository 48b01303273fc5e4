"""Normalise waveforms before the first layer.

Shapes: B batch, S samples.
"""

import torch
from torch import Tensor

# Default of torch's layer norm, by which fairseq normalised the waveforms that wav2vec 2.0 was pre-trained on.
EPSILON = 1e-5


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
