"""Noise as loud as a clip's own background, in the place of silence.

Digital silence does not occur in recordings of real rooms, and networks trained on these react to it: on a wav2vec 2.0
encoder of random weights with layer-normalised convolutions, the step from noise 60 dB below the clip to silence moves
a log probability by tens of nats.

Legend: S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The background level of a recording is that of the quietest tenth of its frames of this length.
QUIET_SHARE, FRAME_S = 0.1, 0.02


def background_noise(waveform: Tensor, sample_rate_hz: int, floor_db: float | None = None) -> Tensor:
    """Return white noise at the level of a clip's background, (1, S); the same in every call.

    Args:
        waveform: clip, (1, S).
        sample_rate_hz: sample rate of the waveform, Hz.
        floor_db: least level of the noise relative to the clip, dB; None = no limit, and a clip with digital
            silence gives silence.
    """
    size = min(waveform.shape[1], max(1, round(FRAME_S * sample_rate_hz)))
    level = waveform[0].unfold(0, size, size).square().mean(1).sqrt().quantile(QUIET_SHARE)
    if floor_db is not None:
        level = torch.maximum(level, waveform.square().mean().sqrt() * 10 ** (floor_db / 20))
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0))
    return level * noise.to(waveform)
