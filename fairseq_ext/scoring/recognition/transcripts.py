"""Recognised texts, one line per utterance: predictions.<decoder>.tsv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...files import atomic_write, read_lines, split_row

COLUMNS = ("id", "speaker", "reference", "hypothesis")
# Since the spelling of a manifest is kept beside it; earlier files lack them.
SPELLED_COLUMNS = ("spelled_reference", "spelled_hypothesis")
# Characters that end a cell or a line of the file.
_UNSAFE = ("\t", "\n", "\r")


@dataclass(frozen=True)
class Transcripts:
    """The recognised texts of a split, N utterances.

    Attributes:
        ids: N utterance ids.
        speakers: N speaker names.
        references: N reference texts as written.
        hypotheses: N recognised texts.
        spelled: both sides of N texts as they were scored; empty = not known.
    """

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]
    spelled: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        sizes = [len(column) for column in (self.ids, self.speakers, self.references, self.hypotheses)]
        if len(set(sizes)) != 1 or (self.spelled and len(self.spelled) != sizes[0]):
            raise ValueError(
                f"transcripts: one speaker, reference and hypothesis per id expected, found {sizes}; recognise every "
                "utterance once"
            )


def file_name(decoder: str, condition: str = "") -> str:
    """Return the file name of a decoder's transcripts; `condition` names the noise in the sound, empty = none."""
    return ".".join(["predictions", decoder, *([condition] if condition else []), "tsv"])


def write_transcripts(path: Path, transcripts: Transcripts) -> None:
    """Write transcripts atomically, as UTF-8.

    Raises:
        ValueError: a text holds a tab or a line break.
    """
    columns = [transcripts.ids, transcripts.speakers, transcripts.references, transcripts.hypotheses]
    columns += list(zip(*transcripts.spelled, strict=True))
    names = (COLUMNS + SPELLED_COLUMNS)[: len(columns)]
    with atomic_write(path) as file:
        file.write("\t".join(names) + "\n")
        for cells in zip(*columns, strict=True):
            for name, cell in zip(names, cells, strict=True):
                if any(character in cell for character in _UNSAFE):
                    raise ValueError(
                        f"utterance {cells[0]!r}: the {name} {cell!r} has a tab or a line end; normalise it"
                    )
            file.write("\t".join(cells) + "\n")


def read_transcripts(path: Path) -> Transcripts:
    """Read transcripts.

    Raises:
        ValueError: the header or a row is not of this format.
    """
    lines = read_lines(path)
    header = tuple(next(lines, "").split("\t"))
    if header not in {COLUMNS, COLUMNS + SPELLED_COLUMNS}:
        raise ValueError(
            f"{path}:1: the columns {COLUMNS} expected, found {header}; rerun fairseq-ext score recognition"
        )
    rows = [split_row(line, len(header), f"{path}:{number}") for number, line in enumerate(lines, 2)]
    ids, speakers, references, hypotheses = (tuple(row[i] for row in rows) for i in range(len(COLUMNS)))
    spelled = tuple((row[-2], row[-1]) for row in rows) if header != COLUMNS else ()
    return Transcripts(ids, speakers, references, hypotheses, spelled)
