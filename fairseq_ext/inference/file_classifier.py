"""Classify recordings of any format, rate and length with a saved classifier of embeddings, or a checkpoint of ours.

    classify = load_file_classifier("whisper_svm")
    print(classify("unknown.wav").probabilities)        # {"happy": 0.71, "surprised": 0.2, ...}

Long recordings go through windows: embeddings pool the frames of all of them, the probabilities of a checkpoint are
averaged over them.

Shapes: S samples, C classes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError
from ..media.recording_windows import Recording, recording_windows
from ..media.recordings import LEAST_S, SILENT_PEAK
from ..scoring.classifiers import saved
from ..scoring.embedding_files import JOIN, EmbeddingFile
from ..scoring.trained import TrainedModel
from .classifier import class_probabilities
from .embedder import Embedded, Embedder, load_embedder
from .embedding_sources import OWN_POOLINGS

Floats = NDArray[np.float32]
# Of a checkpoint: the attention of transformers grows with the square of the length.
WINDOW_S = 30.0


@dataclass(frozen=True)
class Classified:
    """The class of a recording.

    Attributes:
        probabilities: class -> probability, the likeliest first.
        duration_s: length of the recording, s.
        distances: class -> distance from its centroid, the nearest first; empty for classifiers without centroids.
    """

    probabilities: dict[str, float]
    duration_s: float
    distances: dict[str, float] = field(default_factory=dict)


class FileClassifier(Protocol):
    """What `load_file_classifier` returns."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes."""

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of waveforms, Hz."""

    def __call__(
        self, recording: Recording, on_progress: Callable[[float], None] | None = None
    ) -> Classified:
        """Classify a file, or a waveform (S,) at the classifier's rate.

        `on_progress` is called with the seconds of audio that were just listened to, again and again.

        Raises:
            FileError: it cannot be read, is silent, or too short.
        """


def load_file_classifier(
    path: str | os.PathLike[str], *, encoder: str = "", device: str = "cpu", label: str = ""
) -> FileClassifier:
    """Load a folder that `fairseq-ext score embeddings --save` wrote, or a checkpoint of one of our classifiers.

    Args:
        encoder: where the encoder of a saved classifier lies now; empty = where it lay. Its weights must be the same.
        device: torch device.
        label: label stream of a checkpoint that has several; empty = its first.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no classifier, a changed file, or an encoder with other weights.
    """
    folder = Path(path)
    if folder.is_dir():
        if not (folder / saved.ABOUT).is_file():
            raise FileError(
                f"{path}: no {saved.ABOUT} in it, so no saved classifier; give a folder of fairseq-ext score "
                "embeddings --save, or a checkpoint"
            )
        return EmbeddingFileClassifier(folder, encoder, device)
    if encoder:
        raise ValueError(f"{path}: a checkpoint holds its encoder; leave the other one out")
    from ..checkpoints.load import load_model  # fairseq takes seconds to import

    trained = load_model(folder, device, label=label)
    if not trained.labels:
        raise ValueError(f"{path}: this model is pre-trained and has no classes; fine-tune it first")
    return CheckpointClassifier(trained)


class EmbeddingFileClassifier:
    """A saved classifier of embeddings with its encoder; arguments as `load_file_classifier`."""

    def __init__(self, folder: Path, encoder: str = "", device: str = "cpu") -> None:
        found = saved.load(folder)
        self._classifier, self.labels = found.classifier, found.classifier.labels
        self.metric = found.classifier.metric  # of distances; empty for classifiers without centroids
        self._embedder = _embedder(found, encoder, device, folder)
        self.sample_rate_hz = self._embedder.sample_rate_hz

    def __call__(
        self, recording: Recording, on_progress: Callable[[float], None] | None = None
    ) -> Classified:
        """Classify a recording, see `FileClassifier`."""
        (embedded,) = self._embedder.embed([recording], on_progress)
        if isinstance(embedded, FileError):
            raise embedded
        file, distances = self._as_file(embedded), {}
        log_probs = self._classifier.log_probs(lambda feature: feature.columns(file))
        if self.metric:
            found = self._classifier.distances(lambda feature: feature.columns(file))[0]
            distances = dict(sorted(_named(self.labels, found).items(), key=lambda pair: pair[1]))
        return Classified(_ordered(self.labels, np.exp(log_probs[0])), embedded.duration_s, distances)

    def _as_file(self, embedded: Embedded) -> EmbeddingFile:
        return EmbeddingFile(
            ids=("",),
            embedding=embedded.vectors[None],
            layers=tuple(self._embedder.layers),
            poolings=tuple(self._embedder.poolings),
            widths=tuple(self._embedder.widths),
            duration_s=np.array([embedded.duration_s], dtype=np.float32),
        )


def _embedder(found: saved.SavedClassifier, encoder: str, device: str, folder: Path) -> Embedder:
    """Load the encoder with the layers and poolings that the classifier reads, and compare its hash."""
    features = [member.feature for member in found.classifier.members]
    layers = sorted({layer for feature in features for layer in feature.layers})
    poolings = list(dict.fromkeys(name for feature in features for name in feature.pooling.split(JOIN)))
    about, place = found.about, encoder or found.encoder
    if not place or not (encoder or os.path.exists(place) or about.get("encoder_sha256") is None):
        raise FileError(
            f"{folder / saved.ABOUT}: its encoder {place or '(unnamed)'} is not there; say where it is (--encoder)"
        )
    loaded = load_embedder(
        place,
        layers,
        ("mean",) if OWN_POOLINGS.issuperset(poolings) else poolings,
        device,
        pad_s=float(about.get("pad_s") or 0.0),
        sample_rate_hz=int(about.get("sample_rate_hz") or 16_000),
    )
    found.check_encoder(place, loaded.about.get("sha256"), folder)
    return loaded


class CheckpointClassifier:
    """A trained network of ours that classifies waveforms."""

    def __init__(self, trained: TrainedModel) -> None:
        self._trained, self.labels = trained, tuple(trained.labels)
        self.sample_rate_hz = trained.sample_rate_hz

    def __call__(
        self, recording: Recording, on_progress: Callable[[float], None] | None = None
    ) -> Classified:
        """Classify a recording, see `FileClassifier`."""
        rate_hz = self.sample_rate_hz
        sizes, probabilities, peak = [], [], 0.0
        for window in recording_windows(recording, rate_hz, round(WINDOW_S * rate_hz)):
            sizes.append(len(window))
            peak = max(peak, float(np.abs(window).max(initial=0.0)))
            if len(window) >= LEAST_S * rate_hz:
                probabilities.append(len(window) * class_probabilities(self._trained, window))
            if on_progress is not None:
                on_progress(len(window) / rate_hz)
        duration_s = sum(sizes) / rate_hz
        check_audible(recording, duration_s, peak)
        total = np.sum(probabilities, axis=0)
        return Classified(_ordered(self.labels, total / total.sum()), duration_s)


def check_audible(recording: Recording, duration_s: float, peak: float) -> None:
    """Raise FileError for a recording shorter than a frame, or without a sample above one step of 16 bits."""
    name = name_of(recording)
    if duration_s < LEAST_S:
        raise FileError(
            f"{name}: {duration_s:.4g} s, shorter than a frame of {LEAST_S:g} s; give a longer one"
        )
    if peak <= SILENT_PEAK:
        raise FileError(f"{name}: silence, no sample above one step of 16 bits; give a recording with speech")


def name_of(recording: Recording) -> str:
    """Return what messages call a recording: its path, or "waveform"."""
    return "waveform" if isinstance(recording, np.ndarray) else str(getattr(recording, "path", recording))


def _named(labels: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(labels, values.tolist(), strict=True))


def _ordered(labels: Sequence[str], probabilities: Floats) -> dict[str, float]:
    return dict(sorted(_named(labels, probabilities).items(), key=lambda pair: -pair[1]))
