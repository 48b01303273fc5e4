"""Signs of a bad transcript in its text: loops, letters of another script, an impossible speed."""

import unicodedata

_LONGEST_UNIT = 10  # words
_LONGEST_UNSPACED = 20  # letters of a word that repeats itself: "hahahaha"


def loop_score(text: str) -> float:
    """Return how much of a text is one phrase repeated at once, the sign of a decoder in a loop.

    Args:
        text: any text.

    Returns:
        The share of words that repeat the phrase right before them, for the phrase that covers most; or the same over
        the letters of a long word, if larger. 0 without repetition, 0.75 for "no no no no".
    """
    words = [word.strip(".,;:!?…\"'«»¡¿-").lower() for word in text.split()]
    words = [word for word in words if word]
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


def foreign_letters(text: str, alphabet: frozenset[str]) -> float:
    """Return how much of a text is in another script.

    Args:
        text: any text.
        alphabet: letters of the language, in lower case.

    Returns:
        The share of letters that are neither in the alphabet nor Latin, so that a foreign name (Ångström) does not
        count but Москва does; 0 for a text without letters.
    """
    letters = [char for char in text.lower() if char.isalpha()]
    foreign = sum(not _is_known(char, alphabet) for char in letters)
    return foreign / len(letters) if letters else 0.0


def _is_known(char: str, alphabet: frozenset[str]) -> bool:
    return char in alphabet or "LATIN" in unicodedata.name(char, "")


def characters_per_second(text: str, speech_s: float) -> float:
    """Return how fast a text must have been spoken.

    Args:
        text: any text.
        speech_s: duration of the speech, s.

    Returns:
        Letters and digits per second; 0 for no text.
    """
    num = sum(char.isalnum() for char in text)
    return num / max(speech_s, 0.1) if num else 0.0  # 0.1 s: the detector may find almost no speech
