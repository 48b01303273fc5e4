"""Accent classes of Common Voice, from what its speakers say of themselves.

Speakers chose from a list (`accent`, until corpus 7); since then they may add words of their own (`accents`, several
of them, between commas, since common-voice's pull request 4844 of March 2025 between bars) and choose one variant
(`variant`, since corpus 13). The table `common_voice_accents.tsv` maps these to classes; add rows for other wordings
and other languages. Columns:

- `locale`: of the corpus;
- `text`: the wording, compared by `simplify`;
- `accent`: the class, or `learner` (recent learners: the clip gets no class whatever else is said), or `other`
  (reviewed: names no class, such as a standard, a block of dialects, or a place of transition);
- `origin`: `accent` and `variant` for what Common Voice offers, `free text` for the rest.

The five classes of Catalan are those that Common Voice offered first. Girona and Tarragona are central and Andorra is
north-western, as in the datasheet of the Catalan corpus (common-voice/cv-datasheets, `ca/shared/variants.md`). That
sheet also puts Tortosí under Valencian, so it is here; dialectologists count it as north-western. Alguerès has no
class of its own.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from ..files import read_lines, split_row

CATALAN = ("balear", "central", "nord-occidental", "septentrional", "valencià")
LEARNER, OTHER = "learner", "other"

# Words that say nothing of the region.
_FILLERS = {
    "accent", "catala", "catalan", "catalana", "d", "de", "del", "dels", "dialecte", "el", "els", "l", "la", "les",
    "parla", "parlar", "subdialecte", "variant", "varietat",
}  # fmt: skip
_BETWEEN = re.compile(r",(?![^(]*\))")  # a comma, not in brackets


def simplify(text: str) -> str:
    """Reduce a wording to its distinctive words: "Català de Barcelona" becomes "barcelona".

    They are in lower case, without marks, punctuation and fillers; may be empty.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(word for word in re.findall(r"\w+", letters) if word not in _FILLERS)


@cache
def table(locale: str) -> Mapping[str, str]:
    """Return simplified wording -> class, `LEARNER` or `OTHER` of a language; empty for a language without rows.

    Raises:
        ValueError: when two rows of one wording disagree.
    """
    path = Path(__file__).with_name("common_voice_accents.tsv")
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        row_locale, text, accent, _ = split_row(line, 4, f"{path}:{number}")
        if row_locale == locale and found.setdefault(simplify(text), accent) != accent:
            raise ValueError(
                f"{path}:{number}: {found[simplify(text)]!r} expected as for the same wording above, "
                f"found {accent!r}; delete one of the rows"
            )
    return found


def wordings(accents: str) -> list[str]:
    """Split the column of accents at bars or else commas; commas in brackets belong to the wording."""
    parts = accents.split("|") if "|" in accents else _BETWEEN.split(accents)
    return [part.strip() for part in parts if part.strip()]


@lru_cache(maxsize=4096)
def accent_class(locale: str, accents: str, variant: str = "") -> str | None:
    """Return the class that a clip's columns of accents and variant name; None = none, several, or a learner."""
    known = table(locale)
    marks = {known.get(simplify(wording), OTHER) for wording in [*wordings(accents), variant] if wording}
    named = marks - {OTHER}
    return named.pop() if len(named) == 1 and LEARNER not in named else None
