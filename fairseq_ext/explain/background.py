"""What stands in for "no sound": noise as loud as a clip's own background.

Digital silence is a sound that networks trained on real rooms have never heard. They answer to it: on a wav2vec 2.0
encoder of random weights with layer-normalised convolutions, what happens between a noise 60 dB below the clip and
silence moves a log probability by tens of nats.

Legend: S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The background of a recording: the level of its quietest tenth, in frames of this length.
QUIET_SHARE, FRAME_S = 0.1, 0.02


def background_noise(waveform: Tensor, sample_rate_hz: int, floor_db: float | None = None) -> Tensor:
    """White noise at the level of a clip's background; the same at every call.

    Args:
        waveform: (1, S).
        sample_rate_hz: of the waveform, Hz.
        floor_db: least level of the noise, relative to the whole clip's, dB; None = none, and a clip with digital
            silence in it gives silence.

    Returns:
        (1, S).
    """
    size = min(waveform.shape[1], max(1, round(FRAME_S * sample_rate_hz)))
    level = waveform[0].unfold(0, size, size).square().mean(1).sqrt().quantile(QUIET_SHARE)
    if floor_db is not None:
        level = torch.maximum(level, waveform.square().mean().sqrt() * 10 ** (floor_db / 20))
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0))
    return level * noise.to(waveform)
