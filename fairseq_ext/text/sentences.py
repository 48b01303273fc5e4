"""Text for language models: normalised, without the sentences that recognisers are scored on."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..files import read_lines
from .normalize import is_spelled, normalize

# The column of Common Voice's validated_sentences.tsv and of its tables of clips.
COLUMN = "sentence"

PathName = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainingText:
    """The training text of a language model.

    Attributes:
        sentences: normalised sentences in order, with repetitions.
        num_held_out: number of sentences that were dropped because they are scored.
    """

    sentences: list[str]
    num_held_out: int


def read_sentences(path: PathName) -> Iterator[str]:
    """Read a text file, one sentence a line, or the column `sentence` of a .tsv file that is never quoted.

    Args:
        path: text or .tsv file.

    Yields:
        The sentences without changes, also empty ones.

    Raises:
        ValueError: a .tsv file has no such column, or a row lacks it.
    """
    lines = read_lines(path)
    if not os.fspath(path).endswith(".tsv"):
        yield from lines
        return
    header = next(lines, "").split("\t")
    if COLUMN not in header:
        raise ValueError(f"{path}:1: a column {COLUMN!r} expected, found {header}; give another file")
    for number, line in enumerate(lines, 2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ValueError(
                f"{path}:{number}: {len(header)} columns expected, found {len(cells)}; get the file again"
            )
        yield cells[header.index(COLUMN)]


def training_text(
    sentences: Iterable[str], held_out: Iterable[str], language: str, *, case: str = "lower"
) -> TrainingText:
    """Normalise sentences and drop those that are scored, which are compared after normalisation.

    Args:
        sentences: sentences before normalisation.
        held_out: sentences of the development and test splits.
        language: language code, see `normalize`.
        case: "lower" or "upper", as for the recogniser.

    Returns:
        The training text.

    Raises:
        ValueError: no sentence is left.
    """
    scored = {normalize(text, language, case=case) for text in held_out}
    spelled = [normalize(text, language, case=case) for text in sentences if is_spelled(text, language)]
    kept = [text for text in spelled if text and text not in scored]
    if not kept:
        raise ValueError(
            f"language model: all of {len(spelled)} sentences are held out or empty; give more text"
        )
    return TrainingText(kept, sum(text in scored for text in spelled if text))
