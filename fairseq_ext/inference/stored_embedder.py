"""Embed recordings by their voice features in a store (`features.store`), which are not computed again.

Many checkpoints embed the same corpus: folds, seeds, ablations. Measuring its features takes a hundred times as long as
`ext_accent_encoder` needs for the rest.

Shapes: N recordings, T frames, E embedding.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ..checkpoints.encoder import weights_sha256
from ..checkpoints.load import load_model
from ..features.preparation import Preparation
from ..features.store import SKIPPED, FeatureStore
from ..features.voice_groups import FRAME_RATE_HZ
from ..file_errors import FileError
from ..scoring.provenance import config_hash
from .batches import batches_by_length
from .embedder import Embedded
from .embedding_sources import BATCH_S, EMBEDDING, WINDOW_S, Vectors

# What waveforms undergo that a model computes its features from.
_UNPREPARED = Preparation(trim=False, band_hz=None, loudness_lufs=None)
_WINDOW = round(WINDOW_S * FRAME_RATE_HZ)


class StoredEmbedder:
    """The part of `Embedder` that `corpus_embedding` uses, for models that read groups of voice features.

    Args:
        encoder: checkpoint of `ext_accent_encoder`.
        folder: the store, as `fairseq-ext features voice` writes it.
        device: torch device.

    Raises:
        FileError: the store is damaged.
        ValueError: the model reads no features, or waveforms beside them; or the store lacks one of its groups, or was
            prepared in another way than those that it was trained on.
    """

    layers = (0,)
    poolings = (EMBEDDING,)

    def __init__(self, encoder: str | os.PathLike[str], folder: str | os.PathLike[str], device: str) -> None:
        found = load_model(os.fspath(encoder), device)
        self._model, self._device = found.model, device
        groups = tuple(getattr(found.model, "norms", ()))
        if not groups or found.model.needs_waveforms:
            raise ValueError(
                f"{encoder}: it needs waveforms, which a store of features does not have; leave --features out"
            )
        self._store = FeatureStore(folder, groups)
        _check(found.task_state.get("preparation"), found.sample_rate_hz, self._store)
        self.sample_rate_hz = found.sample_rate_hz
        self.widths = (found.model.embedding_dim,)
        self.about: dict[str, Any] = {
            "encoder": os.fspath(encoder),
            "sample_rate_hz": self.sample_rate_hz,
            "model": str(found.cfg.model._name),
            "num_updates": found.num_updates,
            "config_hash": config_hash(found.cfg),
            "preparation": self._store.about.get("preparation"),
            "sha256": weights_sha256(os.fspath(encoder)),
        }

    @staticmethod
    def recordings(rows: Sequence[Sequence[Any]]) -> list[str]:
        """Return the ids of rows of `Recordings`."""
        return [str(row[0]) for row in rows]

    def embed(self, ids: Sequence[Any]) -> list[Embedded | FileError]:
        """Embed recordings of the store; in the place of one that it does not have is the reason."""
        windows = [(i, first) for i, id_ in enumerate(ids) for first in range(0, self._size(id_), _WINDOW)]
        sizes = [min(_WINDOW, self._size(ids[i]) - first) for i, first in windows]
        limit = BATCH_S["cuda" if self._device.startswith("cuda") else "cpu"] * FRAME_RATE_HZ
        parts: dict[int, list[Vectors]] = {}
        for batch in batches_by_length(sizes, round(limit)):
            chosen = [windows[place] for place in batch]
            for (i, _), vector in zip(chosen, self._vectors(ids, chosen), strict=True):
                parts.setdefault(i, []).append(vector)
        return [self._finished(id_, parts.get(i)) for i, id_ in enumerate(ids)]

    def _size(self, id_: str) -> int:
        return self._store.num_frames(id_) if id_ in self._store else 0

    @torch.no_grad()
    def _vectors(self, ids: Sequence[str], batch: Sequence[tuple[int, int]]) -> list[Vectors]:
        clips = [
            {
                name: torch.from_numpy(np.array(frames[first : first + _WINDOW]))
                for name, frames in self._store[ids[i]].items()
            }
            for i, first in batch
        ]
        sizes = [len(next(iter(clip.values()))) for clip in clips]
        features = {
            name: pad_sequence([clip[name] for clip in clips], batch_first=True).to(self._device)
            for name in clips[0]
        }
        with torch.backends.cudnn.flags(allow_tf32=False):
            found = self._model(features=features, lengths=torch.tensor(sizes, device=self._device))
        vectors = found["embedding"].double().cpu().numpy()
        return [
            Vectors(v * size, size, self._model.unit_norm) for v, size in zip(vectors, sizes, strict=True)
        ]

    def _finished(self, id_: str, parts: Sequence[Vectors] | None) -> Embedded | FileError:
        if not parts:
            return FileError(f"{id_}: no features in {self._store.folder}; see {SKIPPED} there")
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.joined(part)
        return Embedded(whole.pooled(self.poolings), whole.size / FRAME_RATE_HZ)


def _check(preparation: Any, rate_hz: int, store: FeatureStore) -> None:
    """Check that a store is like the one that a model was trained on, or like what it computes from waveforms."""
    wanted = (Preparation(**preparation) if preparation else _UNPREPARED).settings()
    if (found := store.about["preparation"]) != wanted:
        raise ValueError(
            f"{store.folder}: features prepared by {found}, and the model was trained on {wanted}; give the store of "
            "its training, or leave --features out"
        )
    if (stored_hz := store.about.get("sample_rate_hz", rate_hz)) != rate_hz:
        raise ValueError(
            f"{store.folder}: features at {rate_hz} Hz expected, as the model was trained on, found {stored_hz} Hz; "
            "compute them again at that rate, or leave --features out"
        )
