"""The special tokens of a Whisper, and those that its decoder must not write.

Numbers differ between vocabularies (large-v3 has one language more), names do not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Of openai-whisper's `non_speech_tokens`: marks of transcribers rather than words. Single ones are tokens of their
# own with and without a space before; of the last row, which are several tokens, the first is left out.
_MARKS = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
]
_NOTES = "♩♪♫♬♭♮♯"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Numbers of special tokens.

    Attributes:
        start: `<|startoftranscript|>`.
        end: `<|endoftext|>`; numbers from here on are no text.
        transcribe: the task.
        no_timestamps: no times within the text.
        no_speech: its probability after `start` tells that nobody speaks.
        never: not to be written, sorted.
    """

    start: int
    end: int
    transcribe: int
    no_timestamps: int
    no_speech: int
    never: tuple[int, ...]

    def prompt(self, language: int) -> list[int]:
        """What the decoder starts from.

        Args:
            language: token of the language.

        Returns:
            Four tokens.
        """
        return [self.start, language, self.transcribe, self.no_timestamps]


def find(number: Callable[[str], int | None], encode: Callable[[str], Sequence[int]]) -> Tokens:
    """Looks the tokens up.

    Args:
        number: special token -> its number, None for one that is not there.
        encode: text -> tokens.

    Returns:
        The numbers.

    Raises:
        ValueError: for a vocabulary without one of them.
    """

    def of(*names: str) -> int:
        for name in names:
            if (found := number(f"<|{name}|>")) is not None:
                return found
        raise ValueError(
            f"vocabulary: <|{names[0]}|> expected, found none; take a multilingual Whisper with its tokenizer.json"
        )

    no_speech = of("nospeech", "nocaptions")  # the name in older files
    start, transcribe = of("startoftranscript"), of("transcribe")
    special = {start, transcribe, of("translate"), of("startoflm"), of("startofprev"), no_speech}
    never = tuple(sorted(special | _marks(encode)))
    return Tokens(start, of("endoftext"), transcribe, of("notimestamps"), no_speech, never)


def _marks(encode: Callable[[str], Sequence[int]]) -> set[int]:
    found = {encode(" -")[0], encode(" '")[0]}  # as the first sign of a word only
    for mark in [*_MARKS, *_NOTES]:
        for tokens in (encode(mark), encode(f" {mark}")):
            if len(tokens) == 1 or mark in _NOTES:
                found.add(tokens[0])
    return found
