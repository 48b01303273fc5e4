"""What a recogniser heard, one line per utterance: predictions.<decoder>.tsv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...manifest import atomic_write, read_lines, split_row

COLUMNS = ("id", "speaker", "reference", "hypothesis")
# What would end a cell or a line of the file.
_UNSAFE = ("\t", "\n", "\r")


@dataclass(frozen=True)
class Transcripts:
    """Recognised texts of a split, N utterances.

    Attributes:
        ids: N utterance ids.
        speakers: N speaker names.
        references: N texts as they were written.
        hypotheses: N texts as they were recognised.
    """

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = [len(column) for column in (self.ids, self.speakers, self.references, self.hypotheses)]
        if len(set(sizes)) != 1:
            raise ValueError(
                f"transcripts: one speaker, reference and hypothesis per id expected, found {sizes}; recognise every "
                "utterance once"
            )


def file_name(decoder: str) -> str:
    """The file of a decoder's transcripts.

    Args:
        decoder: such as `greedy`.

    Returns:
        Its name in the row's folder.
    """
    return f"predictions.{decoder}.tsv"


def write_transcripts(path: Path, transcripts: Transcripts) -> None:
    """Writes transcripts as UTF-8, whole or not at all.

    Args:
        path: file to write.
        transcripts: the texts.

    Raises:
        ValueError: a text holds a tab or a line end.
    """
    columns = (transcripts.ids, transcripts.speakers, transcripts.references, transcripts.hypotheses)
    with atomic_write(path) as file:
        file.write("\t".join(COLUMNS) + "\n")
        for cells in zip(*columns, strict=True):
            for name, cell in zip(COLUMNS, cells, strict=True):
                if any(character in cell for character in _UNSAFE):
                    raise ValueError(
                        f"utterance {cells[0]!r}: {name} without tabs and line ends expected, found {cell!r}; "
                        "normalise it"
                    )
            file.write("\t".join(cells) + "\n")


def read_transcripts(path: Path) -> Transcripts:
    """Reads transcripts.

    Args:
        path: file that `write_transcripts` wrote.

    Returns:
        The texts.

    Raises:
        ValueError: the header or a row is not of this format.
    """
    lines = read_lines(path)
    header = tuple(next(lines, "").split("\t"))
    if header != COLUMNS:
        raise ValueError(
            f"{path}:1: the columns {COLUMNS} expected, found {header}; rerun tools/evaluate_recognition.py"
        )
    rows = [split_row(line, len(COLUMNS), f"{path}:{number}") for number, line in enumerate(lines, 2)]
    ids, speakers, references, hypotheses = (tuple(row[i] for row in rows) for i in range(len(COLUMNS)))
    return Transcripts(ids, speakers, references, hypotheses)
