"""The check that a map depends on what was learnt (Adebayo et al. 2018, "Sanity checks for saliency maps").

Legend: N cases, T frames of a map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..text.scoring import Interval, bootstrap_interval
from .maps import AttributionMap
from .methods import DEFAULT_METHOD, attribute
from .network import Network
from .targets import Target


@dataclass(frozen=True)
class RandomisationScore:
    """The similarity of a trained network's maps to those of the same network with randomised weights.

    Attributes:
        correlations: Spearman's rank correlation of the two maps of each case, (N,).
        mean: mean correlation with its interval; near 1, the maps do not depend on the training.
    """

    correlations: NDArray[np.float64]
    mean: Interval


@contextmanager
def randomised_weights(module: nn.Module, seed: int) -> Iterator[None]:
    """Shuffle the entries of each parameter, and restore them at the end.

    Every parameter keeps its distribution, so that activations stay in range whatever the layers are; a new
    initialisation would need the rule of each layer.

    Args:
        module: the network.
        seed: seed of the shuffling.

    Yields:
        Nothing.
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


def randomisation_test(
    network: Network,
    module: nn.Module,
    cases: Sequence[tuple[Tensor, Target]],
    *,
    method: str = DEFAULT_METHOD,
    seed: int,
) -> RandomisationScore:
    """Compare maps before and after randomising all weights, for the same targets on the same frames.

    Args:
        network: the trained network, whose `forward` runs `module`.
        module: module whose parameters are shuffled.
        cases: N clips (1, S), each with its target.
        method: key of `METHODS`.
        seed: seed of the shuffling and the interval.

    Returns:
        The correlations. Integrated gradients may not reach completeness on random weights and raise.
    """
    trained = [attribute(network, waveform, target, method) for waveform, target in cases]
    with randomised_weights(module, seed):
        random = [attribute(network, waveform, target, method) for waveform, target in cases]
    found = np.array([map_correlation(a, b) for a, b in zip(trained, random, strict=True)])
    mean = bootstrap_interval(lambda i: float(found[i].mean()), len(found), seed=seed)
    return RandomisationScore(found, mean)


def map_correlation(a: AttributionMap, b: AttributionMap) -> float:
    """Compute Spearman's rank correlation of the positive values of two maps of one clip.

    Frames where both are exactly 0 are left out: they lie outside the receptive field, trained or not.

    Args:
        a: first map, (T,).
        b: second map, (T,).

    Returns:
        Correlation, -1 to 1; 0 when either map is flat.

    Raises:
        ValueError: the maps have different numbers of frames.
    """
    if a.values.shape != b.values.shape:
        raise ValueError(
            f"maps: expected equally many frames, found {len(a.values)} and {len(b.values)}; compare one clip"
        )
    seen = (a.values != 0) | (b.values != 0)
    first, second = (_ranks(m.positive[seen]) for m in (a, b))
    spread = float(first.std() * second.std()) if seen.any() else 0.0
    return float(np.mean((first - first.mean()) * (second - second.mean()))) / spread if spread else 0.0


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ranks; equal values get the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]
