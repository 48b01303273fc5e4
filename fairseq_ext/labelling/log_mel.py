"""Log-mel spectrograms for Whisper by faster-whisper's extractor, without computing the padding up to 30 s.

Shapes: `(S,)` samples at 16 kHz, `(M, 3000)` frames of 10 ms, M = 80 or 128.
"""

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional
from .engine import Waveform

NUM_FRAMES = 3000
_HOP = 160
_MARGIN = 400  # samples of an analysis window; frames further out hold padding only


class LogMel:
    """A log-mel extractor that gives what a window padded with silence to 30 s, Whisper's training input, would."""

    def __init__(self, num_mels: int) -> None:
        self._extract = import_optional("faster_whisper.feature_extractor").FeatureExtractor(
            feature_size=num_mels
        )
        self.num_mels = num_mels

    def __call__(self, window: Waveform) -> NDArray[np.float32]:
        """Return (M, 3000) float32: the frames that overlap a window (S,), and the others, which are all alike."""
        frames = self._extract(window, padding=_MARGIN + _HOP)[:, :NUM_FRAMES]
        # The extractor clips values to 8 below the loudest (2 after scaling by 1/4), and digital silence lies below
        # that; a window of nothing but silence is at log10(1e-10), scaled.
        silence = max(frames.max() - 2.0, (-10.0 + 4.0) / 4.0)
        padded = np.full((self.num_mels, NUM_FRAMES), silence, dtype=np.float32)
        padded[:, : frames.shape[1]] = frames
        return padded
