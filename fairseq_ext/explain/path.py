"""Integrated gradients along the straight path from a baseline, as fine as completeness asks for.

Legend: S samples, T frames, D width of a layer, N points on the path, G points in a piece of it.

The values of integrated gradients add up to the difference of the scores at the two ends (completeness). Speech
networks normalise: halving the level changes nothing, so that along a path that starts near silence all happens
there and evenly spaced points miss it. Here a piece of the path whose values do not add up to its own
difference is halved, worst first, until all of them together do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NUM_PIECES = 4
# Gauss-Legendre points in each piece: exact for polynomials of degree 5.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)
# A difference of scores below this does not set the scale of the allowed error: nats, or logits.
LEAST_DIFFERENCE = 0.1

# From points (N, ...) to scores (N,) and their gradients (N, ...).
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


class IncompleteError(ValueError):
    """The values do not add up to the difference of scores, however finely the path was divided."""


@dataclass(frozen=True)
class PathIntegral:
    """The gradient's mean along a path.

    Attributes:
        gradient: the mean, of the path's shape.
        values: the attribution: mean gradient times the path.
        difference: of the scores, end minus start.
        residual: | sum of the values - difference | / | difference |, but for tiny differences.
        num_points: where the gradient was evaluated.
    """

    gradient: Tensor
    values: Tensor
    difference: float
    residual: float
    num_points: int


@dataclass(frozen=True)
class _Piece:
    low: float
    high: float
    score_low: float
    score_high: float
    gradient: Tensor  # mean along the piece
    error: float  # of completeness within the piece


def integrate_path(
    evaluate: Evaluate, start: Tensor, end: Tensor, *, tolerance: float = 0.05, max_points: int = 256
) -> PathIntegral:
    """Integrates a gradient along a straight line (Sundararajan et al. 2017, equation 1).

    Args:
        evaluate: see `Evaluate`.
        start: the baseline, any shape.
        end: the input, same shape.
        tolerance: of completeness, as a share of the difference of scores.
        max_points: gradients evaluated before giving up.

    Returns:
        The integral.

    Raises:
        IncompleteError: completeness is not reached.
    """
    line = _Line(evaluate, start, end - start)
    pieces = line.pieces(np.linspace(0.0, 1.0, NUM_PIECES + 1))
    difference = pieces[-1].score_high - pieces[0].score_low
    scale = max(abs(difference), LEAST_DIFFERENCE)
    while sum(p.error for p in pieces) > tolerance * scale and line.num_points < max_points:
        worst = max(pieces, key=lambda p: p.error)
        pieces.remove(worst)
        pieces += line.pieces(np.linspace(worst.low, worst.high, 3))
    gradient = torch.stack([p.gradient * (p.high - p.low) for p in pieces]).sum(0)
    values = gradient * line.delta
    residual = abs(float(values.double().sum()) - difference) / scale
    if not residual <= tolerance:
        raise IncompleteError(
            f"integrated gradients: expected values that add up to the difference of scores {difference:.4g} "
            f"within {tolerance:.0%}, found {residual:.1%} off after {line.num_points} points; raise max_points, "
            "or integrate at a layer"
        )
    return PathIntegral(gradient, values, difference, residual, line.num_points)


class _Line:
    """The straight line, and how often it was evaluated."""

    def __init__(self, evaluate: Evaluate, start: Tensor, delta: Tensor) -> None:
        self.evaluate, self.start, self.delta, self.num_points = evaluate, start, delta, 0

    def pieces(self, edges: np.ndarray) -> list[_Piece]:
        """Integrates the pieces between edges, (P + 1,) in [0, 1]."""
        half = np.diff(edges)[:, None] / 2
        nodes = (edges[:-1, None] + half) + half * NODES  # (P, G)
        at = torch.tensor(np.concatenate([nodes.ravel(), edges])).to(self.start)  # (N,)
        points = self.start + at.reshape(-1, *[1] * self.start.ndim) * self.delta  # (N, ...)
        scores, gradients = self.evaluate(points)
        self.num_points += len(at)
        weights = torch.tensor(WEIGHTS / 2).to(gradients)
        means = (
            gradients[: nodes.size].reshape(*nodes.shape, *self.start.shape).movedim(1, -1) @ weights
        )  # (P, ...)
        ends = [float(score) for score in scores[nodes.size :]]
        return [
            self._piece(edges[i], edges[i + 1], ends[i], ends[i + 1], mean) for i, mean in enumerate(means)
        ]

    def _piece(self, low: float, high: float, score_low: float, score_high: float, mean: Tensor) -> _Piece:
        change = float((mean.double() * self.delta.double()).sum()) * (high - low)
        return _Piece(low, high, score_low, score_high, mean, abs(change - (score_high - score_low)))
