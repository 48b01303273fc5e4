"""A label per frame of each row, from a stream such as `train.km` or `train.wordframes`, at the pictures' rate.

A line holds a unit per frame, with spaces between them; an empty line means: not known. Streams of another rate than 25
labels a second, such as clusters of MFCC at 100 Hz, are thinned: a picture takes the label in the middle of its 40 ms.

Shapes: T frames at 25 Hz.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..line_index import LineIndex
from .av_rows import FRAMES_PER_S
from .label_streams import NOT_KNOWN

# Windows, strides and rounding of lengths make a stream so many frames (at 25 Hz) longer or shorter than its clip.
TOLERANCE = 2


class FrameLabels:
    """Labels of each row as numbers, read on demand.

    Args:
        path: the label stream.
        symbols: the units; the number of a unit is its place among them.
        label_rate_hz: labels per second, a multiple of 25.

    Raises:
        FileNotFoundError: no label stream.
        ValueError: a rate that is no multiple of 25.
    """

    def __init__(self, path: str | Path, symbols: Sequence[str], label_rate_hz: int = FRAMES_PER_S) -> None:
        if label_rate_hz < FRAMES_PER_S or label_rate_hz % FRAMES_PER_S:
            raise ValueError(
                f"task.label_rate_hz: a multiple of {FRAMES_PER_S} expected, found {label_rate_hz}; give the "
                f"rate of {path}"
            )
        self._numbers = {symbol: number for number, symbol in enumerate(symbols)}
        self._step = label_rate_hz // FRAMES_PER_S
        self._lines = LineIndex(path)

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, row: int, num_frames: int) -> Tensor:
        """Return the numbers of the labels of a row's frames, (T,), `NOT_KNOWN` where there is none.

        Raises:
            ValueError: the clip and its labels differ in length, or a unit is not among the symbols.
        """
        units = self._lines[row].split()
        if not units:
            return self.unknown(num_frames)
        chosen = units[self._step // 2 :: self._step]
        where = f"{self._lines.path}:{row + 1}"
        if abs(len(chosen) - num_frames) > TOLERANCE:
            raise ValueError(
                f"{where}: {num_frames} labels at {FRAMES_PER_S} Hz expected, found {len(chosen)}; give the stream's "
                "rate (task.label_rate_hz), or make the labels again"
            )
        unknown = [unit for unit in chosen if unit not in self._numbers]
        if unknown:
            raise ValueError(f"{where}: {unknown[0]!r} is not in the dictionary; make both again")
        found = self.unknown(num_frames)
        numbers = [self._numbers[unit] for unit in chosen[:num_frames]]
        found[: len(numbers)] = torch.tensor(numbers)
        return found

    def unknown(self, num_frames: int) -> Tensor:
        """Return labels of frames (T,) of which none is known."""
        return torch.full((num_frames,), NOT_KNOWN)


class FrameLabelStreams:
    """Several streams of labels as one; the labels of a row are (T, K), or (T,) of a single stream.

    Args:
        streams: K streams, one per codebook.

    Raises:
        ValueError: the streams have different numbers of rows.
    """

    def __init__(self, streams: Sequence[FrameLabels]) -> None:
        sizes = {len(stream) for stream in streams}
        if len(sizes) != 1:
            raise ValueError(
                f"label streams with equally many rows expected, found {sorted(sizes)}; make them again"
            )
        self._streams = list(streams)

    def __len__(self) -> int:
        return len(self._streams[0])

    def get(self, row: int, num_frames: int) -> Tensor:
        """Return the labels of a row; see `FrameLabels.get`."""
        return self._joined([stream.get(row, num_frames) for stream in self._streams])

    def unknown(self, num_frames: int) -> Tensor:
        """Return labels of frames of which none is known."""
        return self._joined([stream.unknown(num_frames) for stream in self._streams])

    @staticmethod
    def _joined(labels: Sequence[Tensor]) -> Tensor:
        return labels[0] if len(labels) == 1 else torch.stack(list(labels), dim=1)
