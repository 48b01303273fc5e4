"""Collate recordings to a padded batch.

Shapes: B batch, S samples of the longest recording.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_waveforms(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad with zeros at the end.

    Args:
        waveforms: B tensors (S_i,).

    Returns:
        (B, S) waveforms and (B, S) bool, True = padding.
    """
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    source = torch.nn.utils.rnn.pad_sequence(list(waveforms), batch_first=True)  # (B, S)
    padding_mask = torch.arange(source.shape[1])[None, :] >= lengths[:, None]
    return source, padding_mask
