"""Embed recordings: a vector for each layer of any encoder, or of features that need no checkpoint.

    embed = load_embedder("hubert_base.pt", layers=[6])
    vector = embed("clip.flac")                   # (1, 1536): mean and deviation of layer 6
    vectors = embed(["a.wav", "b.mp3"])           # (2, 1, 1536)

A vector does not depend on what else is embedded with it: batches hold windows of similar length, and padding is left
out of norms, attention and statistics. What is left is the rounding of float32, which moves vectors of wav2vec 2.0,
HuBERT and WavLM by 1e-6 of their layer's root mean square. Those of Whisper base, some of whose channels reach 500
where it is 3, would move by 6e-5, so that its windows are batches of their own on a CPU, where larger ones are no
faster.

Shapes: S samples, N recordings, L layers, P columns of all poolings.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError
from ..line_index import AudioEntry
from ..media.recording_windows import Recording, recording_windows
from ..media.recordings import LEAST_S, SILENT_PEAK, recording_of
from .batches import batches_by_length
from .embedding_sources import Source, Statistics, make_source

Floats = NDArray[np.float32]
# Audio that waits to be put into batches of similar lengths, s: 30 MB.
_WAITING_S = 500.0


@dataclass(frozen=True)
class Embedded:
    """The embedding of a recording.

    Attributes:
        vectors: (L, P) float32; the poolings stand side by side.
        duration_s: length of the recording, s.
    """

    vectors: Floats
    duration_s: float


def load_embedder(
    encoder: str | os.PathLike[str],
    layers: str | int | Sequence[int] = "all",
    poolings: str | Sequence[str] = ("mean", "std"),
    device: str = "cpu",
    *,
    pad_s: float | None = None,
    sample_rate_hz: int = 16_000,
) -> "Embedder":
    """Load an encoder, or features by their name, to embed recordings with.

    Args:
        encoder: checkpoint of fairseq, Microsoft's WavLM or ours, pre-trained or fine-tuned; folder of Hugging Face
            (wav2vec 2.0, HuBERT, WavLM, Whisper); or `logmel` (`features.acoustic`), `mfcc` (`features.dump`),
            `prosody` (`features.prosody`).
        layers: "all"; numbers, 0 = what enters the first layer, L = what the last gives, L + 1 = that after the norm
            above it, where there is one (large models, Whisper); "weighted" = their sum with the weights that a CTC
            model or a classifier has trained.
        poolings: of mean, max, first, last, std, in the order of the columns; prosody has its own, `statistics`.
        device: torch device.
        pad_s: silence before and after each clip of Whisper's, s, which its frames attend to and no statistic counts,
            10 s at most; None = 1 s for Whisper, which was trained on windows of 30 s, mostly padded, none for the
            others. Chosen on training speakers left out: digits (0.5 s long) 93.5 to 97.0 % with layer 5 of Whisper
            base, RAVDESS (3.7 s) 72.8 to 73.1 % macro recall with the best layer.
        sample_rate_hz: sample rate of the features without a checkpoint, Hz.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an encoder, or without one of the layers; or no such pooling or device.
        ImportError: prosody without parselmouth, a folder without safetensors.
    """
    source = make_source(os.fspath(encoder), layers, poolings, device, pad_s, sample_rate_hz)
    return Embedder(os.fspath(encoder), source)


class Embedder:
    """What `load_embedder` returns.

    Args:
        name: path or name of the encoder.
        source: what makes the vectors.
    """

    def __init__(self, name: str, source: Source) -> None:
        self.name, self._source = name, source
        self.sample_rate_hz = source.sample_rate_hz
        self.layers, self.poolings, self.widths = source.layers, source.poolings, source.widths
        self._batch = round(source.batch_s * source.sample_rate_hz)

    @property
    def about(self) -> dict[str, Any]:
        """Entries of about.json: encoder, hash of its weights, and what else its vectors depend on."""
        return {"encoder": self.name, "sample_rate_hz": self.sample_rate_hz, **self._source.about}

    @staticmethod
    def recordings(rows: Sequence[Sequence[Any]]) -> list[Recording]:
        """Return what rows of `Recordings` name."""
        return [recording_of(row) for row in rows]

    def __call__(self, recordings: Recording | Sequence[Recording]) -> Floats:
        """Embed a file or a waveform (S,) at `sample_rate_hz`: (L, P); of a list of N of them: (N, L, P).

        Raises:
            FileError: one cannot be read, is silent, or too short.
        """
        if isinstance(recordings, str | os.PathLike | AudioEntry | np.ndarray):
            vectors: Floats = self([recordings])[0]
            return vectors
        found = self.embed(recordings)
        if errors := [item for item in found if isinstance(item, FileError)]:
            raise errors[0]
        return np.stack([item.vectors for item in found if isinstance(item, Embedded)])

    def embed(
        self, recordings: Sequence[Recording], on_progress: Callable[[float], None] | None = None
    ) -> list[Embedded | FileError]:
        """Embed recordings; in the place of one that cannot be embedded is the reason.

        `on_progress` is called with the seconds of audio that each batch held.
        """
        under_way: dict[int, _UnderWay] = {}
        waiting: list[tuple[int, Floats]] = []
        for number, window in self._windows(recordings, under_way):
            waiting.append((number, window))
            if sum(len(window) for _, window in waiting) >= _WAITING_S * self.sample_rate_hz:
                self._run(waiting, under_way, on_progress)
                waiting = []
        self._run(waiting, under_way, on_progress)
        return [self._finished(under_way[number]) for number in range(len(recordings))]

    def _windows(
        self, recordings: Sequence[Recording], under_way: "dict[int, _UnderWay]"
    ) -> Iterator[tuple[int, Floats]]:
        """Yield the windows of all recordings, each with the number of its recording."""
        size, overlap, hop = self._source.window, self._source.overlap, self._source.hop
        for number, recording in enumerate(recordings):
            found = under_way[number] = _UnderWay(_name(recording))
            position = 0
            try:
                for window in recording_windows(
                    recording, self.sample_rate_hz, size, overlap=overlap, multiple=hop
                ):
                    found.peak = max(found.peak, float(np.abs(window).max(initial=0.0)))
                    position += len(window) - (overlap if position else 0)
                    found.num_samples = position
                    if len(window) >= LEAST_S * self.sample_rate_hz:
                        yield number, window
            except FileError as error:
                found.error = error

    def _run(
        self,
        waiting: list[tuple[int, Floats]],
        under_way: "dict[int, _UnderWay]",
        on_progress: Callable[[float], None] | None,
    ) -> None:
        """Compute the statistics of windows in batches, and join them in the order of the windows."""
        found: dict[int, Statistics] = {}
        for batch in batches_by_length([len(window) for _, window in waiting], self._batch):
            statistics = self._source.statistics([waiting[i][1] for i in batch])
            found |= dict(zip(batch, statistics, strict=True))
            if on_progress is not None:
                on_progress(sum(len(waiting[i][1]) for i in batch) / self.sample_rate_hz)
        for i, (number, _) in enumerate(waiting):
            parts = [part for part in (under_way[number].statistics, found[i]) if part is not None]
            under_way[number].statistics = reduce(lambda before, later: before.joined(later), parts)

    def _finished(self, found: "_UnderWay") -> Embedded | FileError:
        duration_s = found.num_samples / self.sample_rate_hz
        if found.error is not None:
            return found.error
        if found.num_samples < LEAST_S * self.sample_rate_hz or found.statistics is None:
            return FileError(
                f"{found.name}: {duration_s:.4g} s, shorter than a frame of {LEAST_S:g} s; leave it out"
            )
        if found.peak <= SILENT_PEAK:
            return FileError(f"{found.name}: silence, no sample above one step of 16 bits; leave it out")
        vectors = found.statistics.pooled(self.poolings)
        if not np.isfinite(vectors).all():
            return FileError(
                f"{found.name}: the encoder gives values that are not numbers; give another encoder"
            )
        return Embedded(vectors, duration_s)


@dataclass
class _UnderWay:
    """What is known so far of a recording."""

    name: str
    num_samples: int = 0
    peak: float = 0.0
    statistics: Any = None
    error: FileError | None = None


def _name(recording: Recording) -> str:
    if isinstance(recording, np.ndarray):
        return "waveform"
    return str(recording.path) if isinstance(recording, AudioEntry) else str(Path(recording))
