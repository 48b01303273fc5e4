"""The special tokens of a Whisper, and the tokens that its decoder must not write.

Looked up by name, since their ids differ between vocabularies (large-v3 has one language more).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# As in openai-whisper's `non_speech_tokens`: marks of transcribers, which are no speech. A mark that is one token is
# suppressed with and without a space before it; notes are several tokens, of which the first is suppressed.
_MARKS = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
]
_NOTES = "♩♪♫♬♭♮♯"
MAX_PROMPT_TOKENS = 223  # half of the decoder's positions, less <|startofprev|>


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
    previous: int
    never: tuple[int, ...]

    def prompt(self, language: int, before: Sequence[int] = ()) -> list[int]:
        """Return the tokens that a transcript starts with: `language` is an id, `before` those of a text."""
        context = [self.previous, *before] if before else []
        return [*context, self.start, language, self.transcribe, self.no_timestamps]


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
    previous = number_of("startofprev")
    special = {
        start,
        transcribe,
        number_of("translate"),
        number_of("startoflm"),
        previous,
        no_speech,
    }
    never = tuple(sorted(special | _marks(encode)))
    end, no_timestamps = number_of("endoftext"), number_of("notimestamps")
    return Tokens(start, end, transcribe, no_timestamps, no_speech, previous, never)


def contexts(
    prompts: Iterable[tuple[str, str]], encode: Callable[[str], Sequence[int]]
) -> dict[str, list[int]]:
    """Return the tokens of each language's prompt.

    Raises:
        ValueError: for a prompt that is longer than Whisper's context, of which it would lose the beginning.
    """
    found = {code: list(encode(f" {text.strip()}")) for code, text in prompts if text.strip()}
    for code, ids in found.items():
        if len(ids) > MAX_PROMPT_TOKENS:
            raise ValueError(
                f"prompt of {code}: at most {MAX_PROMPT_TOKENS} tokens expected, found {len(ids)}; shorten it"
            )
    return found


def _marks(encode: Callable[[str], Sequence[int]]) -> set[int]:
    found = {encode(" -")[0], encode(" '")[0]}  # as the first sign of a word only
    for mark in [*_MARKS, *_NOTES]:
        for tokens in (encode(mark), encode(f" {mark}")):
            if len(tokens) == 1 or mark in _NOTES:
                found.add(tokens[0])
    return found
