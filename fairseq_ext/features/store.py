"""Voice features of a corpus on disk: written once, read at random by training through memory maps.

    store = FeatureStore("FEATS")
    store.ids, store.lengths                     # the recordings in the order of the manifest, frames of each
    store["arctic_a0001"]["mel"]                 # (T, 80) float32, a view of the file

A folder FEATS holds

    features.json    groups with their columns and units, frame rate, preparation, versions, what was read
    index.tsv        a header, then id, start_frame, num_frames, offset_s of each recording; the frames of a recording
                     are rows start_frame to start_frame + num_frames of every group; frame 0 is at offset_s in the
                     file, more than 0 where silence before it was trimmed
    GROUP.npy        (frames of all recordings, D) float32, one file per group
    summary.tsv      a header, then id and medians and ranges of each recording (`voice_summary`)
    skipped.tsv      id and reason of the recordings that have no features

features.json appears last: a folder that holds it is complete.

Shapes: T frames of a recording at 100 Hz, D columns of a group, N recordings.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError, reading
from ..files import atomic_path, atomic_write, read_lines, split_row, write_reasons

ABOUT, INDEX, SKIPPED, SUMMARY = "features.json", "index.tsv", "skipped.tsv", "summary.tsv"
FORMAT = 1
_COLUMNS = ("id", "start_frame", "num_frames", "offset_s")
_AGAIN = "remove the folder and run fairseq-ext features again"

Floats = NDArray[np.float32]


class FeatureStore:
    """The features of a corpus: `store[id]`, `len(store)`, `id in store`. Survives pickling and forking.

    Args:
        folder: folder as `write_store` leaves it.
        groups: groups to read; None = all.

    Attributes:
        ids: the recordings in the order of the manifest.
        lengths: frames of each recording, (N,) int64.
        columns: group -> names of its columns.
        about: content of features.json.

    Raises:
        FileError: a file is missing, damaged, or contradicts another.
        ValueError: the folder has no such group.
    """

    def __init__(self, folder: str | os.PathLike[str], groups: Sequence[str] | None = None) -> None:
        self.folder = Path(folder)
        self.about = read_about(self.folder)
        known = self.about["groups"]
        if missing := [name for name in groups or () if name not in known]:
            raise ValueError(f"{self.folder}: no group {missing[0]}, only {', '.join(known)}; compute it too")
        self.columns: dict[str, tuple[str, ...]] = {
            name: tuple(column["name"] for column in known[name]["columns"]) for name in groups or known
        }
        self.ids, self._starts, self.lengths, self.offsets_s = _read_index(self.folder / INDEX)
        self._row = {id_: row for row, id_ in enumerate(self.ids)}
        self._maps: dict[str, Floats] = {}
        self._open()

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second of every group."""
        return float(self.about["frame_rate_hz"])

    @property
    def dimensions(self) -> dict[str, int]:
        """Return the number of columns of each group."""
        return {name: len(columns) for name, columns in self.columns.items()}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._row

    def __getitem__(self, id_: str) -> dict[str, Floats]:
        """Return the groups of a recording, (T, D) each, as read-only views of the files."""
        if id_ not in self._row:
            raise KeyError(f"{self.folder}: no features of {id_!r}; see {SKIPPED}")
        row = self._row[id_]
        start, stop = self._starts[row], self._starts[row] + self.lengths[row]
        return {name: content[start:stop] for name, content in self._open().items()}

    def num_frames(self, id_: str) -> int:
        """Return the number of frames of a recording."""
        return int(self.lengths[self._row[id_]])

    def _open(self) -> dict[str, Floats]:
        """Map the files, in each process anew, and check that they have the frames of the index."""
        for name, columns in self.columns.items() if not self._maps else ():
            path = self.folder / f"{name}.npy"
            with reading(path, "an array of features", advice=_AGAIN):
                content = np.load(path, mmap_mode="r", allow_pickle=False)
            expected = (int(self.lengths.sum()), len(columns))
            if content.shape != expected or content.dtype != np.float32:
                raise FileError(
                    f"{path}: float32 {expected} expected, found {content.dtype} {content.shape}; {_AGAIN}"
                )
            self._maps[name] = content
        return self._maps

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


def read_about(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read features.json of a folder.

    Raises:
        FileError: it is missing (features are still being computed), damaged or of another format.
    """
    path = Path(folder) / ABOUT
    with reading(path, "the description of voice features", advice=_AGAIN):
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise FileError(f"{path}: format {FORMAT} of voice features expected; {_AGAIN}")
    return about


def _read_index(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    lines = enumerate(read_lines(path), 1)
    rows = [split_row(line, len(_COLUMNS), f"{path}:{number}") for number, line in lines][1:]
    with reading(path, "the index of voice features", advice=_AGAIN):
        starts, lengths = (np.array([int(row[i]) for row in rows], dtype=np.int64) for i in (1, 2))
        offsets_s = np.array([float(row[3]) for row in rows])
    if (np.cumsum(lengths) - lengths != starts).any():
        raise FileError(f"{path}: the frames of a recording do not follow those before; {_AGAIN}")
    return [row[0] for row in rows], starts, lengths, offsets_s


def write_store(
    folder: str | os.PathLike[str],
    recordings: Sequence[tuple[str, int, float]],
    blocks: Iterable[Mapping[str, Floats]],
    *,
    about: Mapping[str, Any],
    summary: Iterable[Sequence[str]],
    skipped: Iterable[tuple[str, str]],
) -> None:
    """Write the files of a folder, features.json last.

    Args:
        recordings: id, number of frames, and time of frame 0 in the file, s.
        blocks: features of recordings one after another, group -> (frames, D); streamed.
        about: content of features.json, with `groups`.
        summary: rows of summary.tsv, the header first.
        skipped: id and reason of recordings without features.

    Raises:
        ValueError: the blocks have other frames than the recordings.
    """
    folder = Path(folder)
    num_frames = sum(frames for _, frames, _ in recordings)
    (folder / ABOUT).unlink(missing_ok=True)
    _write_groups(
        folder, {name: len(g["columns"]) for name, g in about["groups"].items()}, num_frames, blocks
    )
    with atomic_write(folder / INDEX) as file:
        print(*_COLUMNS, sep="\t", file=file)
        start = 0
        for id_, frames, offset_s in recordings:
            print(id_, start, frames, f"{offset_s:.6f}", sep="\t", file=file)
            start += frames
    with atomic_write(folder / SUMMARY) as file:
        file.writelines("\t".join(row) + "\n" for row in summary)
    write_reasons(folder / SKIPPED, skipped)
    with atomic_write(folder / ABOUT) as file:
        json.dump({"format": FORMAT, **about}, file, indent=1)
        file.write("\n")


def _write_groups(
    folder: Path, widths: Mapping[str, int], num_frames: int, blocks: Iterable[Mapping[str, Floats]]
) -> None:
    with ExitStack() as stack:
        files = {}
        for name, width in widths.items():
            path = stack.enter_context(atomic_path(folder / f"{name}.npy"))
            files[name] = stack.enter_context(open(path, "wb"))
            header = {"descr": "<f4", "fortran_order": False, "shape": (num_frames, width)}
            np.lib.format.write_array_header_1_0(files[name], header)
        written = dict.fromkeys(widths, 0)
        for block in blocks:
            for name, file in files.items():
                content = np.ascontiguousarray(block[name], dtype="<f4")
                file.write(content.tobytes())
                written[name] += len(content)
        if wrong := [name for name, found in written.items() if found != num_frames]:
            raise ValueError(
                f"{folder / wrong[0]}.npy: {num_frames} frames expected, found {written[wrong[0]]}"
            )


def read_summary(folder: str | os.PathLike[str]) -> Iterator[dict[str, str]]:
    """Stream the rows of summary.tsv as header -> cell; an empty cell is a value that could not be measured."""
    path = Path(folder) / SUMMARY
    lines = read_lines(path)
    header = next(lines, "").split("\t")
    for number, line in enumerate(lines, 2):
        yield dict(zip(header, split_row(line, len(header), f"{path}:{number}"), strict=True))
