"""Clips of mouths as a lip reader takes them, and the files of a row of a manifest that they are read from.

Shapes: T frames at 25 Hz, S samples at 16 kHz, H, W sides of a crop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..media.video import VideoError


@dataclass(frozen=True)
class MouthClip:
    """A clip, or a stretch of one.

    Attributes:
        num_frames: T.
        pictures: (T, H, W) uint8; None = there are none, or the reader takes none.
        sound: (S,), full scale = 1; None likewise.
    """

    num_frames: int
    pictures: NDArray[np.uint8] | None
    sound: NDArray[np.float32] | None


# Changes sound (S,).
Mix = Callable[[NDArray[np.float32]], NDArray[np.float32]]
# Reads the frames of a clip from one to another.
Stretch = Callable[[int, int], MouthClip]


def video_of_row(audio: Path) -> Path:
    """Return the pictures that belong to the sound of a row, see `file_of_row`."""
    return file_of_row(audio, "video", ".mp4")


def file_of_row(audio: Path, folder: str, suffix: str) -> Path:
    """Return a file of the clip whose sound is `.../audio/ID.wav`, where the id may contain slashes.

    Raises:
        VideoError: there is no `.../FOLDER/ID.SUFFIX`.
    """
    parts = audio.parts
    for place in reversed([i for i, part in enumerate(parts[:-1]) if part == "audio"]):
        found = Path(*parts[:place], folder, *parts[place + 1 :]).with_suffix(suffix)
        if found.is_file():
            return found
    raise VideoError(
        f"{audio}: no {folder}/ID{suffix} beside audio/ID.wav; give manifests of prepared mouth clips"
    )
