"""The check that a map depends on what was learnt (Adebayo et al. 2018, "Sanity checks for saliency maps")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..optional import import_optional
from .maps import AttributionMap


@contextmanager
def randomised_weights(module: nn.Module, seed: int) -> Iterator[None]:
    """Shuffle the entries of each parameter, and restore them at the end.

    Every parameter keeps its distribution, so that activations stay in range whatever the layers are; a new
    initialisation would need the rule of each layer.
    """
    generator = torch.Generator().manual_seed(seed)
    saved = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]
    try:
        with torch.no_grad():
            for parameter, before in saved:
                order = torch.randperm(before.numel(), generator=generator).to(before.device)
                parameter.copy_(before.flatten()[order].view_as(before))
        yield
    finally:
        with torch.no_grad():
            for parameter, before in saved:
                parameter.copy_(before)


def map_correlation(a: AttributionMap, b: AttributionMap) -> float:
    """Compute Spearman's rank correlation, -1 to 1, of the positive values of two maps of one clip; 0 when one is flat.

    Frames where both are exactly 0 are left out: they lie outside the receptive field, trained or not.

    Raises:
        ValueError: the maps have different numbers of frames.
    """
    if a.values.shape != b.values.shape:
        raise ValueError(
            f"maps: expected equally many frames, found {len(a.values)} and {len(b.values)}; compare one clip"
        )
    return rank_correlation(a.values, b.values)


def rank_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Compute `map_correlation` of the values of two maps, of one shape with any axes."""
    seen = (a != 0) | (b != 0)
    first, second = np.maximum(a, 0)[seen], np.maximum(b, 0)[seen]
    if not seen.any() or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(import_optional("scipy.stats").spearmanr(first, second).statistic)
