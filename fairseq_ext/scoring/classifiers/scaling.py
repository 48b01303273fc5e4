"""Standardised and rotated vectors: what classifiers of embeddings read, fitted on the training utterances.

Legend: N utterances, D embedding width, R components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Components of most variance of the standardised columns, these columns, or the embedding as it is.
VectorKind = Literal["components", "columns", "embedding"]

# Share of the variance that is kept. On RAVDESS (Whisper base, layer 3, 1,199 clips) logistic regression scores 73.5
# with 0.99 as with all columns, 72.4 with 0.95; the other classifiers take half the time.
KEPT_VARIANCE = 0.99


@dataclass(frozen=True)
class Scaling:
    """A map from embeddings to columns of mean 0 and variance 1, and on to their components of most variance.

    Attributes:
        mean: mean of each column, (D,).
        weight: reciprocal of each column's deviation, (D,); 0 where it does not vary. Mean 0 and weight 1 leave the
            embedding as it is.
        rotation: directions of the components, (D, R); None = the columns themselves.
    """

    mean: Floats
    weight: Floats
    rotation: Floats | None

    @classmethod
    def fit(cls, embedding: Floats, kind: VectorKind = "components") -> Scaling:
        """Fit on training embeddings, (N, D)."""
        if kind == "embedding":
            width = embedding.shape[1]
            return cls(np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32), None)
        mean = embedding.mean(0, dtype=np.float64)
        deviation = embedding.std(0, dtype=np.float64)
        # The deviation of equal float32 numbers is a rounding error, not 0.
        varies = deviation > 1e-6 * np.abs(mean) + 1e-12
        weight = np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(np.float32)
        plain = cls(mean.astype(np.float32), weight, None)
        return replace(plain, rotation=_rotation(plain(embedding))) if kind == "components" else plain

    def __call__(self, embedding: Floats) -> Floats:
        """Return the columns or components, (N, R), of embeddings (N, D)."""
        standardised = (embedding - self.mean) * self.weight
        found = standardised if self.rotation is None else standardised @ self.rotation
        return np.asarray(found, dtype=np.float32)


def _rotation(standardised: Floats) -> Floats:
    """Return the directions (D, R) of most variance, from the smaller of the two Gram matrices."""
    num_rows, num_columns = standardised.shape
    if num_columns <= num_rows:
        variances, directions = np.linalg.eigh(standardised.T @ standardised)
    else:
        variances, weights = np.linalg.eigh(standardised @ standardised.T)
        directions = standardised.T @ (weights / np.sqrt(np.maximum(variances, variances[-1] * 1e-6 + 1e-30)))
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    share = np.cumsum(variances, dtype=np.float64) / max(float(variances.sum(dtype=np.float64)), 1e-30)
    kept = directions[:, : int(np.searchsorted(share, KEPT_VARIANCE)) + 1]
    # The signs of eigenvectors are arbitrary; fixed, so that machines agree.
    signs = np.sign(kept[np.abs(kept).argmax(0), np.arange(kept.shape[1])])
    return np.ascontiguousarray(kept * np.where(signs == 0, 1, signs), dtype=np.float32)
