"""Statistics of the frames of a recording that come in pieces, for embeddings of recordings of any length.

The deviation of joined pieces follows from theirs (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise
algorithm for computing sample variances", equation 2.1), so windows give the statistics of all their frames exactly.

Shapes: B batch, T frames, D width, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .padding import valid_mask

POOLINGS = ("mean", "max", "first", "last", "std")


@dataclass(frozen=True)
class FrameStatistics:
    """Statistics (L, D), float64, of `count` frames of each layer.

    Attributes:
        squares: sum of the squared distances from the mean.
    """

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    max: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    def joined(self, later: "FrameStatistics") -> "FrameStatistics":
        """Return the statistics of these frames and later ones; one of them may have none."""
        if not (self.count and later.count):
            return self if self.count else later
        count = self.count + later.count
        step = later.mean - self.mean
        return FrameStatistics(
            count=count,
            mean=self.mean + step * (later.count / count),
            squares=self.squares + later.squares + step**2 * (self.count * later.count / count),
            max=np.maximum(self.max, later.max),
            first=self.first,
            last=later.last,
        )

    def pooled(self, poolings: Sequence[str]) -> NDArray[np.float32]:
        """Return poolings side by side, (L, poolings * D); the deviation is that of the frames, without a floor."""
        found = {"std": np.sqrt(self.squares / max(self.count, 1)), **vars(self)}
        return np.concatenate([found[name] for name in poolings], axis=1).astype(np.float32)


@torch.no_grad()
def frame_statistics(layers: Sequence[Tensor], lengths: Tensor) -> list[FrameStatistics]:
    """Return the statistics of each clip of a padded batch, by layers of (B, T, D); lengths (B,) count valid frames."""
    valid = valid_mask(lengths, layers[0].shape[1])[:, :, None]
    last = (lengths - 1).clamp(min=0)[:, None, None]
    count = lengths.clamp(min=1)[:, None]
    parts = []
    for frames in layers:
        mean = frames.masked_fill(~valid, 0.0).sum(1) / count
        squares = (frames - mean[:, None]).masked_fill(~valid, 0.0).square().sum(1)
        largest = frames.masked_fill(~valid, -torch.inf).amax(1)
        final = frames.gather(1, last.expand(-1, 1, frames.shape[2]))[:, 0]
        parts.append(torch.stack([mean, squares, largest, frames[:, 0], final], 1))  # (B, 5, D)
    table = torch.stack(parts, 2).cpu().numpy().astype(np.float64)  # (B, 5, L, D)
    return [FrameStatistics(int(size), *clip) for size, clip in zip(lengths.tolist(), table, strict=True)]
