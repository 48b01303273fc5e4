"""What may mislead a network about a recording that it can read: clipping, a missing band, a choice of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..features.preparation import clipped_percent
from ..file_errors import reading
from ..media.blocks import Blocks
from ..media.readers import open_audio


class ClippedShare:
    """Counts clipped samples on the way; iterate over blocks, then read `percent`."""

    def __init__(self, blocks: Iterable[NDArray[np.float32]]) -> None:
        self._blocks, self._num, self._clipped = blocks, 0, 0.0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for block in self._blocks:
            self._num += len(block)
            self._clipped += clipped_percent(block) * len(block)
            yield block

    @property
    def percent(self) -> float:
        """Share of the samples so far that are in a run at full scale, %."""
        return self._clipped / max(1, self._num)


def doubts(path: Path, sample_rate_hz: int) -> list[str]:
    """Name what may mislead a network that listens at a sample rate, a line each; none where nothing does.

    Raises:
        FileError: the file cannot be read.
    """
    with reading(path, "a recording"):
        with open_audio(path) as reader:
            recorded_hz = reader.sample_rate_hz
        blocks = Blocks(path, recorded_hz)
        clipped = ClippedShare(blocks)
        for _ in clipped:
            pass
    found = [*clipping(clipped.percent), *missing_band(recorded_hz, sample_rate_hz)]
    if taken_s := blocks.notes.get("opposite_phase_s"):
        found.append(f"its channels are in opposite phase for {taken_s:g} s, where one was taken")
    return found


def clipping(percent: float) -> list[str]:
    """Name clipped samples."""
    if not percent:
        return []
    return [
        f"{percent:.2g} % of the samples are clipped, and the damage may decide; record it at a lower level"
    ]


def missing_band(recorded_hz: int, sample_rate_hz: int) -> list[str]:
    """Name the band that a recording lacks."""
    if recorded_hz >= sample_rate_hz:
        return []
    band = f"{recorded_hz / 2:.0f} to {sample_rate_hz / 2:.0f} Hz"
    return [
        f"recorded at {recorded_hz} Hz: the band from {band} is missing, which the training may have relied on; give a "
        f"recording at {sample_rate_hz} Hz or more"
    ]
