"""Signs of a bad transcript in its text: loops, letters of another script, an impossible speed."""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from ..text.languages import has_rules
from ..text.normalize import alphabet, normalize

_LONGEST_UNIT = 10  # words
_LONGEST_UNSPACED = 20  # letters of a word that repeats itself: "hahahaha"
# Letters that a digit stands for in a language without rules: medians over 47 languages of num2words are 4.0 for
# digits alone, 5.5 in numbers of two digits, 6.7 in those of four.
_LETTERS_PER_DIGIT = 5.0
_LEAST_PROBABILITY = 0.03
# Scripts that are written side by side in one language.
_MIXED = {
    "HIRAGANA": "CJK",
    "KATAKANA": "CJK",
    "KATAKANA-HIRAGANA": "CJK",
    "HANGUL": "CJK",
    "BOPOMOFO": "CJK",
}


def bare_word(word: str) -> str:
    """Return a word in lower case without the signs around it."""
    return word.strip(".,;:!?…\"'«»¡¿-").lower()


def loop_score(text: str) -> float:
    """Return how much of a text is one phrase repeated at once, the sign of a decoder in a loop.

    It is the share of words that repeat the phrase right before them, for the phrase that covers most; or the same over
    the letters of a long word, if larger. 0 without repetition, 0.75 for "no no no no".
    """
    words = [bare for word in text.split() if (bare := bare_word(word))]
    letters = [list(word) for word in words if len(word) > _LONGEST_UNSPACED]
    by_letter = max((_covered(word, len(word) // 2) * len(word) for word in letters), default=0.0)
    num_letters = sum(map(len, words)) or 1
    return max(_covered(words, _LONGEST_UNIT), by_letter / num_letters)


def _covered(units: list[str], longest: int) -> float:
    """Return the largest share of units in one run in which each equals the unit one period earlier, over periods."""
    best = 0
    for period in range(1, min(longest, len(units) // 2) + 1):
        run = 0
        for index in range(period, len(units)):
            run = run + 1 if units[index] == units[index - period] else 0
            if run >= period:  # at least one whole repetition
                best = max(best, run)
    return best / len(units) if units else 0.0


def foreign_letters(text: str, language: str) -> float:
    """Return the share of letters of another script: neither in the language's alphabet nor Latin.

    So a foreign name (Ångström) does not count but Москва in a French text does. The script of a language without rules
    is that of most of the text's letters. 0 for a text without letters.
    """
    letters = [char for char in text.lower() if char.isalpha()]
    if has_rules(language):
        foreign = len(letters) - len(without_foreign_letters("".join(letters), language))
    else:
        scripts = Counter(map(_script, letters))
        del scripts["LATIN"]
        foreign = scripts.total() - max(scripts.values(), default=0)
    return foreign / len(letters) if letters else 0.0


def without_foreign_letters(text: str, language: str) -> str:
    """Return a text without letters that are neither Latin nor in the alphabet of a language with rules."""
    known = alphabet(language) if has_rules(language) else None
    return "".join(
        char
        for char in text
        if known is None or not char.isalpha() or char.lower() in known or _script(char) == "LATIN"
    )


def _script(char: str) -> str:
    first = unicodedata.name(char, "").partition(" ")[0]
    return _MIXED.get(first, first)


def language_change(parts: Sequence[Mapping[str, float]], language: str) -> float:
    """Return the evidence that neighbouring parts of a recording are in another language than the whole.

    It is ln of how many times likelier the other language is there, for the language and parts with most; 0 for one
    part. Languages are detected badly in 3 s, so probabilities below 0.03 count as 0.03: no part decides alone unless
    it is sure (3.5). `parts` are language -> probability, the likeliest of each part.
    """
    most = 0.0
    for other in {code for part in parts for code in part} - {language}:
        evidence = 0.0
        for part in parts:
            here, whole = (max(part.get(code, 0.0), _LEAST_PROBABILITY) for code in (other, language))
            evidence = max(0.0, evidence + math.log(here / whole))
            most = max(most, evidence)
    return most if len(parts) > 1 else 0.0


def characters_per_second(text: str, speech_s: float, language: str) -> float:
    """Return the letters of a text as spoken per second of speech: "7, 8" is "seven eight", 10 letters.

    Numbers are spelled by the rules of the language; without rules a digit counts as 5 letters. 0 for no text.
    """
    num = _spoken_letters(text, language)
    return num / max(speech_s, 0.1) if num else 0.0  # 0.1 s: the detector may find almost no speech


def _spoken_letters(text: str, language: str) -> float:
    if has_rules(language) and any(map(str.isnumeric, text)):
        text = normalize(text, language)
    num_digits = sum(char.isnumeric() and not char.isalpha() for char in text)
    return sum(map(str.isalpha, text)) + _LETTERS_PER_DIGIT * num_digits
