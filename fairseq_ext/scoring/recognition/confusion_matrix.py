"""Which token is taken for which, as a matrix: visemes, and words where there are few.

Both sides are aligned with the fewest edits, and every pair of the alignment is counted: what is right on the diagonal,
what was left out in the last column, what was put in the last row.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...files import atomic_write
from ...text.scoring import align, words
from .visemes import NAMES, has_rules, visemes

VISEMES, WORDS = "visemes", "words"
# More words make no matrix that can be read; GRID has 51.
MAX_WORDS = 60
NO_TOKEN = "(nothing)"
# Recognised words that no reference has.
OTHERS = "(others)"


@dataclass(frozen=True)
class ConfusionMatrix:
    """The numbers of times that tokens were recognised as others.

    Attributes:
        unit: `visemes` or `words`.
        spoken: names of the rows; the last is `NO_TOKEN`, of what was put in.
        recognised: names of the columns: those of the rows, with `OTHERS` before the last where there are such.
        counts: (rows, columns).
    """

    unit: str
    spoken: tuple[str, ...]
    recognised: tuple[str, ...]
    counts: NDArray[np.int64]


def confusion_matrices(
    references: Sequence[str], hypotheses: Sequence[str], language: str = ""
) -> list[ConfusionMatrix]:
    """Count the confusions of spelled texts, N of each side.

    Args:
        references: N texts.
        hypotheses: N texts.
        language: count visemes too, by the rules of this language; empty, or one without rules = no visemes.

    Returns:
        The matrix of visemes, and that of words where the references have 2 to `MAX_WORDS` of them.
    """
    made = []
    if has_rules(language):
        seen = partial(visemes, language=language)
        made.append(_matrix(VISEMES, references, hypotheses, seen, list(NAMES)))
    order = _by_place(references)
    if 2 <= len(order) <= MAX_WORDS:
        made.append(_matrix(WORDS, references, hypotheses, words, order))
    return made


def _by_place(references: Sequence[str]) -> list[str]:
    """Return the words by their mean place in a sentence: in a fixed grammar, words of one kind are neighbours."""
    places: dict[str, list[int]] = defaultdict(list)
    for text in references:
        for place, word in enumerate(words(text)):
            places[word].append(place)
    return sorted(places, key=lambda word: (round(float(np.mean(places[word])), 3), word))


def _matrix(
    unit: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    split: Callable[[str], list[str]],
    order: Sequence[str],
) -> ConfusionMatrix:
    pairs = Counter(
        pair for r, h in zip(references, hypotheses, strict=True) for pair in align(split(r), split(h))
    )
    rows = {token: i for i, token in enumerate(order)}
    has_others = any(h is not None and h not in rows for _, h in pairs)
    others = [OTHERS] if has_others else []
    counts = np.zeros((len(order) + 1, len(order) + len(others) + 1), np.int64)
    for (spoken, recognised), n in pairs.items():
        row = len(order) if spoken is None else rows[spoken]
        column = -1 if recognised is None else rows.get(recognised, len(order))
        counts[row, column] += n
    names = [NAMES[token] if unit == VISEMES else token for token in order]
    return ConfusionMatrix(unit, (*names, NO_TOKEN), (*names, *others, NO_TOKEN), counts)


def csv_name(decoder: str, unit: str) -> str:
    """Return the file name of a decoder's confusions."""
    return f"confusions.{decoder}.{unit}.csv"


def write_csv(path: Path, matrix: ConfusionMatrix) -> None:
    """Write a matrix atomically: a line per spoken token, a column per recognised one."""
    with atomic_write(path) as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["spoken", *matrix.recognised])
        lines.writerows([name, *row] for name, row in zip(matrix.spoken, matrix.counts.tolist(), strict=True))
