"""English with the phonology of another first language: sounds that it lacks are replaced, clusters broken or reduced.

espeak-ng's voices of Arabic, Mandarin, Hindi and Korean read English words with the phonemes of English, unchanged,
those of Spanish and Vietnamese by their own letters; some have a pitch and an equaliser of their own. So an accent is
made here of the phonemes of American English, by rules, and every accent is spoken with the same voices. Intonation and
stress stay English. The rules follow Swan and Smith 2001, "Learner English", in sounds that espeak-ng can say with an
American voice. They are strong ones: what many learners do sometimes, each speaker here does as often as the `strength`
says.

Phonemes are espeak-ng's mnemonics, such as D (this), T (thin), S (she), N (sing), i: (see), I (sit), a (hat), V (cup);
of others t[ and d[ are dental, R is a trill, * a flap, z. is retroflex, tS; and dZ; are alveolo-palatal, v# is between
v and w, x is a velar fricative, B and Q are the fricatives of b and g, c is a palatal stop, ? a glottal one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from .speech import mnemonics

__all__ = ["ACCENTS", "accented"]

LANGUAGE = "en-us"
# Vowels with an r or an l in them as two sounds, and what only tells reduced and flapped sounds from full ones.
_PLAIN: Mapping[str, str] = {
    "@2": "@", "@5": "@", "a#": "@", "a2": "a", "aa": "a", "I2": "I", "I#": "I", "I2#": "I", "i": "i:", "02": "0",
    "O2": "0",
    "O": "O:", "E2": "E", "E#": "E", "@L": "@ l", "3": "@ r", "e@": "E r", "i@3": "I r", "i@": "I r", "U@": "U r",
    "A@": "A: r", "A#": "A: r", "O@": "O: r", "o@": "O: r", "aI@": "aI @", "aI3": "aI @ r", "aU@": "aU @ r",
    "IR": "@ r",
    "VR": "V r", "n-": "@ n", "w#": "w", "t": "t2", "t#": "t2", "d#": "d", "z#": "z", "z/2": "z", "l/2": "l", "r-": "r",
}  # fmt: skip
_VOWELS = {
    "@", "I", "i:", "E", "a", "A:", "0", "O:", "V", "U", "u:", "3:", "aI", "aU", "OI", "eI", "oU", "e", "i", "o", "u",
    "e:",
    "o:", "a#",
}  # fmt: skip

# A rule: English sounds, what is said instead ("&": the sound itself, "-": nothing), and where in a word:
#   any         anywhere
#   first, last the first or last sound of the word
#   between     between vowels
#   coda        after a vowel, and none after it
#   ending      a consonant after another one, without a vowel after it
#   cluster     a consonant before another one with a vowel after both, as in "street"
#   second      the later one of these
#   s_cluster   the first sound of the word, before a consonant
# The first rule that fits counts.
_Rule = tuple[str, str, str]

ACCENTS: Mapping[str, tuple[_Rule, ...]] = {
    "Arabic": (
        ("s", "I &", "s_cluster"),
        ("p", "b I", "cluster"),
        ("b t2 d k g f s", "& I", "cluster"),
        ("p", "b", "any"), ("v", "f", "any"), ("tS", "S", "any"), ("N", "N g", "any"), ("r", "R", "any"),
        ("I", "E", "any"), ("E", "I", "any"), ("V @", "a#", "any"), ("0 O:", "o", "any"), ("oU", "o:", "any"),
        ("eI", "e:", "any"), ("3:", "E R", "any"), ("Z", "dZ", "any"), ("u:", "u", "any"), ("A:", "a", "any"),
    ),
    "Mandarin": (
        ("l", "o", "coda"), ("n", "N", "coda"), ("r", "r.", "coda"), ("b", "p @", "last"), ("d", "t2 @", "last"),
        ("g", "k @", "last"), ("p t2 k f s", "& @", "last"), ("z", "s @", "last"), ("p b t2 d k g", "& @", "cluster"),
        ("T", "s", "any"), ("D", "z", "any"), ("v", "w", "any"), ("r", "z.", "any"), ("z", "ts", "any"), ("h", "x",
        "any"),
        ("S", "S;", "any"), ("tS", "tS;", "any"), ("dZ Z", "dZ;", "any"), ("I", "i:", "any"), ("U", "u:", "any"),
        ("a", "E", "any"), ("V", "A:", "any"), ("oU", "o", "any"), ("3:", "@ r.", "any"), ("O: 0", "o", "any"),
    ),
    "Hindi": (
        ("s", "I &", "s_cluster"),
        ("T", "t[", "any"), ("D", "d[", "any"), ("v w", "v#", "any"), ("r", "*", "any"), ("z Z", "dZ", "any"),
        ("eI", "e:", "any"), ("oU", "o:", "any"), ("a", "E", "any"), ("0 O:", "A:", "any"), ("@ V", "a#", "any"),
        ("3:", "a# *", "any"), ("N", "N g", "any"), ("tS", "c", "any"), ("dZ", "J", "any"), ("t2", "t[ h", "first"),
        ("l", "l.", "coda"), ("n", "n.", "coda"),
    ),
    "Korean": (
        ("tS", "tS; i", "last"), ("dZ Z z", "dZ; i", "last"), ("S", "S; i", "last"), ("s", "s U", "last"),
        ("f", "p U", "last"), ("v b", "b U", "last"), ("d", "d U", "last"), ("g", "g U", "last"), ("T", "s U", "last"),
        ("f", "p U", "cluster"), ("T", "s U", "cluster"), ("p b t2 d k g s", "& U", "cluster"), ("r", "-", "coda"),
        ("l", "*", "between"), ("r", "*", "any"), ("f", "p", "any"), ("v", "b", "any"), ("T", "s", "any"), ("D", "d",
        "any"),
        ("z Z dZ", "dZ;", "any"), ("tS", "tS;", "any"), ("S", "S;", "any"), ("I i:", "i", "any"), ("U u:", "u", "any"),
        ("a", "E", "any"), ("V @ 3:", "O:", "any"), ("0", "a#", "any"), ("O: oU", "o", "any"), ("eI", "e", "any"),
    ),
    "Spanish": (
        ("s", "e &", "s_cluster"),
        ("r", "R", "first"), ("w", "g w", "first"), ("j", "J^", "first"), ("v b", "B", "between"), ("g", "Q",
        "between"),
        ("d D", "D", "between"), ("t2 d", "-", "ending"), ("m N", "n", "last"), ("d", "D", "last"), ("v", "b", "any"),
        ("z", "s", "any"), ("T", "t[", "any"), ("D", "d[", "any"), ("S", "tS", "any"), ("dZ Z", "J^", "any"),
        ("h", "x", "any"), ("r", "*", "any"), ("I i:", "i", "any"), ("U u:", "u", "any"), ("V a A: @", "a#", "any"),
        ("0 O: oU", "o", "any"), ("E", "e", "any"), ("3:", "e *", "any"),
    ),
    "Vietnamese": (
        ("p b t2 d k g s z f v T D S tS dZ Z l m n", "-", "ending"),
        ("s z S tS dZ Z T D f v r", "-", "coda"), ("t2 d k g", "?", "coda"), ("b", "p", "coda"), ("l", "n", "coda"),
        ("r l w j", "-", "second"), ("p", "b", "first"), ("j", "z", "first"), ("T", "t2 h", "any"), ("D", "z", "any"),
        ("S", "s", "any"), ("tS", "c", "any"), ("dZ Z r", "z", "any"), ("I i:", "i", "any"), ("U u:", "u", "any"),
        ("a", "E", "any"), ("oU", "o:", "any"), ("eI", "e:", "any"), ("3:", "@", "any"), ("0", "O:", "any"),
    ),
}  # fmt: skip


def accented(text: str, accent: str, *, strength: float, seed: int) -> str:
    """Return how a speaker says an English text, as phonemes for `speech.synthesise`.

    Args:
        text: English words.
        accent: one of `ACCENTS`, or "" for American English.
        strength: share of the sounds that a rule fits to which it is applied, 0 to 1.
        seed: seed of which these are.
    """
    rng = np.random.default_rng(seed)
    rules = ACCENTS[accent] if accent else ()
    return " ".join("|".join(_said(word, rules, strength, rng)) for word in _english(text))


@lru_cache(maxsize=1024)
def _english(text: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the words of a text as (mark of stress, phoneme)."""
    words = []
    for word in mnemonics(text, language=LANGUAGE):
        sounds: list[tuple[str, str]] = []
        for phoneme in word:
            plain = phoneme.lstrip("',%")
            parts = _PLAIN.get(plain, plain).split()
            sounds += [
                (phoneme[: len(phoneme) - len(plain)] if i == 0 else "", p) for i, p in enumerate(parts)
            ]
        words.append(tuple(sounds))
    return tuple(words)


def _said(
    word: Sequence[tuple[str, str]], rules: Sequence[_Rule], strength: float, rng: np.random.Generator
) -> list[str]:
    """Return the phonemes of a word with its stress, at the first vowel of what replaces the stressed one."""
    sounds = [phoneme for _, phoneme in word]
    said: list[str] = []
    for number, (stress, phoneme) in enumerate(word):
        new = next(
            (new for old, new, where in rules if phoneme in old.split() and _fits(where, sounds, number)), "&"
        )
        if rng.random() >= strength:
            new = "&"
        parts = ["" if part == "-" else part.replace("&", phoneme) for part in new.split()]
        stressed = next((i for i, part in enumerate(parts) if part in _VOWELS), 0)
        said += [stress + part if i == stressed else part for i, part in enumerate(parts) if part]
    return said


def _fits(where: str, sounds: Sequence[str], number: int) -> bool:
    """Return whether the sound of a number is where a rule says."""
    is_vowel = [sound in _VOWELS for sound in sounds]
    before, after = is_vowel[:number], is_vowel[number + 1 :]
    follows = number + 1 < len(sounds) and not is_vowel[number + 1] and any(after)
    return {
        "any": True,
        "first": not before,
        "last": not after and any(before),
        "between": before[-1:] == [True] and after[:1] == [True],
        "coda": before[-1:] == [True] and after[:1] != [True],
        "ending": before[-1:] == [False] and any(before) and not any(after),
        "cluster": follows and before[-1:] != [True],
        "second": before[-1:] == [False] and after[:1] == [True],
        "s_cluster": follows and not before,
    }[where]
