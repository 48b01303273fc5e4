"""Log-mel spectrum and MFCC of every frame, for embeddings without a checkpoint.

Shapes: S samples, T frames, D features.
"""

import numpy as np

from .dump import Floats, MfccFrames, differences

__all__ = ["LogMelFrames", "MfccFrames"]


class LogMelFrames:
    """Level in 40 mel bands from 20 Hz to half the sample rate, dB under a full-scale sine's, 100 frames per second.

    First and second differences follow, dB per frame: (T, 120). Windows of 25 ms.
    """

    def __init__(self, sample_rate_hz: int = 16000) -> None:
        from ..modules.spectral import MelSpectrogram

        self.sample_rate_hz = sample_rate_hz
        self._mel = MelSpectrogram(sample_rate_hz)

    def __call__(self, waveform: Floats) -> Floats:
        """Compute the levels (T, 120) of a recording (S,), full scale = 1."""
        import torch

        from ..modules.spectral import power_to_db

        with torch.no_grad():
            levels = power_to_db(self._mel(torch.from_numpy(waveform)[None])[0][0]).numpy()  # (T, 40)
        first = differences(levels)
        return np.concatenate([levels, first, differences(first)], axis=1)
