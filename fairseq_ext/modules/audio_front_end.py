"""Stacked filterbank frames to vectors: the audio front end of AV-HuBERT, one matrix (Shi et al. 2022, section 3.1).

Shapes: B clips, A features of a frame, T frames at 25 Hz, D width.
"""

from torch import Tensor, nn

from .products import Linear


class AudioFrontEnd(nn.Module):
    """A projection of each frame.

    Args:
        num_features: A.
        out_dim: D.
    """

    def __init__(self, num_features: int, out_dim: int) -> None:
        super().__init__()
        self.proj = Linear(num_features, out_dim)
        self.out_dim = out_dim

    def forward(self, audio: Tensor) -> Tensor:
        """Project audio (B, A, T): (B, T, D)."""
        result: Tensor = self.proj(audio.transpose(1, 2))
        return result
