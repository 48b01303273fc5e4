"""The unit of each video frame of a clip, from the frames in which its letters were heard.

A CTC names a letter in a frame or two, within its sound. Frames between two letters of a word go to the nearer one, and
around a word the letters reach `REACH` frames further; what is left is silence, `<s>`, which is CTC's blank.

Shapes: T frames at 25 Hz.
"""

from collections.abc import Iterable, Iterator, Sequence

from ..text.units import WORD_END, WORD_START

# Frames from and to, the latter not included.
Span = tuple[int, int]
# Spans of the letters of each word of a clip.
LetterTimes = Sequence[Sequence[Span]]

SILENT_FRAME = "<s>"
UNKNOWN_FRAME = "<unk>"  # of a held-out text with a letter that training lacks
REACH = 2  # frames; on drawn speakers whose sounds are timed 89 % of the frames were right, with 3 and 4 86 and 85 %


def letters_of_frames(words: LetterTimes, num_frames: int) -> list[tuple[int, int] | None]:
    """Return word and letter, as numbers, of each of T frames; None in silence."""
    letters = [
        (word, letter, start, end)
        for word, own in enumerate(words)
        for letter, (start, end) in enumerate(own)
    ]
    return [_letter_at(frame, letters) for frame in range(num_frames)]


def _letter_at(frame: int, letters: Sequence[tuple[int, int, int, int]]) -> tuple[int, int] | None:
    """Return the nearest letter, if it is within reach or the frame is between letters of one word."""
    before = [letter for letter in letters if letter[2] <= frame][-1:]
    after = [letter for letter in letters if letter[2] > frame][:1]
    near = [
        (max(frame - end + 1, start - frame, 0), word, letter) for word, letter, start, end in before + after
    ]
    if not near:
        return None
    away, word, letter = min(near)
    within = len(near) == 2 and before[0][0] == after[0][0]
    return (word, letter) if within or away <= REACH else None


def character_frames(text: str, words: LetterTimes, num_frames: int) -> list[str]:
    """Return the character of each of T frames; `|`, after a word, takes a frame of silence or the word's last one."""
    spelled = text.split()
    found = letters_of_frames(words, num_frames)
    units = [SILENT_FRAME if at is None else spelled[at[0]][at[1]] for at in found]
    for word in range(len(spelled)):
        frames = [frame for frame, at in enumerate(found) if at is not None and at[0] == word]
        if frames:
            last = frames[-1]
            is_silent = last + 1 < num_frames and found[last + 1] is None
            units[last + 1 if is_silent else last] = WORD_END
    return units


def piece_frames(text: str, pieces: Iterable[str], words: LetterTimes, num_frames: int) -> list[str]:
    """Return the SentencePiece unit of each of T frames.

    Args:
        text: words with single spaces.
        pieces: units of the text, in order.
        words: spans of the letters of each word.
        num_frames: T.
    """
    owners = dict(zip(_letters(text), _owners(pieces), strict=True))
    return [SILENT_FRAME if at is None else owners[at] for at in letters_of_frames(words, num_frames)]


def _letters(text: str) -> Iterator[tuple[int, int]]:
    for word, letters in enumerate(text.split()):
        yield from ((word, letter) for letter in range(len(letters)))


def _owners(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the piece of each letter; a piece that is a word's mark alone has none."""
    for piece in pieces:
        yield from [piece] * len(piece.removeprefix(WORD_START))
