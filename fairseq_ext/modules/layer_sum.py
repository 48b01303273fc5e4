"""A sum over the layers of an encoder with trained weights.

Yang et al. 2021, "SUPERB: Speech processing Universal PERformance Benchmark", section 3.

Shapes: B batch, T frames, D width of the encoder, L its layers.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What a model may take of an encoder.
LAYERS = ("weighted", "last")


class LayerSum(nn.Module):
    """Sum of the frames of L layers; the weights are a softmax, equal at the start.

    With `normalize` each frame of each layer is first brought to mean 0 and variance 1.
    """

    def __init__(self, num_layers: int, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = normalize
        self.scores = nn.Parameter(torch.zeros(num_layers))

    def weights(self) -> Tensor:
        """Return the layers' shares (L,), which sum to 1."""
        return self.scores.float().softmax(0)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Add up L layers of (B, T, D)."""
        if self.normalize:
            layers = [F.layer_norm(frames, frames.shape[-1:]) for frames in layers]
        # One after the other: a stack would hold all layers a second time.
        total = torch.zeros_like(layers[0])
        for weight, frames in zip(self.weights().to(total), layers, strict=True):
            total = total + weight * frames
        return total
