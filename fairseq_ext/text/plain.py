"""Normalisation of languages without rules: the letters of any script in lower case.

1. Unicode NFC; apostrophes and hyphens of all shapes become ' and -, except those that Unicode counts as letters
   (ʻ and ʼ, as in Uzbek and Hawaiian).
2. Lower case; in Turkish, Azerbaijani and Crimean Tatar I is ı and İ is i.
3. Letters with their combining marks are kept (ñ, ł, й, ς, हि, 中), and so are ' and - between two letters. Invisible
   joiners are dropped, all else becomes a space.

Numbers and signs are not converted to words: a text with them is not what was spoken, see `PlainNormalizer.unread`.
Roman numbers look like words.
"""

import re
import unicodedata
from collections import Counter

from .languages import APOSTROPHE, HYPHEN, SHAPES
from .silence import dropped_signs

_DOTLESS = ("tr", "az", "crh")
_LOWER_I, _UPPER_I = str.maketrans({"I": "ı", "İ": "i"}), str.maketrans({"i": "İ"})
_ZERO = "〇"  # a number in Unicode, but part of words
_SHAPES = {
    code: shape for code, shape in SHAPES.items() if not unicodedata.category(chr(code)).startswith("L")
}
# Apostrophes and hyphens that are not between two characters of a word.
_STRAY = re.compile(
    rf"(?<![^\s{APOSTROPHE}{HYPHEN}])[{APOSTROPHE}{HYPHEN}]|[{APOSTROPHE}{HYPHEN}](?![^\s{APOSTROPHE}{HYPHEN}])"
)


class PlainNormalizer:
    """The normaliser of languages without rules; the language code only matters for the case of i."""

    def __init__(self, code: str) -> None:
        self._table = _Kept()
        self._is_dotless = re.split("[-_]", code.lower())[0] in _DOTLESS

    def _prepare(self, text: str) -> str:
        """Apply steps 1 and 2."""
        text = unicodedata.normalize("NFC", text).translate(_SHAPES)
        if self._is_dotless:
            text = text.translate(_LOWER_I)
        return unicodedata.normalize("NFC", text.lower())

    def unread(self, text: str) -> Counter[str]:
        """Count what is dropped although it may be spoken: digits of any script, signs."""
        return dropped_signs(self._prepare(text), self._table)

    def apply(self, text: str) -> str:
        """Return the words of a text in lower case, separated by single spaces."""
        # NFC again: without the invisible joiner between them a letter and its mark may compose.
        text = _without_lone_marks(self._prepare(text).translate(self._table))
        return unicodedata.normalize("NFC", " ".join(_STRAY.sub(" ", text).split()))

    def upper(self, text: str) -> str:
        """Convert a result of `apply` to upper case."""
        return (text.translate(_UPPER_I) if self._is_dotless else text).upper()


def _without_lone_marks(text: str) -> str:
    """Drop combining marks without a letter."""
    kept, has_base = [], False
    for character in text:
        if unicodedata.category(character)[0] != "M":
            has_base = character not in (" ", APOSTROPHE, HYPHEN)
        elif not has_base:
            continue
        kept.append(character)
    return "".join(kept)


class _Kept(dict[int, str]):
    """A translation table of characters, filled as they occur."""

    def __missing__(self, code: int) -> str:
        kept = self[code] = self._keep(chr(code))
        return kept

    @staticmethod
    def _keep(character: str) -> str:
        if unicodedata.category(character) == "Cf" or _is_variation_selector(character):
            return ""
        is_kept = unicodedata.category(character)[0] in "LM" or character in (APOSTROPHE, HYPHEN, _ZERO)
        return character if is_kept else " "


def _is_variation_selector(character: str) -> bool:
    """Return whether a character selects a glyph of the character before."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
