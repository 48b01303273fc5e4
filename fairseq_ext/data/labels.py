"""Labels of a split, a line per row of its tsv, mapped to numbers by a dictionary file: a class, or a row of tokens."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..line_index import LineIndex
from ..manifest import read_dictionary
from ..text.units import find_missing

logger = logging.getLogger(__name__)

# Fairseq puts these before the symbols of every dictionary; CTC's blank is the first.
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
BLANK, PAD, END, UNKNOWN = range(4)


class ClassLabels:
    """Class number of each row, read on demand.

    Args:
        path: label stream, a line per row of the tsv, e.g. `train.digit`.
        names: the classes, in the order of the network's outputs.

    Raises:
        FileNotFoundError: no label stream.
    """

    def __init__(self, path: str | Path, names: list[str]) -> None:
        self.names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._lines = LineIndex(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> int:
        name = self._lines[row]
        if name not in self._numbers:
            raise ValueError(
                f"{self._lines.path}:{row + 1}: one of {self.names} expected, found {name!r}; add it to the dictionary "
                "or fix the row, then run fairseq-ext check"
            )
        return self._numbers[name]


def class_names(folder: str | Path, label: str) -> list[str]:
    """Read the classes of a label stream from `dict.<label>.txt`.

    Args:
        folder: folder of the manifests.
        label: name of the stream.

    Returns:
        The class names in the dictionary's order.

    Raises:
        FileNotFoundError: no dictionary.
    """
    path = Path(folder) / f"dict.{label}.txt"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such dictionary of classes; write it with manifest.write_dictionary"
        )
    return read_dictionary(path)


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
        """Find the transcripts that no CTC path of their clip spells: a frame per token, one more between equal ones.

        Graves et al. 2006, "Connectionist Temporal Classification", section 3.1.

        Args:
            num_frames: number of frames of each row's clip.

        Returns:
            (rows,), True = too long.
        """
        found = np.zeros(len(self), dtype=bool)
        for row, (line, available) in enumerate(zip(self._lines, num_frames.tolist(), strict=True)):
            units = line.split()
            # Blanks between equal neighbours at most double the frames: most rows are settled without counting them.
            if available < 2 * len(units):
                found[row] = available < frames_needed(self._tokens(units))
        return found

    def report_missing(self) -> None:
        """Log the units that the dictionary lacks: they become `<unk>`."""
        rows = (line.split() for line in self._lines)
        report = find_missing((row for row in rows if not self._numbers.keys() >= set(row)), self.symbols)
        for unit in report.missing:
            logger.warning(
                f"{self._lines.path}: {unit.unit!r} is not in the dictionary and becomes <unk>: {unit.count} times in "
                f"{unit.num_rows} rows, e.g. {unit.example}"
            )


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the number of frames of the shortest CTC path that spells a transcript.

    Args:
        tokens: numbers of its units.

    Returns:
        A frame per token, and one for the blank between equal neighbours.
    """
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))


def token_symbols(folder: str | Path, label: str) -> list[str]:
    """Read the symbols of a label stream from `dict.<label>.txt`, in fairseq's order.

    Args:
        folder: folder of the manifests.
        label: name of the stream, e.g. "ltr".

    Returns:
        `SPECIAL_SYMBOLS`, then the dictionary's.

    Raises:
        FileNotFoundError: no dictionary.
    """
    path = Path(folder) / f"dict.{label}.txt"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such dictionary of units; write it with manifest.write_dictionary"
        )
    return [*SPECIAL_SYMBOLS, *read_dictionary(path)]
