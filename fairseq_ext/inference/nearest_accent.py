"""Name the accents that a recording, or a stream of samples, is nearest to, by distances from centroids.

    accents = load_accents("classifiers/unseen/centroid")
    found = accents("unknown.mp3")
    print(found.nearest, found.margin, found.distances)

The folder is one that `fairseq-ext score embeddings --classifier centroid --save` wrote, of any encoder and label. What
holds no voice has no accent: it is refused, and a stream says so, whatever lies nearest.

Shapes: S samples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..features.voicing import LEAST_VOICE_S, voiced_s
from ..file_errors import FileError
from ..media.recording_windows import Recording, recording_windows
from ..media.recordings import LEAST_S
from ..media.resampling import Ratio, resample
from .file_classifier import EmbeddingFileClassifier, check_audible, load_file_classifier, name_of

Floats = NDArray[np.float32]
_WINDOW_S = 30.0  # looked at for a voice at once


class NoVoiceError(FileError):
    """A recording in which no voice is heard."""


@dataclass(frozen=True)
class Nearest:
    """The accents nearest to a recording.

    Attributes:
        distances: accent -> distance from its centroid, the nearest first.
        probabilities: accent -> calibrated probability, the likeliest first.
        duration_s: length of the recording, s.
    """

    distances: dict[str, float]
    probabilities: dict[str, float]
    duration_s: float

    @property
    def nearest(self) -> str:
        """The nearest accent."""
        return next(iter(self.distances))

    @property
    def margin(self) -> float:
        """How much farther the second nearest is."""
        first, second, *_ = self.distances.values()
        return second - first


@dataclass(frozen=True)
class Heard:
    """What is known at a time of a stream.

    Attributes:
        start_s: begin of the window that was listened to, s from the begin of the stream.
        end_s: its end, s.
        nearest: the accents; None = no voice in the window.
    """

    start_s: float
    end_s: float
    nearest: Nearest | None


def load_accents(path: str | os.PathLike[str], *, encoder: str = "", device: str = "cpu") -> NearestAccents:
    """Load a saved centroid classifier and its encoder; arguments as `load_file_classifier`.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no saved classifier, one without centroids, or an encoder with other weights.
    """
    found = load_file_classifier(path, encoder=encoder, device=device)
    if not isinstance(found, EmbeddingFileClassifier) or not found.metric:
        raise FileError(
            f"{path}: a classifier without centroids, so without distances; give a folder of fairseq-ext score "
            "embeddings --classifier centroid --save, or use fairseq-ext classify"
        )
    return NearestAccents(found)


class NearestAccents:
    """What `load_accents` returns.

    Attributes:
        labels: names of the accents.
        metric: what distances are: "cosine" (1 - cosine) or "euclidean" (standardised values).
        sample_rate_hz: sample rate of waveforms, Hz.
    """

    def __init__(self, classifier: EmbeddingFileClassifier) -> None:
        self._classify = classifier
        self.labels, self.metric = classifier.labels, classifier.metric
        self.sample_rate_hz = classifier.sample_rate_hz

    def __call__(self, recording: Recording, on_progress: Callable[[float], None] | None = None) -> Nearest:
        """Find the accents nearest to a file, or a waveform (S,) at `sample_rate_hz`.

        `on_progress` is called with the seconds of audio that were just listened to, again and again.

        Raises:
            NoVoiceError: it is too short, silent, or without a voice.
            FileError: it cannot be read.
        """
        check_voice(recording, self.sample_rate_hz)
        found = self._classify(recording, on_progress)
        return Nearest(found.distances, found.probabilities, found.duration_s)

    def stream(
        self, chunks: Iterable[Floats], sample_rate_hz: int, *, every_s: float = 1.0, window_s: float = 10.0
    ) -> Iterator[Heard]:
        """Listen to chunks of samples (S,) of any size, such as a microphone's.

        Which chunks the samples come in changes nothing.

        Args:
            chunks: samples of one channel, full scale = 1.
            sample_rate_hz: their sample rate, Hz.
            every_s: time from one result to the next, s of the stream; the last is at its end.
            window_s: the last seconds that are listened to; less at the begin.

        Raises:
            ValueError: no positive times.
        """
        rate = (sample_rate_hz, every_s, window_s)
        ratio = Ratio.of(sample_rate_hz, self.sample_rate_hz)
        for start, window in stream_windows(chunks, *rate):
            waveform = resample(window, 0, 0, ratio.output_length(len(window)), ratio)
            times = (start / sample_rate_hz, (start + len(window)) / sample_rate_hz)
            try:
                yield Heard(*times, self(waveform))
            except NoVoiceError:
                yield Heard(*times, None)


def check_voice(recording: Recording, sample_rate_hz: int) -> None:
    """Raise NoVoiceError for a recording too short, silent, or without a voice; read up to where one is heard."""
    duration_s, peak, found_s = 0.0, 0.0, 0.0
    windows = recording_windows(recording, sample_rate_hz, round(_WINDOW_S * sample_rate_hz))
    for window in windows:
        duration_s += len(window) / sample_rate_hz
        peak = max(peak, float(np.abs(window).max(initial=0.0)))
        if len(window) >= LEAST_S * sample_rate_hz:
            found_s += voiced_s(window, sample_rate_hz)
        if found_s >= LEAST_VOICE_S:
            return
    try:
        check_audible(recording, duration_s, peak)
    except FileError as error:
        raise NoVoiceError(str(error)) from None
    raise NoVoiceError(
        f"{name_of(recording)}: {found_s:.2f} s of voice in {duration_s:.2f} s, {LEAST_VOICE_S:g} s expected; give a "
        "recording of someone who speaks"
    )


def stream_windows(
    chunks: Iterable[Floats], sample_rate_hz: int, every_s: float, window_s: float
) -> Iterator[tuple[int, Floats]]:
    """Yield the last seconds of a stream, with the position of their first sample, every so often and at its end.

    Raises:
        ValueError: no positive times.
    """
    every, size = (round(seconds * sample_rate_hz) for seconds in (every_s, window_s))
    if min(every, size) < 1:
        raise ValueError(
            f"times above 0 s expected, found every {every_s:g} s and a window of {window_s:g} s; change them"
        )
    kept, end = np.zeros(0, dtype=np.float32), 0
    for chunk in chunks:
        rest = chunk
        while len(rest):
            step = every - end % every
            kept, end = np.concatenate([kept, rest[:step]])[-size:], end + len(rest[:step])
            if end % every == 0:
                yield end - len(kept), kept
            rest = rest[step:]
    if end % every:
        yield end - len(kept), kept
