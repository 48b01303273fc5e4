"""How much of the maps lies on the lips, over many words; against shuffled weights, and against area.

A lip reader that learnt to read looks at lips. Whether its maps do is not decided by how they are made: the same
network with shuffled weights must give other maps, and fewer of them on the lips.

Shapes: T frames, H, W sides of the crop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..sanity import randomised_weights, rank_correlation
from ..targets import TokenTarget
from .mouth import share_inside, share_of_area
from .network import LipNetwork
from .saliency import METHODS, SaliencyMap

_SEED = 1


@dataclass(frozen=True)
class LipCase:
    """A word of a clip.

    Attributes:
        network: the reader, with the clip's sound where it hears.
        pictures: normalised pictures, (1, T, H, W).
        target: the word.
        lips: where the lips are, (T, H, W).
    """

    network: LipNetwork
    pictures: Tensor
    target: TokenTarget
    lips: NDArray[np.bool_]


@dataclass(frozen=True)
class LipScore:
    """Means of a method over the words; shares are 0 to 1.

    Attributes:
        num_words: words with a map; those that nothing supports have none.
        num_flat: words without one.
        inside: share of the map on the lips.
        area: share of the lips in the pictures, by the time of the map: what a map without a place would have.
        shuffled: share on the lips with shuffled weights.
        correlation: rank correlation of the map with that of shuffled weights.
        num_above: words of which more is on the lips than with shuffled weights.
    """

    num_words: int
    num_flat: int
    inside: float
    area: float
    shuffled: float
    correlation: float
    num_above: int


def score_maps(cases: Iterable[LipCase], methods: Sequence[str]) -> dict[str, LipScore]:
    """Return the score of each method, keys of `saliency.METHODS`.

    Raises:
        ValueError: no word, or a method that finds nothing for any.
    """
    rows: dict[str, list[tuple[float, float, float, float] | None]] = {method: [] for method in methods}
    for case in cases:
        maps = [METHODS[method](case.network, case.pictures, case.target) for method in methods]
        with randomised_weights(case.network.model, _SEED):
            controls = [METHODS[method](case.network, case.pictures, case.target) for method in methods]
        for found, control in zip(maps, controls, strict=True):
            rows[found.method].append(_row(found, control, case.lips))
    return {method: _score(method, found) for method, found in rows.items()}


def _row(
    found: SaliencyMap, control: SaliencyMap, lips: NDArray[np.bool_]
) -> tuple[float, float, float, float] | None:
    inside = share_inside(found, lips)
    if inside is None:
        return None
    area = share_of_area(found, lips)
    shuffled = share_inside(control, lips)
    # Nothing at all supports the word with shuffled weights: no more on the lips than anywhere.
    shuffled = share_of_area(control, lips) if shuffled is None else shuffled
    return inside, area, shuffled, rank_correlation(found.values, control.values)


def _score(method: str, rows: Sequence[tuple[float, float, float, float] | None]) -> LipScore:
    kept = [row for row in rows if row is not None]
    if not kept:
        raise ValueError(
            f"{method}: a word with a map expected, found none among {len(rows)}; give clips whose words the reader "
            "can be asked for"
        )
    columns = np.array(kept).T
    inside, area, shuffled, correlation = columns.mean(1).tolist()
    num_above = int((columns[0] > columns[2]).sum())
    return LipScore(len(kept), len(rows) - len(kept), inside, area, shuffled, correlation, num_above)
