"""Which words and characters are mistaken for which, most frequent first; and matrices of visemes and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...scoring.recognition.confusion_matrix import NO_TOKEN, VISEMES, confusion_matrices, csv_name
from ...text.scoring import Pair, align, characters, words
from .. import plots, score_plots
from ..pieces import Picture
from ..tables import Table
from .listen import Transcribed

# A space by itself is not seen.
SPACE = "␣ (space)"
MAX_LINES = 15
VISEME_TITLE = "Visemes taken for visemes"
VISEME_CAPTION = "Visemes, the classes of sounds that lips tell apart, by letters that are often theirs."
WORD_CAPTION = (
    "Words by their mean place in a sentence; (others): recognised, and in no sentence of the test."
)
CAPTION = (
    "Each row: as what it was recognised, in % of the times it was spoken; last column: left out; last row: of what "
    "was put in."
)


def confusions(
    references: Sequence[str], hypotheses: Sequence[str], split: Callable[[str], list[str]]
) -> Counter[Pair]:
    """Count the errors by reference and recognised token, None where the other side has an extra one.

    Both sides are normalised texts in the same order, split by `scoring.words` or `scoring.characters`. The counts add
    up to the errors.
    """
    pairs = (align(split(r), split(h)) for r, h in zip(references, hypotheses, strict=True))
    return Counter(pair for row in pairs for pair in row if pair[0] != pair[1])


def confusion_tables(references: Sequence[str], hypotheses: Sequence[str]) -> list[Table]:
    """Make the tables of the most frequent errors of words and of characters in normalised texts; none if no errors."""
    units = {"words": words, "characters": characters}
    made = (_table(name, confusions(references, hypotheses, split)) for name, split in units.items())
    return [table for table in made if table.rows]


def confusion_pictures(found: Transcribed) -> list[Picture]:
    """Draw the matrices of visemes, of a lip reader, and of words, where they are few."""
    is_lip_reader = "ver" in found.system["decoders"][found.decoder]["metrics"]
    language = found.system["language"] if is_lip_reader else ""
    made = []
    for matrix in confusion_matrices(found.references, found.hypotheses, language):
        rows, columns = matrix.spoken, matrix.recognised
        drawing = score_plots.confusion_shares(matrix.counts, rows, columns)
        title = VISEME_TITLE if matrix.unit == VISEMES else "Words taken for words"
        about = VISEME_CAPTION if matrix.unit == VISEMES else WORD_CAPTION
        where = csv_name(found.decoder, matrix.unit)
        description = (
            f"{title}: a matrix of {len(rows) - 1} {matrix.unit}, spoken by row, recognised by column."
        )
        made.append(
            Picture(
                plots.png(drawing), description, f"{about} {CAPTION} Numbers: {where}.", title, is_wide=True
            )
        )
    return made


def _table(unit: str, counts: Counter[Pair]) -> Table:
    total = counts.total()
    shown = _most_frequent(counts.items())[:MAX_LINES]
    lines = tuple(
        (_token(reference), _token(recognised), str(n), f"{100 * n / total:.1f}")
        for (reference, recognised), n in shown
    )
    note = f"{total:,} errors of {unit}, of {len(counts):,} types; the {len(lines)} most frequent are listed."
    header = ("Spoken", "Recognised", "Times", "Share of errors %")
    return Table(f"confused-{unit}", f"Most frequent errors: {unit}", header, lines, note)


def _most_frequent(items: Iterable[tuple[Pair, int]]) -> list[tuple[Pair, int]]:
    return sorted(items, key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))


def _token(token: str | None) -> str:
    return NO_TOKEN if token is None else SPACE if token == " " else token
