"""GRID: 34 speakers of English, filmed from the front, each saying 1,000 sentences of six words.

A sentence is command, colour, preposition, letter (not w), digit, adverb: "bin blue at f two now", 51 words in all. The
name of a file spells it by the first letter of each word, with the letter as it is and `z` for zero: `bbaf2n`.

Layout, as published: a folder per speaker, `s1` to `s34`, of videos (`.mpg`, 360x288 pixels, 3 s at 25 frames/s), and
of word times, `align/NAME.align`. How deep they lie differs from copy to copy (`s1/video/`, `s1/video/mpg_6000/`,
`s1/align/`, `alignments/s1/`), so that they are found by their suffixes; the folder nearest to a file that is named
after a speaker, such as `s1` or `grid_s1`, says whose it is. The video of s21 was never published.

A line of word times is start, end and word, in thousandths of a video frame: 23750 is 0.95 s. `sil` and `sp` are
silence. They come from aligning the sound by machine, not from people.

Size: 34,000 sentences, 28 h.

Source: Cooke et al. 2006, "An audio-visual corpus for speech perception and automatic speech recognition",
https://zenodo.org/records/3625687. Licence: CC BY 4.0.
"""

import logging
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from ..file_errors import MissingFileError, reading
from ..manifest import Utterance
from ..text.published import Report, published_lines

log = logging.getLogger(__name__)

FRAMES_PER_S = 25
SUFFIXES = (".mpg", ".mp4")
ALIGNMENT = ".align"
# Speaker of files in no folder that is named after one.
UNKNOWN_SPEAKER = "unknown"
FEMALE = frozenset(f"s{n}" for n in (4, 7, 11, 15, 16, 18, 20, 21, 22, 23, 24, 25, 29, 31, 33, 34))
SILENCE = frozenset({"sil", "sp"})

_UNITS_PER_S = 1000 * FRAMES_PER_S
_SPEAKER = re.compile(r"(?:.*[_-])?(s(?:[1-9]|[12]\d|3[0-4]))", re.ASCII)
_LETTERS = "abcdefghijklmnopqrstuvxyz"
_SLOTS: tuple[Mapping[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    dict(zip(_LETTERS, _LETTERS, strict=True)),
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
WORDS = tuple(dict.fromkeys(word for slot in _SLOTS for word in slot.values()))


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word, or silence ("sil", "sp"), and when it is said, s from the start of the video."""

    text: str
    start_s: float
    end_s: float


def sentence(name: str) -> str:
    """Return the sentence that the name of a file spells; raise ValueError for a name of another form."""
    if len(name) == len(_SLOTS) and all(letter in slot for letter, slot in zip(name, _SLOTS, strict=True)):
        return " ".join(slot[letter] for letter, slot in zip(name, _SLOTS, strict=True))
    raise ValueError(
        f"{name}: a name such as bbaf2n expected, a letter or digit for each of the six words of a sentence"
    )


def is_sentence(text: str) -> bool:
    """Return whether a text is one that the corpus may have: a word of each of the six kinds, in their order."""
    words = text.split()
    return len(words) == len(_SLOTS) and all(
        word in slot.values() for word, slot in zip(words, _SLOTS, strict=True)
    )


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to: `root` itself.

    Raises:
        FileNotFoundError: there is no video in it.
    """
    folder = Path(root)
    if not any(path.suffix in SUFFIXES for path in folder.rglob("*")):
        raise MissingFileError(f"{folder}: no {' or '.join(SUFFIXES)} in it; unpack the videos of GRID there")
    return folder


def read(root: str | os.PathLike[str], *, on_problem: Report | None = None) -> Iterator[Utterance]:
    """Read the videos (see `corpora/__init__.py` for the contract, but for `num_samples`), by speaker and name.

    `num_samples` is 0, which no manifest takes: what is trained on are clips of mouths, see `of_clips`. Ids are
    SPEAKER/NAME.

    Args:
        on_problem: receives a line for each file that is skipped, and one for files whose speaker is not known.
    """
    report, folder, seen = on_problem or log.warning, recordings_folder(root), set[str]()
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix in SUFFIXES]
    unknown = 0
    for path in sorted(found, key=lambda p: (_order(_speaker_of_file(folder / p)), p.stem, str(p))):
        speaker = _speaker_of_file(folder / path)
        try:
            text = sentence(path.stem)
            if (name := f"{speaker}/{path.stem}") in seen:
                raise ValueError(f"{name} occurs twice")
        except ValueError as error:
            report(f"{folder / path}: {error}; skipped")
            continue
        seen.add(name)
        unknown += speaker == UNKNOWN_SPEAKER
        yield Utterance(
            name, str(path), 0, transcript=text, speaker=speaker, language="en", gender=_gender(speaker)
        )
    if unknown:
        report(
            f"{folder}: {unknown} videos are in no folder that is named after a speaker, s1 to s34; their speaker is "
            f"written as {UNKNOWN_SPEAKER!r}"
        )


def word_times(
    root: str | os.PathLike[str], *, on_problem: Report | None = None
) -> dict[str, tuple[SpokenWord, ...]]:
    """Read the word times of a corpus: id of an utterance -> words and silence in order.

    Files that are damaged, or have other words than their name, are reported and left out.
    """
    report, found = on_problem or log.warning, dict[str, tuple[SpokenWord, ...]]()
    for path in sorted(Path(root).rglob(f"*{ALIGNMENT}")):
        try:
            words = read_alignment(path, report)
            said = " ".join(word.text for word in words if word.text not in SILENCE)
            if said != (expected := sentence(path.stem)):
                raise ValueError(f"the words {expected!r} expected, found {said!r}")
        except ValueError as error:
            report(f"{path}: {error}; left out")
            continue
        found[f"{_speaker_of_file(path)}/{path.stem}"] = words
    return found


def read_alignment(path: Path, report: Report) -> tuple[SpokenWord, ...]:
    """Read the word times of a sentence; raise ValueError for a line that is none, or times that go back."""
    words: list[SpokenWord] = []
    with reading(path, "word times"):
        for number, line in published_lines(path, report):
            if not line.strip():
                continue
            cells = line.split()
            if len(cells) != 3 or not all(cell.isascii() and cell.isdigit() for cell in cells[:2]):
                raise ValueError(f"line {number}: start, end and word expected, found {line!r}")
            start_s, end_s = (int(cell) / _UNITS_PER_S for cell in cells[:2])
            if end_s < start_s or (words and start_s < words[-1].end_s):
                raise ValueError(f"line {number}: the times go back")
            words.append(SpokenWord(cells[2].lower(), start_s, end_s))
    return tuple(words)


def words_of_frames(
    words: Sequence[SpokenWord], num_frames: int, *, start_s: float = 0.0
) -> list[str | None]:
    """Return the word that is said at the middle of each frame of a clip; None = silence.

    Args:
        words: word times of the whole video.
        num_frames: frames of the clip, 25 per second.
        start_s: start of the clip in the video, s.
    """
    found: list[str | None] = [None] * num_frames
    for word in words:
        if word.text in SILENCE:
            continue
        # A frame belongs to the word that covers its middle: no frame is in two words, and none between them is lost.
        ends_s = (word.start_s, word.end_s)
        first, last = (math.ceil((time_s - start_s) * FRAMES_PER_S - 0.5) for time_s in ends_s)
        for frame in range(max(first, 0), min(last, num_frames)):
            found[frame] = word.text
    return found


def of_clips(
    corpus: Iterable[Utterance], clips: Iterable[Utterance], *, on_problem: Report
) -> Iterator[Utterance]:
    """Give prepared clips the speaker and sentence of the videos that they were cut from, in the order of the clips.

    A clip belongs to the video of its name; of several of one name, to that of the speaker whose folder its id names.

    Args:
        corpus: utterances of `read`.
        clips: id, path, `num_samples`, `num_frames` and start of each clip.
        on_problem: receives a line for each clip that belongs to no video, or to more than one.
    """
    by_name: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in corpus:
        by_name[PurePath(utterance.path).stem].append(utterance)
    for clip in clips:
        path = PurePath(clip.id)
        speaker = _speaker(path)
        known = [u for u in by_name[path.name] if speaker in {UNKNOWN_SPEAKER, u.speaker}]
        if len(known) != 1:
            what = f"one video of this name expected, found {len(known)}"
            hint = (
                "prepare the clips with the corpus as --source" if known else "give the corpus of the clips"
            )
            on_problem(f"clip {clip.id}: {what}; left out: {hint}")
            continue
        yield replace(
            known[0],
            id=clip.id,
            path=clip.path,
            num_samples=clip.num_samples,
            num_frames=clip.num_frames,
        )


def name_of(utterance_or_clip_id: str) -> str:
    """Return the name that spells the sentence, the last part of an id."""
    return PurePath(utterance_or_clip_id).name


def _speaker_of_file(path: Path) -> str:
    """Return the speaker by the path as given, or where links lead: a link to `s1` may have any name."""
    speaker = _speaker(path)
    return speaker if speaker != UNKNOWN_SPEAKER else _speaker(path.resolve())


def _speaker(path: PurePath) -> str:
    """Return the speaker that the nearest folder of a path is named after."""
    for part in reversed(path.parts[:-1]):
        if match := _SPEAKER.fullmatch(part):
            return match[1]
    return UNKNOWN_SPEAKER


def _order(speaker: str) -> tuple[int, str]:
    return (int(speaker[1:]) if speaker != UNKNOWN_SPEAKER else 0, speaker)


def _gender(speaker: str) -> str | None:
    if speaker == UNKNOWN_SPEAKER:
        return None
    return "female" if speaker in FEMALE else "male"
