"""The pictures of a prepared clip of any length: stretches of them are decoded one after the other.

Shapes: T frames, H, W sides.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ..grey_clip import Pictures, stream_clip
from ..video import VideoError


def decode_frames(path: str | os.PathLike[str]) -> Iterator[Pictures]:
    """Decode the pictures of a clip one by one, (H, W) uint8.

    Raises:
        VideoError: it cannot be read.
    """
    try:
        yield from stream_clip(Path(path))
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: the clip cannot be read ({error}); prepare it again") from error


class MouthFrames:
    """A sequence of T pictures of which successive stretches are read; the last one is kept for what overlaps it.

    Args:
        path: a mouth clip.
        num_frames: T, as the table of clips says.
    """

    def __init__(self, path: str | os.PathLike[str], num_frames: int) -> None:
        self._path, self._num_frames = path, num_frames
        self._decoded, self._start = decode_frames(path), 0
        self._held: list[Pictures] = []

    def __len__(self) -> int:
        return self._num_frames

    def __getitem__(self, stretch: slice) -> Pictures:
        """Return the pictures (T', H, W) of a stretch; going back before the last stretch decodes anew."""
        start, end, _ = stretch.indices(self._num_frames)
        if start < self._start:
            self._decoded, self._start, self._held = decode_frames(self._path), 0, []
        while self._start + len(self._held) < end:
            if self._start + len(self._held) < start:
                self._held, self._start = [], self._start + len(self._held)
            picture = next(self._decoded, None)
            if picture is None:
                raise VideoError(
                    f"{self._path}: {self._num_frames} frames expected, found {self._start + len(self._held)}; prepare "
                    "the clip again"
                )
            self._held.append(picture)
        if start > self._start:
            del self._held[: start - self._start]
            self._start = start
        return np.stack(self._held[: end - start])
