"""The whole of a recording at a rate, block by block: the samples of `audio.load`, in memory that its length does not
change.

Shapes: `(S,)` float32, one channel.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .integrity import AudioError, not_numbers
from .readers import Reader, Samples, open_audio
from .resampling import Ratio, resample_pieces
from .scale import scale_of

_SIZE = 1 << 16  # samples: the frames of a codec are many and small


class Blocks:
    """The blocks of a file at a rate; iterate as often as needed, the file is decoded each time.

    Attributes:
        notes: those of `audio.load_with_notes`, complete after the last block.

    Raises:
        AudioError: while iterating, as `audio.load`; samples that are not numbers are counted, and raised at the end.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int) -> None:
        self._path, self._rate_hz = Path(path), sample_rate_hz
        self.notes: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Samples]:
        with open_audio(self._path) as reader:
            ratio = Ratio.of(reader.sample_rate_hz, self._rate_hz)
            yield from resample_pieces(self._native(reader), ratio)

    def _native(self, reader: Reader) -> Iterator[Samples]:
        """Yield what a reader gives, at the scale of the file."""
        scale = scale_of(self._path, reader, whole=True)
        num = num_wrong = 0
        for block in _gathered(reader.pieces()):
            num += len(block)
            num_wrong += int(np.count_nonzero(~np.isfinite(block)))
            yield block * np.float32(scale.factor) if scale.num_beyond else block
        if num_wrong:
            raise not_numbers(self._path, num_wrong, num)
        if num == 0:
            raise AudioError(f"{self._path}: it has no samples; leave it out")
        self.notes = reader.notes | scale.notes()


def _gathered(pieces: Iterable[Samples]) -> Iterator[Samples]:
    """Join pieces to blocks of a useful size; large ones stay as they are."""
    waiting: list[Samples] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= _SIZE:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
