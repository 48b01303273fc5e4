"""A support vector machine with a radial kernel on embeddings.

Legend: M vectors, S support vectors ordered by class, K classes of the training, R columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from ...optional import import_optional
from .types import Arrays, ClassifierType, Floats, Ints, Parameters, all_classes, class_weights

# Penalty of errors, and the kernel's width against scikit-learn's `scale` (1 / total variance).
PENALTIES = (1.0, 3.0, 10.0)
WIDTHS = (0.25, 0.5)


class SvmModel:
    """A fitted machine as arrays, so that reading one runs nobody's code.

    `support` (S, R), `dual` (K - 1, S), `intercept` (K (K - 1) / 2,), `sizes` (K,): support vectors per class,
    `present` (K,): numbers of the classes, `about` (2,): gamma and the number of all classes.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def scores(self, vectors: Floats) -> Floats:
        """Return a score per class, (M, C); their largest is the prediction."""
        votes = _votes(self._margins(vectors), len(self.arrays["present"]))
        return all_classes(votes, self.arrays["present"], int(self.arrays["about"][1]))

    def _margins(self, vectors: Floats) -> NDArray[np.float64]:
        """Return the margin of each pair of classes, (M, K (K - 1) / 2), above 0 for the first of the two."""
        a = self.arrays
        kernel = np.exp(-a["about"][0] * _squared_distances(vectors, a["support"]))  # (M, S)
        bounds = np.cumsum([0, *a["sizes"]])
        spans = [slice(*bounds[k : k + 2]) for k in range(len(a["sizes"]))]
        margins = [
            kernel[:, spans[i]] @ a["dual"][j - 1, spans[i]]
            + kernel[:, spans[j]] @ a["dual"][i, spans[j]]
            + a["intercept"][pair]
            for pair, (i, j) in enumerate(combinations(range(len(spans)), 2))
        ]
        return np.stack(margins, 1)


def _squared_distances(a: Floats, b: Floats) -> NDArray[np.float64]:
    a, b = a.astype(np.float64), b.astype(np.float64)
    found: NDArray[np.float64] = np.maximum((a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1), 0)
    return found


def _votes(margins: NDArray[np.float64], num_present: int) -> NDArray[np.float64]:
    """Return each class's votes, (M, K), ties broken by the sum of its margins, which counts less than a vote.

    Of two classes, that of the margin alone.
    """
    if num_present == 2:
        return np.concatenate([margins, -margins], 1)
    votes = np.zeros((len(margins), num_present))
    sums = np.zeros((len(margins), num_present))
    for pair, (i, j) in enumerate(combinations(range(num_present), 2)):
        margin = margins[:, pair]
        votes[:, i] += margin > 0
        votes[:, j] += margin <= 0
        sums[:, i] += margin
        sums[:, j] -= margin
    found: NDArray[np.float64] = votes + sums / (3 * (np.abs(sums) + 1))
    return found


def fit(vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int = 0) -> SvmModel:
    """Fit a machine with `penalty` and `width`; the seed changes nothing."""
    del seed
    return _fit(vectors, _squared_distances(vectors, vectors), targets, num_classes, parameters)


def _fit(
    vectors: Floats, squared: NDArray[np.float64], targets: Ints, num_classes: int, parameters: Parameters
) -> SvmModel:
    """Fit on vectors and their squared distances, (N, N), which libsvm would compute ten times slower."""
    gamma = parameters["width"] / max(float(vectors.var(0, dtype=np.float64).sum()), 1e-12)
    estimator = import_optional("sklearn.svm").SVC(C=parameters["penalty"], kernel="precomputed")
    estimator.fit(np.exp(-gamma * squared), targets, sample_weight=class_weights(targets))
    # libsvm's margins are above 0 for the first class of a pair; scikit-learn turns those of two classes around.
    sign = -1 if len(estimator.classes_) == 2 else 1
    return SvmModel(
        {
            "support": vectors[estimator.support_],
            "dual": sign * estimator.dual_coef_,
            "intercept": sign * estimator.intercept_,
            "sizes": estimator.n_support_.astype(np.int64),
            "present": estimator.classes_.astype(np.int64),
            "about": np.array([gamma, num_classes]),
        }
    )


def path(
    vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int = 0
) -> Iterator[tuple[Parameters, Floats]]:
    """Fit every width and penalty on the same distances."""
    del seed
    squared = _squared_distances(vectors, vectors)
    for width, penalty in product(WIDTHS, PENALTIES):
        parameters = {"penalty": penalty, "width": width}
        yield parameters, _fit(vectors, squared, targets, num_classes, parameters).scores(held_out)


SVM = ClassifierType(
    "svm",
    {"penalty": 3.0, "width": 0.5},
    fit,
    path,
    SvmModel,
    {"support": 2, "dual": 2, "intercept": 1, "sizes": 1, "present": 1, "about": 1},
)
