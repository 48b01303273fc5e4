"""Transcripts of a split, a line of units per row of its tsv, as the numbers of a dictionary's symbols."""

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dictionary import read_dictionary
from ..line_index import LineIndex

logger = logging.getLogger(__name__)

# Fairseq puts these before the symbols of every dictionary; CTC's blank is the first.
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
BLANK, PAD, END, UNKNOWN = range(4)


def token_symbols(folder: str | Path, label: str) -> list[str]:
    """Read `dict.<label>.txt` of a stream such as "ltr": `SPECIAL_SYMBOLS`, then the dictionary's.

    Raises:
        FileNotFoundError: no dictionary.
    """
    return [*SPECIAL_SYMBOLS, *read_dictionary(Path(folder) / f"dict.{label}.txt")]


class TokenLabels:
    """Transcript of each row as numbers, read on demand.

    Args:
        path: label stream of units separated by spaces, a line per row of the tsv, e.g. `train.ltr`.
        symbols: all of them, those of fairseq first, see `token_symbols`.

    Raises:
        FileNotFoundError: no label stream.
    """

    def __init__(self, path: str | Path, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        self._lines = LineIndex(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> Tensor:
        return torch.tensor(self._tokens(self._lines[row].split()), dtype=torch.long)

    def _tokens(self, units: Sequence[str]) -> list[int]:
        return [self._numbers.get(unit, UNKNOWN) for unit in units]

    def misfits(self, num_frames: NDArray[Any]) -> NDArray[np.bool_]:
        """Find the rows (True) whose transcript no CTC path of as many frames as the row's clip has spells."""
        found = np.zeros(len(self), dtype=bool)
        for row, (line, available) in enumerate(zip(self._lines, num_frames.tolist(), strict=True)):
            units = line.split()
            # Blanks between equal neighbours at most double the frames: most rows are settled without counting them.
            if available < 2 * len(units):
                found[row] = available < frames_needed(self._tokens(units))
        return found

    def report_missing(self) -> None:
        """Log the units that the dictionary lacks, which become `<unk>`, the most frequent first."""
        counts: Counter[str] = Counter()
        num_rows: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for line in self._lines:
            units = line.split()
            if self._numbers.keys() >= set(units):
                continue
            missing = Counter(unit for unit in units if unit not in self._numbers)
            counts.update(missing)
            num_rows.update(missing.keys())
            for unit in missing:
                examples.setdefault(unit, " ".join(units))
        for unit in sorted(counts, key=lambda unit: (-counts[unit], unit)):
            logger.warning(
                f"{self._lines.path}: {unit!r} is not in the dictionary and becomes <unk>: {counts[unit]} times in "
                f"{num_rows[unit]} rows, e.g. {examples[unit]}"
            )


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the frames of the shortest CTC path: one per token, and one for the blank between equal neighbours.

    Graves et al. 2006, "Connectionist Temporal Classification", section 3.1.
    """
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))
