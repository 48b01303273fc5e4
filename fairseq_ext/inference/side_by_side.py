"""A video to look at: the source, the crop of the mouth beside it, and below them the text as it is read.

Shapes: H W pixels.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..decoding.subtitles import TimedWord
from ..media.film import caption, write_film
from ..media.mouth.clock import FrameClock
from ..media.mouth.frames import decode_frames
from ..media.mouth.settings import FRAMES_PER_S
from ..media.mouth.table import ClipRow
from ..media.mouth.warp import opencv, thumbnail
from ..media.picture import Picture
from ..media.video import MediaReader

_HEIGHT, _BAR = 288, 48  # of the pictures and of the text below them
_SECONDS = 4.0  # a word stays for so long


def write_side_by_side(
    path: Path,
    video: str | os.PathLike[str],
    clip: ClipRow,
    crops: Path,
    words: Sequence[TimedWord],
    sound: NDArray[np.int16] | None = None,
) -> None:
    """Write the video of a clip.

    Args:
        path: file to write, .mp4.
        video: the source.
        clip: row of the clip; its start and end say what part of the source it shows.
        crops: its pictures.
        words: what was read, by time in the clip.
        sound: sound of the clip, (S,) int16 at 16 kHz; None = the film is silent.
    """
    said = _Said(words)
    with write_film(path, sound) as film:
        for number, (source, crop) in enumerate(
            zip(_source(video, clip), decode_frames(crops), strict=False)
        ):
            film.add(_joined(source, crop, said.by(number / FRAMES_PER_S)))


def _source(video: str | os.PathLike[str], clip: ClipRow) -> Iterator[NDArray[np.uint8]]:
    """Yield the upright pictures of the source, one for each frame of the clip."""
    span = (clip.start_s or 0.0, float("inf") if clip.end_s is None else clip.end_s)
    clock = FrameClock(clip.start_s, clip.end_s)
    with MediaReader(video) as reader:
        for event in reader.events([span]):
            if isinstance(event, Picture):
                yield from map(_scaled, clock.add(event))
    yield from map(_scaled, clock.finish())


def _scaled(picture: Picture) -> NDArray[np.uint8]:
    return thumbnail(picture, max(1, round(picture.width * _HEIGHT / picture.height)))


class _Said:
    """The words read by a time that only grows, without those of long ago."""

    def __init__(self, words: Sequence[TimedWord]) -> None:
        self._coming, self._shown = deque(words), deque[TimedWord]()

    def by(self, time_s: float) -> str:
        while self._coming and self._coming[0].start_s <= time_s:
            self._shown.append(self._coming.popleft())
        while self._shown and self._shown[0].start_s < time_s - _SECONDS:
            self._shown.popleft()
        return " ".join(word.text for word in self._shown)


def _joined(source: NDArray[np.uint8], crop: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    cv2 = opencv()
    sides = [
        cv2.resize(side, (max(2, round(side.shape[1] * _HEIGHT / side.shape[0])), _HEIGHT))
        for side in (source, crop)
    ]
    picture = np.hstack(sides)
    return np.vstack([picture, caption(picture.shape[1], _BAR, text)])
