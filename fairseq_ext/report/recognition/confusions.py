"""List which words and characters are mistaken for which, most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...text.scoring import Pair, align, characters, words
from ..tables import Table

NO_TOKEN = "(nothing)"
# A space by itself is not seen.
SPACE = "␣ (space)"
MAX_LINES = 15


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
