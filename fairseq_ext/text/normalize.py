"""One spelling for every transcript: case, marks, apostrophes, hyphens, numbers in words, no punctuation.

The result contains letters of the language, the joiners of `languages`, and single spaces; normalising it again changes
nothing. The rules, in order:

1. Unicode NFC; apostrophes and hyphens of all shapes become ' and -.
2. Catalan geminate l: ŀl, l.l (between vowels), l•l and other dots become l·l.
3. Numbers become words, also Roman ones after the word for a century.
4. Foreign letters are spelled with the alphabet (ñ -> ny in Catalan), or lose their diacritics (å -> a). What is
   still no letter is dropped: punctuation and signs become a space, letters of other scripts nothing.
5. Apostrophes and hyphens between two letters are kept: `d'anar-se'n`, `vint-i-dos`, `nord-occidental`. All others
   are quotes or dashes, and become a space.

Languages without rules keep the letters of their texts, see `plain`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

from .languages import COMMON_FOLDS, MIDDLE_DOT, SHAPES, Language, check_code, has_rules, language
from .numbers import NumberReader
from .plain import PlainNormalizer
from .silence import dropped_signs

# Version of the rules, kept beside every manifest (`spelling`); raise it when a text may be spelled otherwise.
# 2: a minus in every shape, no thousands of millions, "£" and "¥"; 1: the manifests without a record
RULES = 2
_DOTS = "·•‧∙⋅・"
_VOWELS = "aeiouàèéíïòóúü"
_GEMINATE = re.compile(
    rf"(?i:ŀl|[lŀ][{_DOTS}]+l)|(?<=[{_VOWELS}])l\.l(?=[{_VOWELS}])|(?<=[{_VOWELS.upper()}])L\.L(?=[{_VOWELS.upper()}])"
)
_LONE_DOT = re.compile(f"(?<!l){MIDDLE_DOT}|{MIDDLE_DOT}(?!l)")


def normalize(text: str, language_code: str, *, case: str = "lower") -> str:
    """Return the words of a transcript, separated by single spaces; may be empty.

    Where the language has rules, the letters are those of `alphabet`.

    Args:
        language_code: "ca", or with a region, "pt-BR", which is ignored. For languages that are not in
            `languages.LANGUAGES` see `plain`.
        case: "lower" or "upper".

    Raises:
        ValueError: not a language code, or an unknown case.
    """
    _check_case(case)
    normalizer = _normalizer(language_code)
    normal = normalizer.apply(text)
    return normalizer.upper(normal) if case == "upper" else normal


def is_spelled(text: str, language_code: str) -> bool:
    """Return whether `normalize` reads all that is spoken, see `unread`."""
    return not unread(text, language_code)


def check_choice(language_code: str, case: str) -> None:
    """Check the options of `normalize`; raise ValueError for what is not a language code, or an unknown case."""
    check_code(language_code)
    _check_case(case)


def alphabet(language_code: str, *, case: str = "lower") -> frozenset[str]:
    """Return the characters that `normalize` may return: letters, joiners and space.

    Raises:
        ValueError: the language has no rules, hence no list of letters, or the case is unknown.
    """
    _check_case(case)
    rules = language(language_code)
    letters = rules.letters.upper() if case == "upper" else rules.letters
    return frozenset(letters + rules.joiners + " ")


def unread(text: str, language_code: str) -> Counter[str]:
    """Count what `normalize` drops although it may be spoken, or reads in one of several ways.

    Silent are spaces, invisible characters and punctuation (`silence.is_silent`). All else that is dropped counts:
    signs and letters without a spelling, lone diacritics, fractions and exponents, digits of a language without rules;
    and so do telephone numbers.

    Raises:
        ValueError: not a language code.
    """
    return _normalizer(language_code).unread(text)


def dropped(texts: Iterable[str], language_code: str) -> Counter[str]:
    """Sum `unread` over texts."""
    return sum((unread(text, language_code) for text in texts), Counter())


def _check_case(case: str) -> None:
    if case not in {"lower", "upper"}:
        raise ValueError(f"case {case!r} is unknown; use lower or upper")


@cache
def _normalizer(code: str) -> "_Normalizer | PlainNormalizer":
    if has_rules(code):
        return _Normalizer(language(code))
    check_code(code)
    return PlainNormalizer(code)


class _Normalizer:
    """The compiled rules of one language."""

    def __init__(self, rules: Language) -> None:
        self._table = _Spelling(rules)
        self._numbers = NumberReader(rules)
        self._has_geminate = MIDDLE_DOT in rules.joiners
        letters = f"[{rules.letters}]"
        joiners = re.escape(rules.joiners.replace(MIDDLE_DOT, ""))
        # Group 1, which `apply` keeps; "()(?!)" never matches.
        clipped = rf"(?<!{letters})({'|'.join(rules.clipped)})'(?!{letters})|" if rules.clipped else "()(?!)|"
        self._stray = (
            re.compile(rf"{clipped}(?<!{letters})[{joiners}]|[{joiners}](?!{letters})") if joiners else None
        )

    def _shape(self, text: str) -> str:
        """Apply steps 1 and 2."""
        text = unicodedata.normalize("NFC", text).translate(SHAPES)
        if self._has_geminate:
            text = _GEMINATE.sub(f"l{MIDDLE_DOT}l", text)
        return text if text.isascii() else "".join(map(_ascii_digit, text))

    def _read(self, text: str) -> str:
        """Apply step 3 to a shaped text, and lower the case."""
        # Lower case may add combining marks: İ.
        return unicodedata.normalize("NFC", self._numbers.read(text).lower())

    def unread(self, text: str) -> Counter[str]:
        """Count what is dropped although it may be spoken."""
        shaped = self._shape(text)
        return dropped_signs(self._read(shaped), self._table) + Counter(self._numbers.unclear(shaped))

    def apply(self, text: str) -> str:
        """Apply all steps, in lower case."""
        text = self._read(self._shape(text)).translate(self._table)
        if self._stray is not None:
            text = self._stray.sub(lambda match: match[0] if match[1] else " ", text)
        if self._has_geminate:
            text = _LONE_DOT.sub(" ", text)
        return self._numbers.read_centuries(" ".join(text.split()))

    def upper(self, text: str) -> str:
        """Convert a normalised text to upper case."""
        return text.upper()


def _ascii_digit(character: str) -> str:
    """Convert digits of other scripts: ٣ is 3."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


class _Spelling(dict[int, str]):
    """A translation table of characters, filled as they occur."""

    def __init__(self, rules: Language) -> None:
        super().__init__()
        self._letters = frozenset(rules.letters)
        kept = {character: character for character in rules.letters + rules.joiners}
        words = {sign: f" {word} " for sign, word in rules.signs.items()}
        units = {sign: f" {many} " for sign, (_, many) in rules.units.items()}
        unjoined = {} if MIDDLE_DOT in rules.joiners else {MIDDLE_DOT: ""}
        # Later entries win, so that a letter of the alphabet is never folded.
        for character, spelling in {
            **unjoined,
            **COMMON_FOLDS,
            **rules.folds,
            **words,
            **units,
            **kept,
        }.items():
            self[ord(character)] = spelling

    def __missing__(self, code: int) -> str:
        spelling = self[code] = self._spell(chr(code))
        return spelling

    def _spell(self, character: str) -> str:
        category = unicodedata.category(character)
        if category[0] == "S":  # "℃" is not read "c"
            return " "
        decomposed = unicodedata.normalize("NFKD", character).lower()
        letters = "".join(self._letter(part) for part in decomposed)
        return letters or ("" if category[0] in "LM" or category == "Cf" else " ")

    def _letter(self, part: str) -> str:
        if part in self._letters:
            return part
        return COMMON_FOLDS.get(part, "")
