"""When each letter of a known text is said: a network that was trained with CTC on the sound aligns it.

The targets of lip readers' frames come from this (`labelling/frame_units.py`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..decoding.alignment import AlignedWord, align, aligned_words
from ..line_index import AudioEntry
from ..media.mouth.clip import SAMPLES_PER_FRAME
from ..text.units import to_characters
from .lip_reader import LipReader, load_lip_reader


def load_aligner(path: Path) -> LipReader:
    """Load a network whose symbols are characters.

    Raises:
        ValueError: it hears no sound, or its symbols are no characters.
    """
    aligner = load_lip_reader(str(path))
    if aligner.modality == "video" or any(len(symbol) > 1 for symbol in aligner.symbols[4:]):
        raise ValueError(
            f"{path}: a network for the sound with characters as symbols expected (task.modality=audio, "
            "task.labels=ltr), found another; train one on such manifests"
        )
    return aligner


def letter_times(
    aligner: LipReader, clips: Iterable[tuple[str, Path, int, str]]
) -> Iterator[tuple[str, list[list[tuple[int, int]]]]]:
    """Yield id and frames of the letters of each word of clips, without those whose text does not fit the sound.

    Args:
        aligner: see `load_aligner`.
        clips: id, sound, number of frames and text of each.

    Raises:
        AudioError: a clip cannot be read.
    """
    numbers = {symbol: number for number, symbol in enumerate(aligner.symbols)}
    for name, sound, num_frames, text in clips:
        characters = to_characters(text)
        if not set(characters) <= numbers.keys():
            continue
        clip = aligner.read_row(AudioEntry(sound, 0, num_frames * SAMPLES_PER_FRAME, is_whole=True))
        log_probs, _ = aligner.log_probs([clip])
        try:
            spans = align(log_probs[0], [numbers[character] for character in characters])
        except ValueError:  # more letters than frames
            continue
        yield name, [_frames(word) for word in aligned_words(spans, aligner.symbols)]


def _frames(word: AlignedWord) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in word.spans]
