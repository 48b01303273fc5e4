"""Short phrases of few words in five languages, for corpora of talking faces ("Anna buys two red apples today.").

Lips show less than audio does (p, b and m look alike), so a small lip reader, and a small Whisper, can learn a grammar
of some thirty words. Each language has as many phrases as its slots have combinations, 12,000 and more; a
digest of its words puts a phrase on one side, whatever the seed (`sentences.side_of`).
"""

import math
import random
from itertools import count as count_from

from .sentences import SIDES, Sentence, side_of

__all__ = ["LANGUAGES", "draw", "vocabulary"]

# The words of each slot, in the order in which the language says them. Nouns are feminine plurals throughout, so that
# any number and any colour agrees with any noun.
_SLOTS = {
    "en": (
        "anna paul mary luke",
        "buys sells brings finds washes",
        "two three five six ten",
        "red blue green black white",
        "apples chairs flowers lamps shirts boxes",
        "tomorrow today now always",
    ),
    "es": (
        "ana pablo maría luis",
        "compra vende lleva busca lava",
        "dos tres cinco seis diez",
        "manzanas sillas botas lámparas faldas cajas",
        "rojas azules monas negras blancas",
        "mañana hoy ahora siempre",
    ),
    "fr": (
        "anne paul marie louis",
        "achète vend porte cherche lave",
        "deux trois cinq six dix",
        "pommes chaises fleurs lampes robes montres",
        "rouges bleues mortes noires blanches",
        "demain ici maintenant souvent",
    ),
    "it": (
        "anna paolo maria luca",
        "compra vende porta cerca lava",
        "due otto cinque sei dieci",
        "mele sedie chiavi lampade gonne scarpe",
        "rosse verdi nere bianche belle",
        "domani oggi adesso spesso",
    ),
    "pt": (
        "ana paulo maria luís",
        "compra vende leva procura pinta",
        "duas oito cinco seis dez",
        "maçãs cadeiras pastas janelas saias caixas",
        "azuis bastas pretas brancas amarelas",
        "amanhã hoje agora sempre",
    ),
}
LANGUAGES = tuple(_SLOTS)


def draw(language: str, side: str, num_phrases: int, *, seed: int) -> list[Sentence]:
    """Draw distinct phrases, with a capital letter and a full stop; fewer phrases are the first of many.

    Args:
        language: one of `LANGUAGES`.
        side: "train", "dev" or "test"; no phrase is on two.
        num_phrases: number of phrases.
        seed: random seed of the phrases.

    Raises:
        ValueError: for an unknown language or side, or more phrases than there are.
    """
    slots = _slots(language)
    most = math.prod(map(len, slots)) // 10  # a side has an eighth at least, less a margin for its digests
    if side not in SIDES or not 0 <= num_phrases <= most:
        raise ValueError(
            f"phrases: a side of {SIDES} and 0 to {most} expected, found {side!r} and {num_phrases}; ask for fewer"
        )
    found: dict[tuple[str, ...], Sentence] = {}
    for number in count_from():
        if len(found) == num_phrases:
            break
        rng = random.Random(f"{language} {seed} {number}")
        words = tuple(rng.choice(slot) for slot in slots)
        if side_of(words) == side:
            found.setdefault(words, Sentence(f"{' '.join(words).capitalize()}.", words))
    return list(found.values())


def vocabulary(language: str) -> frozenset[str]:
    """Return all words of a language's phrases, in lower case; raise ValueError for an unknown language."""
    return frozenset(word for slot in _slots(language) for word in slot)


def _slots(language: str) -> list[list[str]]:
    if language not in _SLOTS:
        raise ValueError(f"phrases: a language of {LANGUAGES} expected, found {language!r}")
    return [slot.split() for slot in _SLOTS[language]]
