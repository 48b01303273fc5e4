"""Embed the recordings of a manifest, a folder or a list of files, on many workers, into `scoring.embedding_files`.

A block of recordings is one item of work and one file, OUT/parts/START.npz, until all are there; then they become the
files of the result. A block is computed on one thread and depends on nothing but its recordings, so that the result has
the same bytes whatever the number of workers, and after any kill.

Shapes: N recordings of a block, L layers, P columns.
"""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError, reading
from ..files import atomic_path
from ..jobs import Item, Outcome, Work, one_by_one
from ..line_index import AudioEntry, AudioIndex
from ..manifest import Utterance, read_labels, read_manifest
from ..media.media_files import media_files, printable
from ..media.recording_windows import Recording
from ..media.threads import one_thread
from ..scoring.embedding_files import ABOUT, write_embeddings
from ..scoring.scored_system import read_json
from .embedder import Embedded, Embedder

PARTS, JOBS = "parts", "jobs/embed"  # below OUT
# About two minutes of speech: batches of similar lengths come of it, and a worker that is killed loses little.
ROWS_PER_BLOCK = 32
# What a sidecar may know of a recording besides label files.
_SIDECAR_LABELS = ("speaker", "gender", "language", "accent", "emotion")
_PACKAGES = ("fairseq-ext", "torch", "torchaudio", "numpy", "praat-parselmouth")
# Keys of about.json by which a folder is known to be finished already.
_SAME = ("encoder", "sha256", "layers", "poolings", "sample_rate_hz", "pad_s", "recordings_sha256")


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


def blocks(recordings: Recordings) -> Iterator[Item]:
    """Yield an item of work per block."""
    for start in range(0, len(recordings.rows), ROWS_PER_BLOCK):
        rows = recordings.rows[start : start + ROWS_PER_BLOCK]
        num_samples = sum(row[3] for row in rows if len(row) > 2)
        size = {"num_samples": num_samples} if num_samples else {}
        yield Item(f"{start:09d}", {"start": start, "rows": [list(row) for row in rows], **size})


def embed_work(out: Path, make_embedder: Callable[[], Embedder], device: str) -> Work:
    """Make the work of one process; pass `functools.partial(embed_work, ...)` to `jobs.run`."""
    embedder = make_embedder()

    def embed(item: Item) -> Mapping[str, Any]:
        rows, began = item.data["rows"], time.perf_counter()
        with one_thread() if device == "cpu" else nullcontext():
            found = embedder.embed([_recording(row) for row in rows])
        skipped = [(row[0], str(e)) for row, e in zip(rows, found, strict=True) if isinstance(e, FileError)]
        _write_part(_part(out, item.id), found, item.data["start"], embedder)
        return {"skipped": skipped, "seconds": round(time.perf_counter() - began, 3)}

    return one_by_one(embed)


def _recording(row: Sequence[Any]) -> Recording:
    if len(row) == 2:
        return Path(row[1])
    return AudioEntry(Path(row[1]), row[2], row[3], is_whole=row[4])


def _part(out: Path, name: str) -> Path:
    return out / PARTS / f"{name}.npz"


def has_part(out: Path, outcome: Outcome) -> bool:
    """Return whether the file of a block that is done is there."""
    return _part(out, outcome.id).is_file()


def _write_part(path: Path, found: Sequence[Embedded | FileError], start: int, embedder: Embedder) -> None:
    kept = [(start + i, e) for i, e in enumerate(found) if isinstance(e, Embedded)]
    shape = (len(kept), len(embedder.layers), sum(embedder.widths))
    with atomic_path(path, durable=False) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            rows=np.array([row for row, _ in kept], dtype=np.int64),
            duration_s=np.array([e.duration_s for _, e in kept], dtype=np.float32),
            embedding=np.array([e.vectors for _, e in kept], dtype=np.float32).reshape(shape),
        )


def is_finished(out: Path, about: Mapping[str, Any]) -> bool:
    """Return whether a folder holds these embeddings already.

    Raises:
        ValueError: it holds others.
    """
    if not (out / ABOUT).is_file():
        return False
    found = read_json(out / ABOUT, "remove the folder and run again")
    for key in _SAME:
        if found.get(key) != about.get(key):
            raise ValueError(
                f"{out} holds other embeddings: {key} is {str(found.get(key))[:80]}, not {str(about.get(key))[:80]}; "
                "remove it, or choose another --out"
            )
    return True


def about_run(embedder: Embedder, recordings: Recordings) -> dict[str, Any]:
    """Return the entries of about.json that are known before anything is embedded."""
    versions = {name: _version(name) for name in _PACKAGES}
    return {
        **embedder.about,
        "layers": list(embedder.layers),
        "poolings": list(embedder.poolings),
        "widths": list(embedder.widths),
        "recordings_sha256": recordings.digest(),
        "versions": {name: found for name, found in versions.items() if found},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def assemble(out: Path, recordings: Recordings, outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> int:
    """Write the result from the parts of all blocks, and return the number of recordings that were skipped.

    Raises:
        ValueError: a block has failed, or no recording could be embedded.
    """
    if lost := [outcome for outcome in outcomes if outcome.state != "done"]:
        raise ValueError(
            f"{len(lost)} of {len(outcomes)} blocks have failed, the first by {lost[0].reason}: {lost[0].detail}; "
            f"see {out / JOBS / 'problems.tsv'} and run again"
        )
    paths = [_part(out, outcome.id) for outcome in outcomes]
    skipped = [(id_, reason) for outcome in outcomes for id_, reason in outcome.result["skipped"]]
    numbers = np.concatenate([_read_part(path, "rows") for path in paths]).tolist() if paths else []
    if not numbers:
        reason = f", the first since {skipped[0][1]}" if skipped else ""
        raise ValueError(f"none of {len(recordings.rows)} recordings could be embedded{reason}")
    write_embeddings(
        out,
        [recordings.rows[number][0] for number in numbers],
        (_read_part(path, "embedding") for path in paths),
        layers=about["layers"],
        poolings=about["poolings"],
        widths=about["widths"],
        duration_s=np.concatenate([_read_part(path, "duration_s") for path in paths]).tolist(),
        about={**about, "seconds": round(sum(outcome.result["seconds"] for outcome in outcomes), 1)},
        labels={name: [values[number] for number in numbers] for name, values in recordings.labels.items()},
        skipped=skipped,
    )
    return len(skipped)


def _read_part(path: Path, name: str) -> NDArray[Any]:
    with (
        reading(path, "a block of embeddings", advice="delete it and run again"),
        np.load(path, allow_pickle=False) as content,
    ):
        found: NDArray[Any] = content[name]
    return found


def remove_parts(out: Path) -> None:
    """Remove what only a run that is not finished needs."""
    for name in (PARTS, PurePath(JOBS).parts[0]):
        shutil.rmtree(out / name, ignore_errors=True)
