"""The recordings to work on: the rows of a manifest with their labels, the files of a folder, or a list of files.

Their rows are plain tuples, as an item of work holds them in JSON: `blocks` deals them out, `recording_of` reads one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ..jobs import Item
from ..line_index import AudioEntry, AudioIndex
from ..manifest import Utterance, read_labels, read_manifest
from .media_files import media_files, printable

# One step of 16 bits: what a converter gives of no signal at all.
SILENT_PEAK = 2.0**-15
# A window of the spectra, and what the first frame of wav2vec 2.0 needs.
LEAST_S = 0.025
# About two minutes of speech: batches of similar lengths come of it, and a worker that is killed loses little.
ROWS_PER_BLOCK = 32
# What a sidecar may know of a recording besides label files.
_SIDECAR_LABELS = ("speaker", "gender", "language", "accent", "emotion")


@dataclass(frozen=True)
class Recordings:
    """The recordings to embed.

    Attributes:
        rows: id and place of each: the path, and of a row of a manifest start, length and whether it is the whole file.
        labels: label stream -> label of each.
        passed_over: (path, reason) of the files of a folder that are no recordings.
    """

    rows: Sequence[tuple[Any, ...]]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passed_over: Sequence[tuple[str, str]] = ()

    def digest(self) -> str:
        """Return a hash of the rows and labels."""
        text = repr((list(self.rows), sorted((name, list(values)) for name, values in self.labels.items())))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def of_manifest(folder: Path, split: str, rate_hz: int, manifest_rate_hz: int | None = None) -> Recordings:
    """List the recordings of a split with their labels: those of its label files and of the sidecar.

    Args:
        rate_hz: sample rate at which they will be read, Hz.
        manifest_rate_hz: sample rate at which the manifest counts, Hz; None = the same.

    Raises:
        ValueError: the files of the split have different numbers of rows.
    """
    index, utterances = AudioIndex(folder / f"{split}.tsv"), list(read_manifest(folder, split))
    times = (rate_hz, manifest_rate_hz or rate_hz)
    rows = []
    for number, utterance in enumerate(utterances):
        entry = index.entry(number)
        start, size = (value * times[0] // times[1] for value in (entry.start_sample, entry.num_samples))
        rows.append((utterance.id, str(entry.path.absolute()), start, max(1, size), entry.is_whole))
    return Recordings(rows, _labels(folder, split, utterances))


def _labels(folder: Path, split: str, utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    found = {name: [getattr(u, name) or "" for u in utterances] for name in _SIDECAR_LABELS}
    found = {name: values for name, values in found.items() if any(values)}
    for path in sorted(folder.glob(f"{split}.*")):
        name = path.name.removeprefix(f"{split}.")
        if name in ("tsv", "meta.tsv"):
            continue
        found[name] = list(read_labels(folder, split, name))
        if len(found[name]) != len(utterances):
            raise ValueError(
                f"{path}: {len(utterances)} rows as in {split}.tsv expected, found {len(found[name])}; write the "
                "manifest again"
            )
    return found


def of_folder(folder: Path) -> Recordings:
    """List the recordings of a folder and those below; an id is the path in it without the suffix."""
    found = media_files(folder)
    paths = [path for path in found.paths if printable(path) == path]
    unnamed = [(printable(path), "its name is not printable text; rename it") for path in found.paths]
    ids = _ids(paths)
    rows = [(id_, str((folder / path).absolute())) for id_, path in zip(ids, paths, strict=True)]
    named = set(paths)
    return Recordings(
        rows, passed_over=[*found.passed_over, *(row for row in unnamed if row[0] not in named)]
    )


def of_files(paths: Sequence[Path]) -> Recordings:
    """List files; an id is the path without the suffix.

    Raises:
        ValueError: a path is given twice.
    """
    names = [path.as_posix() for path in paths]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{repeated[0]} is given {names.count(repeated[0])} times; give each file once")
    rows = [(id_, str(path.absolute())) for id_, path in zip(_ids(names), paths, strict=True)]
    return Recordings(rows)


def _ids(paths: Sequence[str]) -> list[str]:
    """Return the paths without suffix, but with it where two would be the same."""
    bare = [str(PurePath(path).with_suffix("")) for path in paths]
    counts = Counter(bare)
    return [path if counts[id_] > 1 else id_ for path, id_ in zip(paths, bare, strict=True)]


def blocks(recordings: Recordings, rows_per_block: int | None = None) -> Iterator[Item]:
    """Yield an item of work per block; None: blocks of `ROWS_PER_BLOCK`."""
    num_rows = rows_per_block or ROWS_PER_BLOCK
    for start in range(0, len(recordings.rows), num_rows):
        rows = recordings.rows[start : start + num_rows]
        num_samples = sum(row[3] for row in rows if len(row) > 2)
        size = {"num_samples": num_samples} if num_samples else {}
        yield Item(f"{start:09d}", {"start": start, "rows": [list(row) for row in rows], **size})


def recording_of(row: Sequence[Any]) -> Path | AudioEntry:
    """Return what a row of `Recordings` names, as `recording_windows` takes it."""
    if len(row) == 2:
        return Path(row[1])
    return AudioEntry(Path(row[1]), row[2], row[3], is_whole=row[4])
