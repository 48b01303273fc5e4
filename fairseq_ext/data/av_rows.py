"""Rows of clips with pictures and sound, from our manifests or from AV-HuBERT's, each read on demand.

Ours: `{split}.tsv` and `{split}.meta.tsv` of prepared clips, as `fairseq-ext label merge` and the readers of corpora
write them (`manifests/README.md`); the picture's path follows from the sound's. A segment of a longer clip is a stretch
of samples there, and of the frames that are shown meanwhile here. AV-HuBERT's: `{split}.tsv` of five columns, id,
video, audio, frames, samples. The number of columns tells them apart.
"""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..corpora.clip_layout import video_path
from ..files import read_lines, split_row
from ..line_index import AudioEntry, AudioIndex, LineIndex
from ..manifest import SIDECAR_COLUMNS, read_root

FRAMES_PER_S = 25
SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FRAMES_PER_S
_COLUMNS = 5  # of AV-HuBERT
_FRAMES_COLUMN = SIDECAR_COLUMNS.index("num_frames")


@dataclass(frozen=True, slots=True)
class AvEntry:
    """Where a clip lies.

    Attributes:
        id: its id.
        video: file of the pictures.
        audio: file of the sound, and the samples to read of it, at 16 kHz.
        start_frame: first picture.
        num_frames: how many.
    """

    id: str
    video: Path
    audio: AudioEntry
    start_frame: int
    num_frames: int


class AvRows:
    """Random access to the rows of a split.

    Args:
        folder: folder of the manifests.
        split: stem of the tsv.

    Attributes:
        root: folder that the rows' paths are relative to.
        num_frames: frames of each row, (rows,) int32.

    Raises:
        ValueError: naming file and line, for a row of another format or without a number of frames.
    """

    def __init__(self, folder: str | os.PathLike[str], split: str) -> None:
        self.path = Path(folder) / f"{split}.tsv"
        self.root = read_root(folder, split)
        first = next(itertools.islice(read_lines(self.path), 1, None), None)
        if first is None:
            raise ValueError(f"{self.path}: it has no rows; write the manifest again")
        self._lines: LineIndex | None = None
        self.num_frames: NDArray[Any]
        if first.count("\t") + 1 == _COLUMNS:
            self._lines = LineIndex(self.path)
            self.num_frames = self._frames_of_tsv()
        else:
            self._index = AudioIndex(self.path)
            self._sidecar = LineIndex(self.path.with_suffix(".meta.tsv"))
            self.num_frames = self._frames_of_sidecar()

    def __len__(self) -> int:
        return len(self.num_frames)

    def __getitem__(self, row: int) -> AvEntry:
        frames = int(self.num_frames[row])
        if self._lines is not None:
            id_, video, audio, _, samples = split_row(
                self._lines[row + 1], _COLUMNS, f"{self.path}:{row + 2}"
            )
            return AvEntry(id_, self.root / video, AudioEntry(self.root / audio, 0, int(samples)), 0, frames)
        entry = self._index.entry(row)
        video = video_path(str(entry.path.relative_to(self.root)))
        id_ = self._sidecar[row + 1].split("\t", 1)[0]
        return AvEntry(id_, self.root / video, entry, first_frame(entry.start_sample), frames)

    def _frames_of_tsv(self) -> NDArray[Any]:
        lines = itertools.islice(read_lines(self.path), 1, None)
        rows = (split_row(line, _COLUMNS, f"{self.path}:{number}")[3] for number, line in enumerate(lines, 2))
        return np.array(
            [_whole(text, f"{self.path}:{number}") for number, text in enumerate(rows, 2)], np.int32
        )

    def _frames_of_sidecar(self) -> NDArray[Any]:
        path = self._sidecar.path
        if len(self._sidecar) - 1 != len(self._index):
            raise ValueError(
                f"{path}: {len(self._index)} rows expected, found {len(self._sidecar) - 1}; write both files again"
            )
        found = np.zeros(len(self._index), np.int32)
        for row, line in enumerate(itertools.islice(read_lines(path), 1, None)):
            cells = split_row(line, len(SIDECAR_COLUMNS), f"{path}:{row + 2}")
            found[row] = _whole(cells[_FRAMES_COLUMN], f"{path}:{row + 2}")
        return found


def first_frame(start_sample: int) -> int:
    """Return the picture that is shown at a sample; the nearest, where a stretch begins between two."""
    return round(start_sample / SAMPLES_PER_FRAME)


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(
            f"{where}: a number of frames expected, found {text!r}; clips come from fairseq-ext prepare mouth"
        )
    return int(text)
