"""Embed the recordings of a manifest, a folder or a list of files, on many workers, into `scoring.embedding_files`.

Blocks of recordings (`media.recording_blocks`) become the files of the result. A block is computed on one thread and
depends on nothing but its recordings, so that the result has the same bytes whatever the number of workers, and after
any kill.

Shapes: N recordings of a block, L layers, P columns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError
from ..jobs import Item, Outcome, Work, one_by_one
from ..media.recording_blocks import check_done, part, read_part, skipped_of, write_part
from ..media.recordings import Recordings
from ..media.threads import one_thread
from ..optional import installed_versions
from ..scoring.embedding_files import ABOUT, write_embeddings
from ..scoring.scored_system import read_json
from .embedder import Embedded, Embedder
from .stored_embedder import StoredEmbedder

AnyEmbedder = Embedder | StoredEmbedder
JOBS = "jobs/embed"  # below OUT
_PACKAGES = ("fairseq-ext", "torch", "torchaudio", "numpy", "praat-parselmouth")
# Keys of about.json by which a folder is known to be finished already.
_SAME = ("encoder", "sha256", "layers", "poolings", "sample_rate_hz", "pad_s", "recordings_sha256")


def embed_work(out: Path, make_embedder: Callable[[], AnyEmbedder], device: str) -> Work:
    """Make the work of one process; pass `functools.partial(embed_work, ...)` to `jobs.run`."""
    embedder = make_embedder()

    def embed(item: Item) -> Mapping[str, Any]:
        rows, began = item.data["rows"], time.perf_counter()
        with one_thread() if device == "cpu" else nullcontext():
            found = embedder.embed(embedder.recordings(rows))
        skipped = [(row[0], str(e)) for row, e in zip(rows, found, strict=True) if isinstance(e, FileError)]
        write_part(part(out, item.id), _arrays(found, item.data["start"], embedder))
        return {"skipped": skipped, "seconds": round(time.perf_counter() - began, 3)}

    return one_by_one(embed)


def _arrays(
    found: Sequence[Embedded | FileError], start: int, embedder: AnyEmbedder
) -> dict[str, NDArray[Any]]:
    kept = [(start + i, e) for i, e in enumerate(found) if isinstance(e, Embedded)]
    shape = (len(kept), len(embedder.layers), sum(embedder.widths))
    return {
        "rows": np.array([row for row, _ in kept], dtype=np.int64),
        "duration_s": np.array([e.duration_s for _, e in kept], dtype=np.float32),
        "embedding": np.array([e.vectors for _, e in kept], dtype=np.float32).reshape(shape),
    }


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


def about_run(embedder: AnyEmbedder, recordings: Recordings) -> dict[str, Any]:
    """Return the entries of about.json that are known before anything is embedded."""
    return {
        **embedder.about,
        "layers": list(embedder.layers),
        "poolings": list(embedder.poolings),
        "widths": list(embedder.widths),
        "recordings_sha256": recordings.digest(),
        "versions": installed_versions(_PACKAGES),
    }


def assemble(out: Path, recordings: Recordings, outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> int:
    """Write the result from the parts of all blocks, and return the number of recordings that were skipped.

    Raises:
        ValueError: a block has failed, or no recording could be embedded.
    """
    check_done(outcomes, out / JOBS)
    paths = [part(out, outcome.id) for outcome in outcomes]
    numbers = np.concatenate([_read(path, "rows") for path in paths]).tolist() if paths else []
    skipped = skipped_of(outcomes, len(numbers), len(recordings.rows), "embedded")
    write_embeddings(
        out,
        [recordings.rows[number][0] for number in numbers],
        (_read(path, "embedding") for path in paths),
        layers=about["layers"],
        poolings=about["poolings"],
        widths=about["widths"],
        duration_s=np.concatenate([_read(path, "duration_s") for path in paths]).tolist(),
        about={**about, "seconds": round(sum(outcome.result["seconds"] for outcome in outcomes), 1)},
        labels={name: [values[number] for number in numbers] for name, values in recordings.labels.items()},
        skipped=skipped,
    )
    return len(skipped)


def _read(path: Path, name: str) -> NDArray[Any]:
    found: NDArray[Any] = read_part(path, [name])[name]
    return found
