"""Map texts to visemes, the classes that can be told apart on lips: their error rate forgives confused homophenes.

The classes are those of Jeffers and Barley 1971, "Speechreading (Lipreading)", under usual viewing conditions, as
listed by Cappelletta and Harte 2012, "Phoneme-to-viseme mapping for visual speech recognition", with the three rounded
vowel classes joined to that of /w r/, from which spelling does not tell them apart:

    F  f v               P  p b m             W  w r, rounded vowels    T  th (English)
    C  sh zh tsh dzh     S  s z               D  t d n l                K  k g ng h
    A  other vowels, y

Texts are mapped by the letters, with rules for groups of them in each language. That is close for Spanish and Italian,
less so for Portuguese and French, and rough for English. Both sides of a comparison are mapped by the same rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

_LETTERS = {
    **dict.fromkeys("fv", "F"), **dict.fromkeys("pbm", "P"), **dict.fromkeys("wrou", "W"),
    **dict.fromkeys("sz", "S"), **dict.fromkeys("tdnl", "D"), **dict.fromkeys("kgqhc", "K"),
    **dict.fromkeys("aeiy", "A"), "j": "C", "x": "KS", "ñ": "D", "ç": "S",
}  # fmt: skip
# Group of letters -> visemes. `[...]` after a group is what must follow, `$` the end of the word.
_RULES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "tch": "C", "th": "T", "sh": "C", "ch": "C", "ph": "F", "ck": "K", "ng": "K", "qu": "KW", "wh": "W", "wr": "W",
        "kn": "D", "gh": "", "oo": "W", "ou": "AW", "ow": "AW", "c[eiy]": "S", "g[eiy]": "C", "e$": "",
    },
    "fr": {
        "eau": "W", "au": "W", "ou": "W", "oi": "WA", "ch": "C", "ph": "F", "gn": "D", "qu": "K", "ill": "A",
        "gu[eiy]": "K", "c[eiy]": "S", "g[eiy]": "C", "h": "", "er$": "A", "ez$": "A", "ent$": "", "es$": "", "e$": "",
        "s$": "", "t$": "", "d$": "", "x$": "", "z$": "", "p$": "",
    },
    "it": {
        "sch": "SK", "sc[ei]": "C", "cch": "K", "ch": "K", "ggh": "K", "gh": "K", "gli": "DA", "gn": "D", "qu": "KW",
        "cc[ei]": "C", "gg[ei]": "C", "c[ei]": "C", "g[ei]": "C", "zz": "DS", "z": "DS", "h": "",
    },
    "es": {
        "ch": "C", "ll": "A", "rr": "W", "qu": "K", "gu[ei]": "K", "c[ei]": "S", "v": "P", "j": "K", "h": "",
    },
    "pt": {
        "ch": "C", "lh": "D", "nh": "D", "rr": "K", "qu": "K", "gu[ei]": "K", "c[ei]": "S", "g[ei]": "C", "x": "C",
        "h": "",
    },
}  # fmt: skip
LANGUAGES = tuple(_RULES)
# The classes by the letters that are most often theirs, for readers.
NAMES: Mapping[str, str] = {
    "P": "p b m", "F": "f v", "T": "th", "S": "s z", "C": "sh ch", "D": "t d n l", "K": "k g h", "W": "w r o u",
    "A": "a e i y",
}  # fmt: skip
# Letters whose mark changes what is seen; all others lose theirs.
_KEPT = "çñ"


def has_rules(language: str) -> bool:
    """Return whether there are rules for a language, by the first part of its code."""
    return _base(language) in _RULES


def visemes(text: str, language: str) -> list[str]:
    """Return the visemes of a normalised text, without the words' borders, which cannot be seen.

    Raises:
        ValueError: no rules for the language.
    """
    base = _base(language)
    if base not in _RULES:
        raise ValueError(
            f"visemes: one of {', '.join(LANGUAGES)} expected, found {language!r}; add its rules"
        )
    return [viseme for word in text.split() for viseme in _of_word(_plain(word), base)]


def _base(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()


def _plain(word: str) -> str:
    marks = (c if c in _KEPT else unicodedata.normalize("NFD", c)[0] for c in word.lower())
    return "".join(c for c in marks if c.isalpha())


@cache
def _of_word(word: str, language: str) -> str:
    found, place, pattern = "", 0, _pattern(language)
    while place < len(word):
        if match := pattern.match(word, place):
            assert match.lastindex is not None
            found += _RULES[language][_groups(language)[match.lastindex - 1]]
            place = match.end()
            continue
        # A double consonant is seen once.
        if place == 0 or word[place] != word[place - 1] or word[place] in "aeiou":
            found += _LETTERS.get(word[place], "")
        place += 1
    return found


@cache
def _pattern(language: str) -> re.Pattern[str]:
    """Compile the groups, the longest first; the number of a match's group is that of its rule."""
    return re.compile("|".join(f"({_lookahead(group)})" for group in _groups(language)))


@cache
def _groups(language: str) -> tuple[str, ...]:
    """Return the groups by falling number of letters; of as many, those with a condition first."""
    return tuple(sorted(_RULES[language], key=lambda g: (-len(re.sub(r"\[.*\]|\$", "", g)), -len(g))))


def _lookahead(group: str) -> str:
    return re.sub(r"(\[.*\])", r"(?=\1)", group)
