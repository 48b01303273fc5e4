"""Spelling of languages without rules: the letters of their texts in lower case, whatever the script.

1. Unicode NFC; apostrophes and hyphens of all shapes become ' and -, except those that Unicode counts as letters
   (ʻ and ʼ, as in Uzbek and Hawaiian).
2. Lower case; in Turkish, Azerbaijani and Crimean Tatar I is ı and İ is i.
3. Letters and the marks after them stay (ñ, ł, й, ς, हि, 中), and so do ' and - with a letter on either side. Joiners
   without a shape of their own leave nothing, all else leaves a space.

Nothing is read out: a text with digits is not what was said, see `has_digits`. Roman numbers look like words.
"""

import re
import unicodedata

from .languages import APOSTROPHE, HYPHEN, SHAPES

_DOTLESS = ("tr", "az", "crh")
_LOWER_I, _UPPER_I = str.maketrans({"I": "ı", "İ": "i"}), str.maketrans({"i": "İ"})
_ZERO = "〇"  # counted with the numbers, and written within words
_SHAPES = {
    code: shape for code, shape in SHAPES.items() if not unicodedata.category(chr(code)).startswith("L")
}
_STRAY = re.compile(
    rf"(?<![^\s{APOSTROPHE}{HYPHEN}])[{APOSTROPHE}{HYPHEN}]|[{APOSTROPHE}{HYPHEN}](?![^\s{APOSTROPHE}{HYPHEN}])"
)


def has_digits(text: str) -> bool:
    """Tells what cannot be spelled without rules: digits of any script, fractions, Roman numbers of one character.

    Args:
        text: as written.

    Returns:
        Whether there is one.
    """
    return any(unicodedata.category(character)[0] == "N" and character != _ZERO for character in text)


class PlainNormalizer:
    """Normalises a language without rules.

    Args:
        code: of the language, which matters for the case of i alone.
    """

    def __init__(self, code: str) -> None:
        self.table = _Kept()
        self._is_dotless = re.split("[-_]", code.lower())[0] in _DOTLESS

    def prepare(self, text: str) -> str:
        """Does steps 1 and 2.

        Args:
            text: as written.

        Returns:
            All of it, in lower case.
        """
        text = unicodedata.normalize("NFC", text).translate(_SHAPES)
        if self._is_dotless:
            text = text.translate(_LOWER_I)
        return unicodedata.normalize("NFC", text.lower())

    def apply(self, text: str) -> str:
        """Does all steps.

        Args:
            text: as written.

        Returns:
            Words in lower case, separated by single spaces.
        """
        text = _without_lone_marks(self.prepare(text).translate(self.table))
        return unicodedata.normalize("NFC", " ".join(_STRAY.sub(" ", text).split()))

    def upper(self, text: str) -> str:
        """Writes in upper case.

        Args:
            text: of `apply`.

        Returns:
            The same in upper case.
        """
        return (text.translate(_UPPER_I) if self._is_dotless else text).upper()


def _without_lone_marks(text: str) -> str:
    """Leaves out marks that stand on no letter."""
    kept, has_base = [], False
    for character in text:
        if unicodedata.category(character)[0] != "M":
            has_base = character not in (" ", APOSTROPHE, HYPHEN)
        elif not has_base:
            continue
        kept.append(character)
    return "".join(kept)


class _Kept(dict[int, str]):
    """What becomes of each character, found out when it is first met."""

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
    """Marks that choose among pictures of one character."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
