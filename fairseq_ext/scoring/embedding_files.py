"""The folder that `fairseq-ext embed` writes: a vector of each recording for each layer and pooling.

    embeddings.npz      what `read_embeddings` reads
    embeddings.parquet  the same for other programs: a row per recording, layer and pooling, with the labels
    about.json          encoder, hash of its weights, layers, poolings, ...; written last, no folder is whole without
    skipped.tsv         id and reason of the recordings without a vector

Shapes: N recordings, L layers, K poolings, P = sum of their widths.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..file_errors import MissingFileError, reading
from ..files import atomic_path, read_lines, split_row, write_reasons
from ..optional import import_optional
from .scored_system import read_json, write_json

NPZ, PARQUET, ABOUT, SKIPPED = "embeddings.npz", "embeddings.parquet", "about.json", "skipped.tsv"
JOIN = "+"  # of poolings side by side, such as mean+std
ADVICE = "run fairseq-ext embed again"
# Columns of the table that no label stream may be called.
_COLUMNS = ("id", "layer", "pooling", "vector")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddingFile:
    """The embeddings of a set of recordings by one encoder.

    Attributes:
        ids: ids of the recordings, (N,).
        embedding: (N, L, P) float32; the poolings stand side by side.
        layers: numbers of the layers, (L,); 0 = the input of the first one, or features that have no layers.
        poolings: names of the poolings, (K,), in the order of the columns.
        widths: numbers of columns of the poolings, (K,).
        duration_s: lengths of the recordings, (N,), s.
        about: content of about.json.
        skipped: id -> reason, of the recordings without a vector.
    """

    ids: tuple[str, ...]
    embedding: Floats
    layers: tuple[int, ...]
    poolings: tuple[str, ...]
    widths: tuple[int, ...]
    duration_s: Floats
    about: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {id_: position for position, id_ in enumerate(self.ids)}

    def rows(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the positions of recordings.

        Raises:
            ValueError: some have no vector; the message has the reason of the first.
        """
        ids = list(ids)
        missing = [id_ for id_ in ids if id_ not in self._positions]
        if missing:
            reason = self.skipped.get(missing[0], "not among the recordings that were embedded")
            raise ValueError(
                f"{len(missing)} of {len(ids)} recordings have no embedding, such as {missing[0]} ({reason}); leave "
                "them out, or embed the manifest that lists them"
            )
        return np.array([self._positions[id_] for id_ in ids], dtype=np.int64)

    def columns(self, layer: int, pooling: str) -> Floats:
        """Return the vectors (N, width) of a layer by a pooling, or by several side by side, such as mean+std.

        Raises:
            ValueError: the folder does not hold them.
        """
        wanted = pooling.split(JOIN)
        if layer not in self.layers or not set(wanted) <= set(self.poolings):
            raise ValueError(
                f"the embeddings have layers {', '.join(map(str, self.layers))} and poolings "
                f"{', '.join(self.poolings)}, not layer {layer} with {pooling}; choose others, or embed again"
            )
        of_layer = self.embedding[:, self.layers.index(layer)]
        starts = np.cumsum([0, *self.widths])
        spans = {
            name: slice(*starts[i : i + 2]) for i, name in enumerate(self.poolings)
        }  # columns of each pooling
        return np.concatenate([of_layer[:, spans[name]] for name in wanted], axis=1)


def read_embeddings(folder: Path) -> EmbeddingFile:
    """Read the folder of an encoder's embeddings.

    Raises:
        FileError: the embedding has not finished, or a file is damaged.
    """
    folder = Path(folder)
    if not (folder / ABOUT).is_file():
        raise MissingFileError(
            f"{folder}: no {ABOUT}, so no finished embeddings; check the path, or {ADVICE}"
        )
    about = read_json(folder / ABOUT, ADVICE)
    with (
        reading(folder / NPZ, "a file of embeddings", advice=ADVICE),
        np.load(folder / NPZ, allow_pickle=False) as content,
    ):
        found = EmbeddingFile(
            ids=tuple(content["ids"].tolist()),
            embedding=content["embedding"],
            layers=tuple(content["layers"].tolist()),
            poolings=tuple(content["poolings"].tolist()),
            widths=tuple(content["widths"].tolist()),
            duration_s=content["duration_s"],
            about=about,
            skipped=_read_skipped(folder / SKIPPED),
        )
        _check(found)
    return found


def _check(found: EmbeddingFile) -> None:
    """Raise ValueError where the parts of a folder contradict each other."""
    expected = (len(found.ids), len(found.layers), sum(found.widths))
    if found.embedding.shape != expected or found.duration_s.shape != expected[:1]:
        raise ValueError(f"{expected} values expected, found {found.embedding.shape}")
    if len(found.widths) != len(found.poolings) or len(set(found.ids)) != len(found.ids):
        raise ValueError("widths and poolings differ in number, or an id is repeated")
    for key, value in (("layers", found.layers), ("poolings", found.poolings)):
        if list(value) != found.about.get(key):
            raise ValueError(f"{key} {list(value)} differ from {ABOUT}, {found.about.get(key)}")
    if found.about.get("num_embedded") != len(found.ids):
        raise ValueError(f"{len(found.ids)} ids, {found.about.get('num_embedded')} by {ABOUT}")


def _read_skipped(path: Path) -> dict[str, str]:
    rows = [split_row(line, 2, f"{path}:{number}") for number, line in enumerate(read_lines(path), 1)]
    return {row[0]: row[1] for row in rows}


def write_embeddings(
    folder: Path,
    ids: Sequence[str],
    embedding: Iterable[Floats],
    *,
    layers: Sequence[int],
    poolings: Sequence[str],
    widths: Sequence[int],
    duration_s: Sequence[float],
    about: Mapping[str, Any],
    labels: Mapping[str, Sequence[str]] | None = None,
    skipped: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the folder; `read_embeddings` reads it once all of it is there.

    The same content gives the same bytes. About a chunk of the embedding is held at a time.

    Args:
        folder: the folder; files of an earlier run in it are replaced.
        ids: ids of the recordings, (N,).
        embedding: chunks (n, L, P) of the vectors, in the order of the ids.
        layers: numbers of the layers, (L,).
        poolings: names of the poolings, (K,).
        widths: their numbers of columns, (K,).
        duration_s: lengths of the recordings, (N,), s.
        about: entries of about.json; layers, poolings and counts are added.
        labels: label stream -> the label of each recording, (N,).
        skipped: (id, reason) of the recordings without a vector.

    Raises:
        ValueError: the chunks have other shapes, an id is repeated, or a label stream is called as a column.
        ImportError: pyarrow is missing.
    """
    labels = dict(labels or {})
    _check_writable(ids, labels)
    (folder / ABOUT).unlink(missing_ok=True)
    members = {
        "ids": np.array(ids, dtype=str),
        "layers": np.array(layers, dtype=np.int64),
        "poolings": np.array(poolings, dtype=str),
        "widths": np.array(widths, dtype=np.int64),
        "duration_s": np.array(duration_s, dtype=np.float32),
    }
    with (
        atomic_path(folder / NPZ) as npz,
        atomic_path(folder / PARQUET) as parquet,
        zipfile.ZipFile(npz, "w", allowZip64=True) as archive,
        _Table(parquet, ids, layers, poolings, widths, labels) as table,
    ):
        for name, value in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy_format.write_array(file, value, allow_pickle=False)
        _write_vectors(archive, table, embedding, (len(ids), len(layers), sum(widths)))
    write_reasons(folder / SKIPPED, skipped)
    counts = {"num_embedded": len(ids), "num_skipped": len(skipped)}
    write_json(folder / ABOUT, {**about, "layers": list(layers), "poolings": list(poolings), **counts})


def _write_vectors(
    archive: zipfile.ZipFile, table: _Table, chunks: Iterable[Floats], shape: tuple[int, int, int]
) -> None:
    """Write chunks of vectors to the archive and the table, one at a time."""
    start = 0
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with archive.open("embedding.npy", "w", force_zip64=True) as file:
        npy_format.write_array_header_1_0(file, header)
        for chunk in chunks:
            stop = start + len(chunk)
            if chunk.shape[1:] != shape[1:] or stop > shape[0]:
                raise ValueError(
                    f"embeddings {shape} expected, found rows {start} to {stop} of {chunk.shape}"
                )
            file.write(np.ascontiguousarray(chunk, dtype="<f4").tobytes())
            table.write(start, chunk)
            start = stop
    if start != shape[0]:
        raise ValueError(f"{shape[0]} vectors expected, found {start}")


def _check_writable(ids: Sequence[str], labels: Mapping[str, Sequence[str]]) -> None:
    if len(set(ids)) != len(ids):
        repeated = next(id_ for position, id_ in enumerate(ids) if id_ in ids[:position])
        raise ValueError(f"the id {repeated!r} occurs twice; give each recording its own id")
    for name, values in labels.items():
        if name in _COLUMNS:
            raise ValueError(f"label stream {name!r} is called as a column of {PARQUET}; rename the stream")
        if len(values) != len(ids):
            raise ValueError(f"label stream {name!r} has {len(values)} labels for {len(ids)} recordings")


class _Table:
    """The parquet file under way: a row per recording, layer and pooling."""

    def __init__(
        self,
        path: Path,
        ids: Sequence[str],
        layers: Sequence[int],
        poolings: Sequence[str],
        widths: Sequence[int],
        labels: Mapping[str, Sequence[str]],
    ) -> None:
        self._arrow = import_optional("pyarrow")
        text = self._arrow.string()
        fields = [("id", text), ("layer", self._arrow.int64()), ("pooling", text)]
        fields += [("vector", self._arrow.list_(self._arrow.float32()))]
        self._schema = self._arrow.schema([*fields, *((name, text) for name in labels)])
        writer = import_optional("pyarrow.parquet").ParquetWriter
        # Dictionaries make repeated texts small; the numbers hardly repeat.
        dictionaries = ["id", "layer", "pooling", *labels]
        self._writer = writer(str(path), self._schema, use_dictionary=dictionaries, compression="zstd")
        self._texts = {"id": ids, **labels}
        self._pairs = [(layer, pooling) for layer in layers for pooling in poolings]
        self._num_layers, self._bounds = len(layers), np.cumsum([0, *widths])

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, start: int, chunk: Floats) -> None:
        """Append the rows of the recordings from a position on."""
        times, texts = len(self._pairs), self._texts.items()
        columns: dict[str, Any] = {
            name: np.repeat(np.array(values[start : start + len(chunk)], dtype=object), times)
            for name, values in texts
        }
        columns["layer"] = np.tile(np.array([layer for layer, _ in self._pairs], dtype=np.int64), len(chunk))
        columns["pooling"] = np.tile(np.array([name for _, name in self._pairs], dtype=object), len(chunk))
        columns["vector"] = self._vectors(chunk)
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def _vectors(self, chunk: Floats) -> Any:
        """Return the vectors as lists; those of a recording and layer lie side by side already."""
        ends = np.arange(len(chunk) * self._num_layers)[:, None] * self._bounds[-1] + self._bounds[1:]
        offsets = np.concatenate([[0], ends.ravel()]).astype(np.int32)
        values = np.ascontiguousarray(chunk, dtype=np.float32).ravel()
        return self._arrow.ListArray.from_arrays(offsets, values)


def encoder_settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells encoders apart, of about.json: the settings of a training, else the file and its weights.

    Folds and seeds of one system are embedded by trainings of their own, with equal settings.
    """
    if trained := about.get("config_hash"):
        return {"encoder_training": trained}
    return {"encoder": about.get("encoder"), "encoder_sha256": about.get("sha256")}
