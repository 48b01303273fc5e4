"""Sentences from a grammar: without end, but of few words and in an order that a model can learn.

A grammar is a text of rules, `symbol: alternative | alternative`. An alternative holds words and `<symbols>`;
`@3` after it makes it three times as likely. Rules with the same symbol add up.

Agreement: a rule that holds `{gn}` stands for four, with gender and number ms, fs, mp, fp in its place; of
words written `nen/nena/nens/nenes` each takes the one in that position, of words written `menja/mengen` the
singular or plural. `{n}` alone stands for two rules (s, p), as does `{g}` (m, f).

Test sentences are unseen by construction: a digest of its words puts a sentence on one side, whatever the seed.
"""

import functools
import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from itertools import count as count_from
from typing import NamedTuple

from .grammars import catalan, english, spanish

__all__ = ["LANGUAGES", "SIDES", "STYLES", "Sentence", "draw", "restyle", "side_of", "vocabulary"]

_GRAMMARS = {"ca": catalan, "en": english, "es": spanish}
LANGUAGES = tuple(_GRAMMARS)
SIDES = ("train", "dev", "test")

_FORMS = {"{gn}": ("ms", "fs", "mp", "fp"), "{n}": ("s", "p"), "{g}": ("m", "f")}
_NUM_WORDS = range(5, 15)  # 1.5 to 6 s
_MAX_REPEATS = 10_000  # rejected sentences in a row, after which the grammar counts as exhausted

Rules = Mapping[str, tuple[tuple[str, ...], ...]]


class Sentence(NamedTuple):
    """A sentence as printed, and the words spoken: lower case, without punctuation, apostrophes kept."""

    text: str
    words: tuple[str, ...]


# Spellings that occur in real texts: pattern and replacement.
_STYLES = {
    "curly apostrophe": ("'", "’"),
    "guillemets": (r"(.+?)([.?])$", r"«\1»\2"),
    "quotes": (r"^(\S+ [^\s,]+)", r'"\1"'),
    "ellipsis": (r"\.$", "…"),
    "one-character l·l": ("l·l", "ŀl"),
    "two spaces": (", ", ",  "),
}
STYLES = ("digits", "capitals", *_STYLES)


def draw(language: str, side: str, num_sentences: int, *, seed: int) -> list[Sentence]:
    """Draw distinct sentences; fewer sentences are the first of many.

    Args:
        language: one of `LANGUAGES`.
        side: one of `SIDES`; no sentence is on two.
        num_sentences: number of sentences.
        seed: random seed of the sentences.

    Raises:
        ValueError: for an unknown language or side, or when the grammar holds too few sentences.
    """
    if side not in SIDES or num_sentences < 0:
        raise ValueError(
            f"sentences: a side of {SIDES} and 0 or more expected, found {side!r} and {num_sentences}"
        )
    found: dict[tuple[str, ...], Sentence] = {}
    repeats = 0
    sentences = _stream(language, seed)
    while len(found) < num_sentences:
        sentence = next(sentences)
        words = sentence.words
        if words in found or len(words) not in _NUM_WORDS or side_of(words) != side:
            repeats += 1
        else:
            repeats, found[words] = 0, sentence
        if repeats > _MAX_REPEATS:
            raise ValueError(
                f"sentences: {num_sentences} different ones expected, found {len(found)} in {language!r}; "
                "ask for fewer"
            )
    return list(found.values())


def side_of(words: tuple[str, ...]) -> str:
    """Return the side of a sentence, whatever the seed: an eighth is dev, an eighth test."""
    digest = hashlib.sha256(" ".join(words).encode()).digest()[0]
    return "test" if digest < 32 else "dev" if digest < 64 else "train"


def vocabulary(language: str) -> frozenset[str]:
    """Return all words of the sentences as in the grammar, in lower case, before contraction."""
    tokens = {t for rule in _rules(language).values() for alternative in rule for t in alternative}
    return frozenset(t for t in tokens if t[0] != "<" and any(map(str.isalnum, t)))


def restyle(sentence: Sentence, style: str, language: str) -> str:
    """Spell a sentence in one of `STYLES`, which is read aloud the same; unchanged when it does not apply."""
    if style == "capitals":
        return sentence.text.upper()
    if style == "digits":
        digits = dict(pair.split("=") for pair in _GRAMMARS[language].NUMERALS.split())
        return re.sub(r"[^\W\d]+(?:-[^\W\d]+)*", lambda m: digits.get(m[0], m[0]), sentence.text)
    return re.sub(*_STYLES[style], sentence.text)


def _stream(language: str, seed: int) -> Iterator[Sentence]:
    rules = _rules(language)
    for number in count_from():
        rng = random.Random(f"{language} {seed} {number}")
        yield _print(" ".join(_expand("sentence", rules, rng)), language)


def _expand(symbol: str, rules: Rules, rng: random.Random) -> Iterator[str]:
    for token in rng.choice(rules[symbol]):
        if token[0] == "<":
            yield from _expand(token[1:-1], rules, rng)
        else:
            yield token


def _print(tokens: str, language: str) -> Sentence:
    """Join tokens to a text: contractions, punctuation, a capital letter."""
    for pattern, replacement in _GRAMMARS[language].REWRITES:
        tokens = re.sub(pattern, replacement, tokens)
    text = re.sub(r" ([,.?])", r"\1", tokens).replace("¿ ", "¿")
    words = tuple(word.strip(",.?¿").lower() for word in text.split())
    start = next(i for i, character in enumerate(text) if character.isalpha())
    return Sentence(text[:start] + text[start].upper() + text[start + 1 :], words)


@functools.cache
def _rules(language: str) -> Rules:
    """Parse a grammar into the alternatives of each symbol: agreement expanded, weights as repetitions."""
    if language not in _GRAMMARS:
        raise ValueError(f"sentences: a language of {LANGUAGES} expected, found {language!r}")
    rules: dict[str, list[tuple[str, ...]]] = {}
    for line in filter(None, _GRAMMARS[language].GRAMMAR.splitlines()):
        symbol, _, right = line.partition(": ")
        for alternative in right.split(" | "):
            body, _, weight = alternative.partition(" @")
            for name, tokens in _agree(symbol, body):
                rules.setdefault(name, []).extend([tuple(tokens.split())] * int(weight or 1))
    return {name: tuple(alternatives) for name, alternatives in rules.items()}


def _agree(symbol: str, body: str) -> Iterator[tuple[str, str]]:
    """Yield a rule for each value of the feature in it, or the rule itself when it has none."""
    rule = f"{symbol}: {body}"
    feature = next((name for name in _FORMS if name in rule), None)
    if feature is None:
        yield symbol, body
        return
    forms = _FORMS[feature]
    for number, form in enumerate(forms):
        whole = rule.replace("{gn}", form).replace("{n}", form[-1]).replace("{g}", form[0])
        name, _, tokens = whole.partition(": ")
        yield name, " ".join(_pick(token.split("/"), number, len(forms)) for token in tokens.split())


def _pick(options: list[str], number: int, num_forms: int) -> str:
    """Return the word for a form: of four words that one, of two singular or plural, a single word always."""
    return options[number * len(options) // num_forms]
