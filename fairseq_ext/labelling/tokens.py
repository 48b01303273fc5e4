"""The special tokens of a Whisper, and the tokens that its decoder must not write.

Looked up by name, since their ids differ between vocabularies (large-v3 has one language more).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# As in openai-whisper's `non_speech_tokens`: marks of transcribers, which are no speech. A mark that is one token is
# suppressed with and without a space before it; notes are several tokens, of which the first is suppressed.
_MARKS = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
]
_NOTES = "♩♪♫♬♭♮♯"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Ids of the special tokens; those from `end` (`<|endoftext|>`) on are all special.

    The probability of `no_speech` after `start` is that of silence; `never` are sorted ids that must not be written.
    """

    start: int
    end: int
    transcribe: int
    no_timestamps: int
    no_speech: int
    never: tuple[int, ...]

    def prompt(self, language: int) -> list[int]:
        """Return the four tokens that a transcript starts with; `language` is the id of its token."""
        return [self.start, language, self.transcribe, self.no_timestamps]


def find(number: Callable[[str], int | None], encode: Callable[[str], Sequence[int]]) -> Tokens:
    """Look the tokens up in a vocabulary: `number` maps a special token to its id or None, `encode` a text to ids.

    Raises:
        ValueError: when the vocabulary lacks one of them.
    """

    def number_of(*names: str) -> int:
        for name in names:
            if (found := number(f"<|{name}|>")) is not None:
                return found
        raise ValueError(
            f"vocabulary: it has no <|{names[0]}|>; take a multilingual Whisper with its tokenizer.json"
        )

    no_speech = number_of("nospeech", "nocaptions")  # the name in older files
    start, transcribe = number_of("startoftranscript"), number_of("transcribe")
    special = {
        start,
        transcribe,
        number_of("translate"),
        number_of("startoflm"),
        number_of("startofprev"),
        no_speech,
    }
    never = tuple(sorted(special | _marks(encode)))
    return Tokens(start, number_of("endoftext"), transcribe, number_of("notimestamps"), no_speech, never)


def _marks(encode: Callable[[str], Sequence[int]]) -> set[int]:
    found = {encode(" -")[0], encode(" '")[0]}  # as the first sign of a word only
    for mark in [*_MARKS, *_NOTES]:
        for tokens in (encode(mark), encode(f" {mark}")):
            if len(tokens) == 1 or mark in _NOTES:
                found.add(tokens[0])
    return found
