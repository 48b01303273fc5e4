"""Compute the features of a speech encoder, frame by frame, for `features.dump`.

Shapes: S samples, T frames, D width of the encoder.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.encoder import load_encoder_layers
from ..modules.pretrained_encoder import USUAL_RATE_HZ


class EncoderFrames:
    """A layer of a pre-trained or fine-tuned encoder, ours or fairseq's.

    Layer 0 is what enters the first transformer layer, 1 what the first gives, and so on.

    Raises:
        ValueError: no such layer or device, or not an encoder's checkpoint.
    """

    def __init__(self, path: Path, layer: int, device: str = "cpu") -> None:
        self._layers, source = load_encoder_layers(path, [layer], device)
        self.sample_rate_hz = int(source.sample_rate_hz or USUAL_RATE_HZ)
        self._device = device

    @torch.no_grad()
    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the encoder on a recording (S,): (T, D), no frames where it is too short for one."""
        source = torch.from_numpy(waveform)[None].to(self._device)  # (1, S)
        encoder = self._layers.encoder
        if int(encoder.frame_lengths(torch.tensor([source.shape[1]]))[0]) < 1:
            return np.zeros((0, encoder.out_dim), dtype=np.float32)
        (of_layer,), _ = self._layers(source)
        frames: NDArray[np.float32] = of_layer[0].cpu().numpy()
        return frames
