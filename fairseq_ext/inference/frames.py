"""Compute the features of a speech encoder, frame by frame, for `features.dump`.

Shapes: S samples, T frames, D width of the encoder.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.devices import check_device
from ..checkpoints.fairseq_file import USUAL_RATE_HZ
from ..modules.encoders import EncoderConfig, build_encoder
from ..modules.padding import normalize_clips
from ..modules.pretrained_encoder import load_encoder, read_encoder


class EncoderFrames:
    """A layer of a pre-trained or fine-tuned encoder, ours or fairseq's.

    Layer 0 is what enters the first transformer layer, 1 what the first gives, and so on.

    Raises:
        ValueError: no such layer or device, or not an encoder's checkpoint.
    """

    def __init__(self, path: Path, layer: int, device: str = "cpu") -> None:
        check_device(device)
        source = read_encoder(path)
        self.sample_rate_hz = int(source.sample_rate_hz or USUAL_RATE_HZ)
        self._normalize = source.normalize
        config = EncoderConfig(**source.shape)
        if not 0 <= layer <= config.encoder_layers:
            raise ValueError(
                f"{path}: its encoder has layers 0 to {config.encoder_layers}, not {layer}; choose one"
            )
        encoder = build_encoder(config)
        load_encoder(encoder, source)
        self._encoder, self._layer, self._device = encoder.eval().to(device), layer, device

    @torch.no_grad()
    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the encoder on a recording (S,): (T, D), no frames where it is too short for one."""
        source = torch.from_numpy(waveform)[None].to(self._device)  # (1, S)
        if int(self._encoder.frame_lengths(torch.tensor([source.shape[1]]))[0]) < 1:
            return np.zeros((0, self._encoder.out_dim), dtype=np.float32)
        if self._normalize:
            source = normalize_clips(source, None)
        output = self._encoder(source, return_hidden=True)
        frames: NDArray[np.float32] = output.hidden[self._layer][0].float().cpu().numpy()
        return frames
