"""What embeddings are made of: layers of an encoder, or features that need no checkpoint.

Each source turns windows of recordings into statistics, which join over the windows of a recording and are pooled to
its vector.

Shapes: B windows, S samples, T frames, D width, L layers, K poolings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.encoder import load_encoder_layers, weights_sha256
from ..checkpoints.load import load_model
from ..features.acoustic import LogMelFrames, MfccFrames
from ..features.preparation import Preparation, prepare
from ..features.prosody import NAMES, Contours, contours
from ..modules.encoder_layers import WEIGHTED
from ..modules.frame_statistics import POOLINGS, FrameStatistics, frame_statistics
from ..modules.padding import pad_waveforms
from ..modules.pretrained_encoder import USUAL_RATE_HZ, NoEncoderError
from ..modules.whisper_encoder import WhisperEncoder
from ..scoring.provenance import config_hash

Floats = NDArray[np.float32]
# Names of the sources that need no checkpoint.
FEATURES = ("logmel", "mfcc", "prosody")
# The pooling of prosody: its statistics are what they are.
STATISTICS = "statistics"
EMBEDDING = "embedding"  # the pooling of a model that pools by itself
# What nobody chooses: columns of these names come of the source, whatever poolings are asked for.
OWN_POOLINGS = frozenset({STATISTICS, EMBEDDING})
# Whisper has positions for 30 s; the attention of the others grows with the square of the length.
WINDOW_S = 30.0
USUAL_PAD_S = 1.0  # of Whisper, see `load_embedder`
# Audio in a batch with its padding, s. On a CPU Whisper gains nothing by batches, and the others a tenth; on a GPU less
# leaves it idle.
BATCH_S = {"cpu": 16.0, "cuda": 480.0}


class Statistics(Protocol):
    """Statistics of a stretch of a recording."""

    def joined(self, later: Self) -> Self:
        """Return those of this stretch and the next."""
        ...

    def pooled(self, poolings: Sequence[str]) -> Floats:
        """Return poolings side by side, (L, sum of widths)."""
        ...


class Source(Protocol):
    """What an embedder turns windows into vectors with.

    Attributes:
        sample_rate_hz: sample rate of the windows, Hz.
        layers: numbers of the layers, (L,).
        poolings: names of the poolings, (K,).
        widths: numbers of columns of each, (K,).
        window: step of the windows of long recordings, samples.
        overlap: samples by which a window reaches into the next.
        hop: samples from frame to frame.
        batch_s: audio in a batch with its padding, s; 0 = a window at a time.
        about: entries of about.json that are its own.
    """

    sample_rate_hz: int
    layers: tuple[int, ...]
    poolings: tuple[str, ...]
    widths: tuple[int, ...]
    window: int
    overlap: int
    hop: int
    batch_s: float
    about: dict[str, Any]

    def statistics(self, windows: Sequence[Floats]) -> Sequence[Statistics]:
        """Return the statistics of each of B windows (S_i,)."""
        ...


class EncoderSource:
    """Layers of an encoder. For `pad_s` and the errors see `load_embedder`."""

    def __init__(
        self,
        path: str | Path,
        layers: Sequence[int],
        poolings: Sequence[str],
        device: str,
        pad_s: float | None,
    ) -> None:
        self._layers, source = load_encoder_layers(path, layers, device, final_norm=True)
        encoder, self._device = self._layers.encoder, device
        self._is_whisper = isinstance(encoder, WhisperEncoder)
        pad_s = (USUAL_PAD_S if self._is_whisper else 0.0) if pad_s is None else pad_s
        if pad_s and not self._is_whisper:
            raise ValueError(
                f"{path}: silence of {pad_s:g} s around each clip is for Whisper, which was trained so; leave it out"
            )
        self.sample_rate_hz = int(source.sample_rate_hz or USUAL_RATE_HZ)
        self.layers, self.poolings = self._layers.layers, tuple(poolings)
        self.widths = (encoder.out_dim,) * len(poolings)
        self.hop = encoder.hop_samples
        self._silent_frames = round(pad_s * self.sample_rate_hz / self.hop)
        window_s = WINDOW_S - 2 * pad_s
        if window_s < pad_s:
            raise ValueError(
                f"silence of {pad_s:g} s before and after each clip leaves {max(window_s, 0):g} s of Whisper's 30 s; "
                "10 s are the most"
            )
        self.window = round(window_s * self.sample_rate_hz) // self.hop * self.hop
        # Then the windows of a recording have exactly the frames of the whole. Whisper's frames cover the hops.
        self.overlap = 0 if self._is_whisper else _receptive_field(encoder.convolutions) - self.hop
        is_cpu = not device.startswith("cuda")
        self.batch_s = 0.0 if is_cpu and self._is_whisper else BATCH_S["cpu" if is_cpu else "cuda"]
        self.about: dict[str, Any] = {"pad_s": pad_s, "normalize": source.normalize}
        if source.sample_rate_hz is None:
            self.about["sample_rate_is"] = "not in the checkpoint; the usual one taken"
        if WEIGHTED in self.layers and self._layers.layer_sum is not None:
            self.about["layer_weights"] = self._layers.layer_sum.weights().tolist()

    @torch.no_grad()
    def statistics(self, windows: Sequence[Floats]) -> list[FrameStatistics]:
        """Run the encoder on a batch."""
        source, padding = pad_waveforms([torch.from_numpy(window) for window in windows])
        mask = padding.to(self._device) if bool(padding.any()) else None
        # TF32, cuDNN's default for convolutions, rounds to 10 bits, by which results would differ between batches.
        with torch.backends.cudnn.flags(allow_tf32=False):
            layers, own = self._layers(source.to(self._device), mask, self._silent_frames)
            return frame_statistics(layers, own)


def _receptive_field(convolutions: Sequence[tuple[int, int, int]]) -> int:
    """Return the samples under a frame of convolutions (kernel, stride, padding)."""
    size = 1
    for kernel, stride, _ in reversed(convolutions):
        size = (size - 1) * stride + kernel
    return size


@dataclass(frozen=True)
class Vectors:
    """Embeddings of a stretch of a recording by a model that pools by itself.

    Attributes:
        total: their sum (P,), weighted by the sizes of their windows.
        size: size of the stretch, in samples or frames.
        unit_norm: whether the mean is brought to norm 1.
    """

    total: NDArray[np.float64]
    size: int
    unit_norm: bool

    def joined(self, later: "Vectors") -> "Vectors":
        return Vectors(self.total + later.total, self.size + later.size, self.unit_norm)

    def pooled(self, poolings: Sequence[str]) -> Floats:
        scale = np.linalg.norm(self.total) if self.unit_norm else self.size
        return (self.total / max(scale, 1e-12)).astype(np.float32)[None]


class ModelSource:
    """A model that gives one vector per recording, such as `ext_accent_encoder`, loaded by `checkpoints.load`.

    Recordings longer than a window have the mean of their windows' vectors, brought to norm 1 where the model does so.
    """

    layers: tuple[int, ...] = (0,)
    poolings: tuple[str, ...] = (EMBEDDING,)
    widths: tuple[int, ...]

    def __init__(self, path: str | Path, device: str) -> None:
        found = load_model(path, device)
        self._model, self._device = found.model, device
        prepared = found.task_state.get("preparation")
        self._preparation = Preparation(**prepared) if prepared else None
        self._unit_norm = bool(getattr(found.model, "unit_norm", False))
        self.sample_rate_hz = found.sample_rate_hz
        self.hop = round(0.01 * self.sample_rate_hz)
        self.window, self.overlap = round(WINDOW_S * self.sample_rate_hz) // self.hop * self.hop, 0
        self.batch_s = BATCH_S["cuda" if device.startswith("cuda") else "cpu"]
        self.about: dict[str, Any] = {
            "model": str(found.cfg.model._name),
            "num_updates": found.num_updates,
            "config_hash": config_hash(found.cfg),
        }
        if prepared:
            self.about["preparation"] = prepared
        vector = self.statistics([np.zeros(self.hop * 10, dtype=np.float32)])[0]
        self.widths = (len(vector.total),)

    @torch.no_grad()
    def statistics(self, windows: Sequence[Floats]) -> list[Vectors]:
        """Run the model on a batch, each window prepared as the features were that it was trained on."""
        if self._preparation is not None:
            windows = [prepare(window, self.sample_rate_hz, self._preparation).waveform for window in windows]
        source, padding = pad_waveforms([torch.from_numpy(window) for window in windows])
        mask = padding.to(self._device) if bool(padding.any()) else None
        with torch.backends.cudnn.flags(allow_tf32=False):
            vectors = self._model(source.to(self._device), mask)["embedding"].double().cpu().numpy()
        return [
            Vectors(vector * len(window), len(window), self._unit_norm)
            for vector, window in zip(vectors, windows, strict=True)
        ]


class FrameSource:
    """Features of frames, window by window."""

    layers: tuple[int, ...] = (0,)
    widths: tuple[int, ...]

    def __init__(self, frames: LogMelFrames | MfccFrames, poolings: Sequence[str], hop: int) -> None:
        self._frames, self.sample_rate_hz, self.hop = frames, frames.sample_rate_hz, hop
        self.poolings = tuple(poolings)
        dim = frames(np.zeros(hop, dtype=np.float32)).shape[1]
        self.widths = (dim,) * len(poolings)
        self.window, self.overlap = round(WINDOW_S * self.sample_rate_hz) // hop * hop, 0
        self.batch_s = 0.0
        self.about: dict[str, Any] = {}

    def statistics(self, windows: Sequence[Floats]) -> list[FrameStatistics]:
        """Compute the features of each window."""
        found = []
        for window in windows:
            frames = torch.from_numpy(self._frames(window))
            found += frame_statistics([frames[None]], torch.tensor([len(frames)]))
        return found


@dataclass(frozen=True)
class _Prosody:
    """Contours of a stretch, with the methods of `Statistics`."""

    contours: Contours

    def joined(self, later: "_Prosody") -> "_Prosody":
        return _Prosody(self.contours.joined(later.contours))

    def pooled(self, poolings: Sequence[str]) -> Floats:
        return self.contours.statistics()[None]


class ProsodySource:
    """Prosody, whose contours are joined over the windows of a recording."""

    layers: tuple[int, ...] = (0,)
    poolings: tuple[str, ...] = (STATISTICS,)
    widths: tuple[int, ...] = (len(NAMES),)

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.hop = round(0.01 * sample_rate_hz)
        self.window, self.overlap = round(WINDOW_S * sample_rate_hz) // self.hop * self.hop, 0
        self.batch_s = 0.0
        self.about: dict[str, Any] = {"columns": list(NAMES)}

    def statistics(self, windows: Sequence[Floats]) -> list[_Prosody]:
        """Measure the contours of each window."""
        return [_Prosody(contours(window, self.sample_rate_hz)) for window in windows]


def make_source(
    encoder: str | Path,
    layers: str | int | Sequence[int],
    poolings: Sequence[str],
    device: str,
    pad_s: float | None,
    sample_rate_hz: int,
) -> Source:
    """Make the source of an encoder by its path, or of features by their name; arguments of `load_embedder`."""
    poolings = _poolings(poolings)
    if str(encoder) not in FEATURES:
        source = _of_weights(encoder, layers, poolings, device, pad_s)
        source.about |= {"sha256": weights_sha256(encoder)}
        return source
    if layers not in ("all", 0, (0,), [0]) or pad_s:
        raise ValueError(
            f"{encoder} has the one layer 0 and no silence around a clip; leave layers and pad_s out"
        )
    make: dict[str, Callable[[], Source]] = {
        "logmel": lambda: FrameSource(LogMelFrames(sample_rate_hz), poolings, sample_rate_hz // 100),
        "mfcc": lambda: FrameSource(MfccFrames(sample_rate_hz), poolings, sample_rate_hz // 100),
        "prosody": lambda: ProsodySource(sample_rate_hz),
    }
    source = make[str(encoder)]()
    source.about |= {"sha256": None}
    return source


def _of_weights(
    encoder: str | Path,
    layers: str | int | Sequence[int],
    poolings: Sequence[str],
    device: str,
    pad_s: float | None,
) -> Source:
    """Make the source of a speech encoder, or of a model of ours that has none and pools by itself."""
    try:
        return EncoderSource(encoder, _layers(layers), poolings, device, pad_s)
    except NoEncoderError as error:
        if not error.model_name.startswith("ext_"):
            raise
    if layers not in ("all", 0, (0,), [0]) or pad_s:
        raise ValueError(
            f"{encoder} gives one vector per recording, layer 0, and hears no silence around it; leave layers and "
            "pad_s out"
        )
    return ModelSource(encoder, device)


def _poolings(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of poolings, of which some may be joined, such as mean+std."""
    given = [names] if isinstance(names, str) else names
    found = tuple(dict.fromkeys(part for name in given for part in name.split("+")))
    if not found or (wrong := [name for name in found if name not in POOLINGS]):
        raise ValueError(
            f"poolings among {', '.join(POOLINGS)} expected, found {wrong[0] if found else 'none'}; change them (one "
            "with attention is trained with its classifier: ext_speech_classifier with model.pooling=attention)"
        )
    return found


def _layers(layers: str | int | Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of layers; empty = all."""
    if isinstance(layers, str):
        named = {"all": (), "weighted": (WEIGHTED,)}
        if layers not in named:
            raise ValueError(f"layers: all, weighted or numbers expected, found {layers!r}; change them")
        return named[layers]
    numbers = (layers,) if isinstance(layers, int) else tuple(dict.fromkeys(layers))
    if not numbers:
        raise ValueError("layers: none given; name some, or all")
    return numbers
