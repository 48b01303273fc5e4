"""Undo a recogniser's repetition: what is said once in a short clip may be written twice, or more often.

Whisper base does so after a prompt that is a list: in 64 of 988 clips of GRID's speaker s1, where the text as written
would be 22 to 51 letters per second of speech; of the other clips 99 % have 10 to 19.
"""

from dataclasses import replace

from .signals import bare_word, characters_per_second, loop_score
from .table import ClipLabel

# Of fewer words, people do say things twice: "very, very", "no no no".
_LEAST_WORDS = 3


def written_once(label: ClipLabel, max_characters_per_second: float) -> ClipLabel:
    """Keep one copy where the whole text is copies of a phrase, and too much for the clip's speech.

    Args:
        label: a row of labels.tsv.
        max_characters_per_second: letters per second of speech from which nobody says the phrase so often.

    Returns:
        the label with the phrase as its text and without the scores of a loop, or the label as it is.
    """
    words = label.text.split()
    length = _period([*map(bare_word, words)])
    rate = characters_per_second(label.text, label.speech_s, label.language)
    if not _LEAST_WORDS <= length < len(words) or rate <= max_characters_per_second:
        return label
    text = " ".join(words[:length])
    once = characters_per_second(text, label.speech_s, label.language)
    return replace(
        label,
        text=text,
        loop_score=loop_score(text),
        compression_ratio=None,
        characters_per_second=once,
    )


def _period(words: list[str]) -> int:
    """Return the length of the shortest phrase that the words are whole copies of; all, if they are not."""
    return next(
        (
            length
            for length in range(1, len(words))
            if not len(words) % length and words == words[:length] * (len(words) // length)
        ),
        len(words),
    )
