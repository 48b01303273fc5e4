"""What is silent in a written text: the only characters that a normaliser may drop from a sound sentence."""

import unicodedata
from collections import Counter
from collections.abc import Mapping

# Unicode categories of spaces, invisible characters, and punctuation but for the connectors (Pc), such as "_".
SILENT_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"})
# Punctuation by category (Po), but read aloud: "#", "5/8", "§ 3", "5 ‰".
SPOKEN_PUNCTUATION = frozenset("#%&*/@\\§¶†‡‰‱″‴※⁂٪؉＃％＆＊／＠＼﹟﹠﹡﹪﹫")
# Letters by category (Lo), but marks of ordinals: "nº" is not read "no".
SPOKEN_LETTERS = frozenset("ºª")


def is_silent(character: str) -> bool:
    """Return whether a character is never read aloud."""
    return unicodedata.category(character) in SILENT_CATEGORIES and character not in SPOKEN_PUNCTUATION


def dropped_signs(text: str, table: Mapping[int, str]) -> Counter[str]:
    """Count the characters of a text that a translation table drops although they may be spoken.

    A combining mark is lost with its letter only: a letter that is kept without its marks (å as a) is a spelling.
    """
    found: Counter[str] = Counter()
    for before, character in zip(" " + text, text, strict=False):
        is_kept = table[ord(character)].strip() and character not in SPOKEN_LETTERS
        is_mark = unicodedata.category(character)[0] == "M" and table[ord(before)].strip()
        if not (is_kept or is_mark or is_silent(character)):
            found[character] += 1
    return found
