"""Probabilities of CTC's symbols as fairseq's criterions and decoders take them.

Shapes: B clips, T frames, V symbols.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..data.labels import BLANK


def frame_probabilities(net_output: Mapping[str, Tensor], log_probs: bool) -> Tensor:
    """Return the probabilities (T, B, V), float32, or their logarithms; beyond a clip's end the blank is certain.

    `net_output` has "logits" (B, T, V) and "padding_mask" (B, T) bool, True = padding.
    """
    certain = torch.full_like(net_output["logits"], float("-inf"))
    certain[..., BLANK] = 0.0
    padding = net_output["padding_mask"][:, :, None]
    logits = torch.where(padding, certain, net_output["logits"]).float().transpose(0, 1)  # (T, B, V)
    return logits.log_softmax(2) if log_probs else logits.softmax(2)
