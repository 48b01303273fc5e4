"""The pictures of a split, decoded once into one memory-mapped file, where decoding would starve the network.

A frame of 96 x 96 takes 9 kB, an hour of clips 0.83 GB. `FOLDER/SPLIT-DIGEST` holds `pictures.npy` (N, H, W) uint8,
`offsets.npy` (rows + 1,), and `unreadable.json`, row -> what is wrong. The digest is that of the rows and of the files'
sizes and times: other clips make another folder. All of it appears at once; processes that need it meanwhile wait.

Shapes: N frames of all rows, T frames of a clip, H, W sides.
"""

import fcntl
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..file_errors import reading, writing
from ..files import atomic_folder
from ..media.grey_clip import Pictures, load_clip
from ..media.video import VideoError
from .av_rows import AvRows

logger = logging.getLogger(__name__)

_PICTURES, _OFFSETS, _UNREADABLE = "pictures.npy", "offsets.npy", "unreadable.json"


class PackedClips:
    """Pictures of each row of a split, from the packed file, which is made where it is missing.

    Args:
        folder: folder of the packed files.
        rows: the split.

    Raises:
        FileError: the folder cannot be written, or a packed file is damaged.
        VideoError: no clip can be read.
    """

    def __init__(self, folder: Path, rows: AvRows) -> None:
        self.folder = folder / f"{rows.path.stem}-{digest(rows)}"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f".{self.folder.name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.folder.is_dir():
                _pack(rows, self.folder)
        with reading(self.folder, "packed clips", advice="delete the folder; it is made again"):
            self._offsets: NDArray[np.int64] = np.load(self.folder / _OFFSETS, allow_pickle=False)
            unreadable = json.loads((self.folder / _UNREADABLE).read_text(encoding="utf-8"))
            self._pictures: Pictures = np.load(self.folder / _PICTURES, mmap_mode="r", allow_pickle=False)
        self._unreadable = {int(row): str(reason) for row, reason in unreadable.items()}

    def __call__(self, row: int, start: int, num_frames: int) -> Pictures:
        """Return pictures (T, H, W) of a row from its picture `start` on, a copy.

        Raises:
            VideoError: the clip could not be read when the file was made.
        """
        if row in self._unreadable:
            raise VideoError(self._unreadable[row])
        first = int(self._offsets[row]) + start
        return np.array(self._pictures[first : first + num_frames])


class DecodedClips:
    """Pictures of each row of a split, decoded anew each time."""

    def __init__(self, rows: AvRows) -> None:
        self._rows = rows

    def __call__(self, row: int, start: int, num_frames: int) -> Pictures:
        """Return pictures (T, H, W) of a row from its picture `start` on; raise VideoError as `load_clip` does."""
        entry = self._rows[row]
        return load_clip(entry.video, entry.start_frame + start, num_frames)


def digest(rows: AvRows) -> str:
    """Return a digest of rows, and of the sizes and times of their files."""
    found = hashlib.sha256()
    for row in range(len(rows)):
        entry = rows[row]
        stamp = (entry.video.stat().st_size, entry.video.stat().st_mtime_ns) if entry.video.is_file() else ()
        found.update(repr((str(entry.video), entry.start_frame, entry.num_frames, stamp)).encode())
    return found.hexdigest()[:16]


def _pack(rows: AvRows, target: Path) -> None:
    logger.info(f"{target}: decoding {len(rows)} clips, once")
    clips, unreadable = DecodedClips(rows), {}
    shape: tuple[int, ...] | None = None
    offsets = np.concatenate([[0], np.cumsum(rows.num_frames, dtype=np.int64)])
    with atomic_folder(target) as folder:
        out = None
        for row, num_frames in enumerate(rows.num_frames.tolist()):
            try:
                pictures = clips(row, 0, num_frames)
                shape = shape or pictures.shape[1:]
                if pictures.shape[1:] != shape:
                    raise VideoError(
                        f"{rows[row].video}: pictures of {shape} as in the clips before expected, found "
                        f"{pictures.shape[1:]}; prepare it again"
                    )
            except VideoError as error:
                unreadable[row] = str(error)
                continue
            if out is None:
                out = np.lib.format.open_memmap(
                    folder / _PICTURES, "w+", np.uint8, (int(offsets[-1]), *shape)
                )
            out[offsets[row] : offsets[row + 1]] = pictures
        if out is None:
            raise VideoError(f"{rows.path}: no clip can be read; the first: {unreadable[0]}")
        out.flush()
        np.save(folder / _OFFSETS, offsets)
        (folder / _UNREADABLE).write_text(json.dumps(unreadable), encoding="utf-8")
