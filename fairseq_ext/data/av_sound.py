"""Sound of a clip as stacked filterbank frames, one per picture.

26 bands, 25 ms windows, 10 ms steps, 4 frames stacked to one at 25 Hz: the input of AV-HuBERT (Shi et al. 2022, section
4.1), 104 numbers. The four windows of picture t are centred 5, 15, 25 and 35 ms after it appears, symmetrically in its
40 ms. Every frame is brought to mean 0 and variance 1, as published: level and gain do not matter.

Shapes: S samples, T frames at 25 Hz.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..modules.spectral import MelSpectrogram, power_to_db
from .av_rows import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

NUM_BANDS, STACKED = 26, 4
NUM_FEATURES = NUM_BANDS * STACKED
_HOP = SAMPLES_PER_FRAME // STACKED


class StackedFilterbank:
    """A converter of waveforms to stacked frames."""

    def __init__(self) -> None:
        self._mel = MelSpectrogram(SAMPLE_RATE_HZ, NUM_BANDS)

    @torch.no_grad()
    def __call__(self, waveform: Tensor, num_frames: int) -> Tensor:
        """Compute the frames (T, 104) of the pictures of a clip.

        Args:
            waveform: (S,), full scale = 1; sound that is missing at the end is silence, what is beyond is not used.
            num_frames: T.
        """
        size = num_frames * SAMPLES_PER_FRAME
        fitted = F.pad(waveform[:size], (0, max(0, size - len(waveform))))
        power, _ = self._mel(fitted[None, _HOP // 2 :])  # centres half a step late
        levels = power_to_db(power[0]).view(num_frames, NUM_FEATURES)
        return F.layer_norm(levels, (NUM_FEATURES,))
