"""Log-mel spectrograms of windows for Whisper, by faster-whisper's extractor, less what padding to 30 s costs.

Shapes: `(S,)` samples at 16 kHz, `(M, 3000)` frames of 10 ms, M = 80 or 128.
"""

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from .engine import Waveform

NUM_FRAMES = 3000
_HOP = 160
_MARGIN = 400  # samples of one analysis window: beyond, frames of padding see nothing of the sound


class LogMel:
    """Spectrograms as if a window were padded with silence up to 30 s, which is how Whisper was trained.

    Args:
        num_mels: M.
    """

    def __init__(self, num_mels: int) -> None:
        self._extract = import_optional("faster_whisper.feature_extractor").FeatureExtractor(
            feature_size=num_mels
        )
        self.num_mels = num_mels

    def __call__(self, window: Waveform) -> NDArray[np.float32]:
        """Computes the frames that hear something; all others are alike.

        Args:
            window: (S,), up to 30 s.

        Returns:
            (M, 3000) float32.
        """
        frames = self._extract(window, padding=_MARGIN + _HOP)[:, :NUM_FRAMES]
        # The extractor raises every value to 8 (two after scaling) below the loudest; digital silence is lower still,
        # unless all of it is silence, at log10(1e-10).
        silence = max(frames.max() - 2.0, (-10.0 + 4.0) / 4.0)
        padded = np.full((self.num_mels, NUM_FRAMES), silence, dtype=np.float32)
        padded[:, : frames.shape[1]] = frames
        return padded
