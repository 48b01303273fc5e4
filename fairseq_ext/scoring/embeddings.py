"""A network over a split: logits and embeddings, and two-dimensional projections of the embeddings.

Legend: N utterances, B of them in a batch, S samples of the longest, C classes, D embedding width.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..file_errors import FileError
from ..line_index import AudioEntry, AudioIndex
from ..manifest import read_labels, read_manifest
from ..media.audio import load_row
from ..optional import import_optional

if TYPE_CHECKING:
    import torch

PROJECTIONS = ("t-SNE", "UMAP")
# Of a padded batch: 32 recordings of 30 s. Of longer ones there are fewer.
MAX_BATCH_S = 960.0


@dataclass(frozen=True)
class Split:
    """The utterances of one split of a manifest folder with a label stream; all fields have the same length N."""

    entries: tuple[AudioEntry, ...]
    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    targets: tuple[str, ...]

    def subset(self, rows: Sequence[int]) -> Split:
        """Select the utterances at some positions."""
        return Split(
            entries=tuple(self.entries[i] for i in rows),
            ids=tuple(self.ids[i] for i in rows),
            speakers=tuple(self.speakers[i] for i in rows),
            targets=tuple(self.targets[i] for i in rows),
        )


@dataclass(frozen=True)
class Extracted:
    """The embeddings and logits of the utterances of a split.

    Attributes:
        rows: positions of the M utterances that could be read, (M,).
        embedding: (M, D) float32.
        logits: (M, C) float32; None for a network without a classifier.
        failures: (position, reason) of the other utterances.
    """

    rows: NDArray[np.int64]
    embedding: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    failures: tuple[tuple[int, str], ...]


def read_split(folder: Path, split: str, label: str) -> Split:
    """Read the audio locations, speakers and labels of a split.

    Raises:
        ValueError: the files have different numbers of rows, or an utterance has no speaker.
    """
    index = AudioIndex(Path(folder) / f"{split}.tsv")
    utterances = list(read_manifest(folder, split))
    targets = tuple(read_labels(folder, split, label))
    where = f"{folder}/{split}"
    if not len(index) == len(utterances) == len(targets):
        raise ValueError(
            f"{where}: expected {len(index)} rows in every stream, found {len(utterances)} in the sidecar "
            f"and {len(targets)} labels; rerun the preparation"
        )
    nameless = [u.id for u in utterances if not u.speaker]
    if nameless:
        raise ValueError(
            f"{where}: {len(nameless)} utterances have no speaker, such as {nameless[:3]}; fill the sidecar's "
            "speaker column, which scores per speaker need"
        )
    return Split(
        entries=tuple(index.entry(i) for i in range(len(index))),
        ids=tuple(u.id for u in utterances),
        speakers=tuple(str(u.speaker) for u in utterances),
        targets=targets,
    )


def read_locations(folder: Path, split: str) -> dict[str, AudioEntry]:
    """Read the audio location of each utterance, by id; empty when the folder does not hold the split."""
    path = Path(folder) / f"{split}.tsv"
    if not path.is_file():
        return {}
    index = AudioIndex(path)
    return {u.id: index.entry(i) for i, u in enumerate(read_manifest(folder, split))}


def extract(
    model: Any,
    entries: Sequence[AudioEntry],
    sample_rate_hz: int,
    *,
    batch_size: int = 32,
    device: str = "cpu",
) -> Extracted:
    """Run a network in evaluation mode over utterances, and return their embeddings and logits in the same order.

    Batches hold utterances of similar length, so little padding is computed.

    Args:
        model: network; called with `source` (B, S) and `padding_mask` (B, S), it returns `embedding` and `logits`.
        entries: N audio locations; those that are unreadable, or longer than the network's `longest_s`, if it has
            one, are listed as failures.
        sample_rate_hz: sample rate that the network was trained at, Hz.
        batch_size: utterances in a batch, B.
        device: torch device.

    Raises:
        ValueError: no utterance can be read.
    """
    import torch

    model = model.to(device).eval()
    longest = getattr(model, "longest_s", math.inf) * sample_rate_hz
    failures = [
        (i, _too_long(entry, longest, sample_rate_hz))
        for i, entry in enumerate(entries)
        if entry.num_samples > longest
    ]
    rows: list[int] = []
    embeddings: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    progress = tqdm(
        total=len(entries), initial=len(failures), desc="embeddings", unit="clip", leave=False, disable=None
    )
    with torch.no_grad(), progress:
        for batch in _batches(entries, longest, batch_size, round(MAX_BATCH_S * sample_rate_hz)):
            waveforms = dict(read_waveforms(entries, batch, sample_rate_hz, failures))
            progress.update(len(batch))
            if not waveforms:
                continue
            output = model(**padded(list(waveforms.values()), device))
            rows.extend(waveforms)
            embeddings.append(output["embedding"].float().cpu())
            if output["logits"] is not None:
                logits.append(output["logits"].float().cpu())
    if not rows:
        raise ValueError(
            f"extract: none of {len(entries)} utterances can be read "
            f"({failures[0][1] if failures else 'the split is empty'}); run fairseq-ext check"
        )
    order = np.argsort(np.array(rows, dtype=np.int64))
    return Extracted(
        rows=np.array(rows, dtype=np.int64)[order],
        embedding=torch.cat(embeddings).numpy()[order],
        logits=torch.cat(logits).numpy()[order] if logits else None,
        failures=tuple(sorted(failures)),
    )


def _too_long(entry: AudioEntry, longest: float, sample_rate_hz: int) -> str:
    found_s, longest_s = entry.num_samples / sample_rate_hz, longest / sample_rate_hz
    return f"{entry.path}: {found_s:.1f} s, the network takes {longest_s:g} s at most; cut the recording"


def _batches(
    entries: Sequence[AudioEntry], longest: float, batch_size: int, max_samples: int
) -> Iterator[list[int]]:
    """Yield the positions of utterances of similar length, so many that the padded batch has `max_samples` at most."""
    batch: list[int] = []
    for i in sorted(range(len(entries)), key=lambda i: entries[i].num_samples):
        size = entries[i].num_samples
        if size > longest:
            continue
        if batch and (len(batch) == batch_size or (len(batch) + 1) * size > max_samples):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def read_waveforms(
    entries: Sequence[AudioEntry], batch: Sequence[int], sample_rate_hz: int, failures: list[tuple[int, str]]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Read the recordings at some positions; (position, reason) of unreadable ones are appended to `failures`.

    Yields:
        Position and waveform, (S,), of the readable recordings.
    """
    for i in batch:
        try:
            waveform = load_row(entries[i], sample_rate_hz)
        except FileError as error:
            failures.append((i, str(error)))
        else:
            yield i, waveform


def padded(waveforms: Sequence[NDArray[np.float32]], device: str = "cpu") -> dict[str, torch.Tensor]:
    """Pad B waveforms (S_i,) to `source` (B, S) float32 and `padding_mask` (B, S), True on padding."""
    import torch

    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    source = torch.zeros(len(waveforms), int(lengths.max()))
    for row, waveform in zip(source, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    padding_mask = torch.arange(source.shape[1])[None, :] >= lengths[:, None]  # (B, S)
    return {"source": source.to(device), "padding_mask": padding_mask.to(device)}


def project(
    embedding: NDArray[np.float32], method: str, *, seed: int = 0, dimensions: int = 2
) -> NDArray[np.float32]:
    """Project embeddings (N, D) to the plane or to space, neighbours near each other; return (N, dimensions).

    Dimensions are standardised first. Distances between far groups mean little with either method: `t-SNE` (van der
    Maaten and Hinton 2008) or `UMAP` (McInnes et al. 2018).

    Raises:
        ValueError: unknown method, or fewer than 4 utterances.
    """
    if method not in PROJECTIONS:
        raise ValueError(
            f"project: expected a method among {PROJECTIONS}, found {method!r}; name one of them"
        )
    if len(embedding) < 4:
        raise ValueError(
            f"project: expected at least 4 embeddings, found {len(embedding)}; take a larger split"
        )
    deviation = embedding.std(axis=0)
    standardised = (embedding - embedding.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    layout = _tsne if method == "t-SNE" else _umap
    return np.asarray(layout(standardised, seed, dimensions), dtype=np.float32)


def _tsne(points: NDArray[np.float32], seed: int, dimensions: int) -> Any:
    # scikit-learn's default, and less for few points: it must be below their number.
    perplexity = min(30.0, (len(points) - 1) / 3)
    tsne = import_optional("sklearn.manifold").TSNE(
        dimensions, perplexity=perplexity, init="pca", random_state=seed
    )
    # Small sets: threads would wait for each other.
    with import_optional("threadpoolctl").threadpool_limits(1):
        return tsne.fit_transform(points)


def _umap(points: NDArray[np.float32], seed: int, dimensions: int) -> Any:
    # numba logs every compiled instruction once fairseq has lowered the root logger's level to DEBUG.
    for name in ("numba", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    neighbours = min(15, len(points) - 1)
    init = "spectral" if len(points) > 20 else "random"  # a spectral start needs more points than dimensions
    options = {"n_components": dimensions, "n_neighbors": neighbours, "init": init}
    umap = import_optional("umap").UMAP(random_state=seed, n_jobs=1, **options)
    return umap.fit_transform(points)
