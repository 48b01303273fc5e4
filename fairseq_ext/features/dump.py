"""Dump the features of every frame of the recordings of a manifest, for k-means to learn from and to label.

Shapes: S samples, T frames, D features, N frames of a block of rows.

A block of `rows_per_file` rows of a split is one item of work and one file, `OUT/SPLIT/START.npz`: `frames` (N, D)
float16, `lengths` (rows,) int64, the number of frames of each row in the order of the manifest. An unreadable recording
has length 0 and is listed in the outcome of its block; a block of only such recordings is rejected, but written too.

HuBERT (Hsu et al. 2021, section III-B) starts from MFCC with their differences, 39 values every 10 ms, and continues
with a layer of the model of the iteration before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError, reading
from ..files import atomic_path
from ..jobs import Item, Rejected, Work, one_by_one
from ..line_index import AudioIndex
from ..media.audio import load_row

ROWS_PER_FILE = 256
JOBS = "jobs/features"  # folder of the run, below OUT
# Kaldi's usual window for differences: two frames to either side (HTK book 3.4, equation 5.16).
DELTA_REACH = 2

Floats = NDArray[np.float32]
# Computes the features (T, D) of a row; raises FileError for one that cannot be read.
Features = Callable[[int], Floats]
AnyFloats = TypeVar("AnyFloats", NDArray[np.float32], NDArray[np.float64])


class Frames(Protocol):
    """An object that computes the features of a waveform.

    Attributes:
        sample_rate_hz: expected sample rate of the waveforms, Hz.
    """

    sample_rate_hz: int

    def __call__(self, waveform: Floats) -> Floats:
        """Compute features: (S,) -> (T, D)."""
        ...


class MfccFrames:
    """MFCC: 13 coefficients with first and second differences, (T, 39), 100 frames per second.

    Coefficients are an orthonormal DCT of the levels in 40 mel bands, dB; differences are per frame.
    """

    def __init__(self, sample_rate_hz: int = 16000) -> None:
        from ..modules.spectral import Mfcc

        self.sample_rate_hz = sample_rate_hz
        self._mfcc = Mfcc(sample_rate_hz)

    def __call__(self, waveform: Floats) -> Floats:
        """Compute the coefficients (T, 39) of a recording (S,), full scale = 1."""
        import torch

        with torch.no_grad():
            coefficients = self._mfcc(torch.from_numpy(waveform)[None])[0][0].numpy()  # (T, 13)
        first = differences(coefficients)
        return np.concatenate([coefficients, first, differences(first)], axis=1)


def differences(features: AnyFloats) -> AnyFloats:
    """Return the slope of each feature (T, D) per frame, by least squares over five frames; the ends are repeated."""
    padded = np.pad(features, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
    num_frames = len(features)
    slope = np.zeros_like(features)
    for reach in range(1, DELTA_REACH + 1):
        ahead = padded[DELTA_REACH + reach :][:num_frames]
        slope += reach * (ahead - padded[DELTA_REACH - reach :][:num_frames])
    return slope / np.float32(2 * sum(reach**2 for reach in range(1, DELTA_REACH + 1)))


def blocks(manifest: Path, splits: Sequence[str], rows_per_file: int = ROWS_PER_FILE) -> Iterator[Item]:
    """Yield an item of work per block of `rows_per_file` recordings of the splits `SPLIT.tsv` in a folder.

    Raises:
        ValueError: for fewer than one row per file.
    """
    if rows_per_file < 1:
        raise ValueError(f"rows_per_file: 1 or more expected, found {rows_per_file}; change it")
    for split in splits:
        index = AudioIndex(manifest / f"{split}.tsv")
        num_rows = len(index)
        for start in range(0, num_rows, rows_per_file):
            rows = range(start, min(start + rows_per_file, num_rows))
            data = {"split": split, "start": rows.start, "stop": rows.stop, "rows": _digest(index, rows)}
            yield Item(f"{split}/{start:09d}", data)


def _digest(index: AudioIndex, rows: range) -> str:
    """Return a digest of paths and lengths of rows, by which a changed manifest is noticed."""
    return hashlib.sha256("\n".join(str(index.entry(row)) for row in rows).encode()).hexdigest()[:16]


def dump_work(
    manifest: Path,
    out: Path,
    make_frames: Callable[[], Any],
    open_rows: Callable[[Path, str, Any], Features] | None = None,
) -> Work:
    """Make the work of one process; pass `functools.partial(dump_work, ...)` to `jobs.run`.

    Args:
        manifest: folder of `SPLIT.tsv` files.
        out: output folder.
        make_frames: makes the object that computes features; called once per process.
        open_rows: opens a split for it, given folder and name; None = as waveforms, `waveform_rows`.
    """
    frames = make_frames()
    splits: dict[str, Features] = {}

    def dump(item: Item) -> Mapping[str, Any]:
        split = item.data["split"]
        if split not in splits:
            splits[split] = (open_rows or waveform_rows)(manifest, split, frames)
        rows, problems = _features(splits[split], range(item.data["start"], item.data["stop"]))
        _write(out / f"{item.id}.npz", rows)
        result = {"num_frames": sum(map(len, rows)), "problems": problems}
        if not result["num_frames"]:
            raise Rejected("unreadable", f"none of {len(rows)} recordings: {problems[0]}", result)
        return result

    return one_by_one(dump)


def waveform_rows(manifest: Path, split: str, frames: Frames) -> Features:
    """Return what computes the features of a row of a split from its waveform."""
    index = AudioIndex(manifest / f"{split}.tsv")

    def of_row(row: int) -> Floats:
        entry = index.entry(row)
        with reading(entry.path, "a recording"):
            waveform = load_row(entry, frames.sample_rate_hz)
        return frames(waveform)

    return of_row


def _features(of_row: Features, rows: range) -> tuple[list[Floats], list[str]]:
    """Return the features of each row, empty for unreadable recordings, and the errors of those."""
    found: list[Floats] = []
    problems = []
    for row in rows:
        try:
            found.append(of_row(row))
        except FileError as error:
            problems.append(f"row {row + 1}: {error}")
            found.append(np.zeros((0, 0), dtype=np.float32))
    return found, problems


def _write(path: Path, rows: list[Floats]) -> None:
    # Unreadable rows have shape (0, 0), which cannot be joined with (T, D).
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            frames=np.concatenate([row for row in rows if len(row)] or rows).astype(np.float16),
            lengths=np.array([len(row) for row in rows], dtype=np.int64),
        )


def read_block(path: Path) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Read a block `OUT/SPLIT/START.npz`: (N, D) features, and (rows,) the number of frames of each row.

    Raises:
        FileError: it is not a block.
        ValueError: the numbers of frames contradict each other.
    """
    with (
        reading(path, "a block of features", advice="delete it and dump again"),
        np.load(path, allow_pickle=False) as content,
    ):
        frames, lengths = content["frames"], content["lengths"]
    if lengths.sum() != len(frames):
        raise ValueError(
            f"{path}: expected {lengths.sum()} frames, found {len(frames)}; delete it and dump again"
        )
    return frames, lengths
