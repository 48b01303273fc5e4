"""Recordings of phrases by many voices, as mel power, with the frames of each word.

Shapes: S samples at 16 kHz, M = 80 mel bands, F mel frames (10 ms).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...optional import import_optional
from .. import phrases
from ..voices import Voice, speak, voice_pool

__all__ = ["Recording", "log_mel", "mel_filters", "mel_power", "record"]

# Radford et al. 2022, section 2.2: 80 bands, windows of 25 ms, every 10 ms.
SAMPLE_RATE_HZ = 16_000
HOP, WINDOW = 160, 400  # samples
_MIN_POWER, _RANGE_LOG10 = 1e-10, 8.0  # openai-whisper, `log_mel_spectrogram`
# Far from the seeds of corpora, so that a demonstration's speakers and phrases are others.
_FIRST_SEED = 1_592_653_589


@dataclass(frozen=True, slots=True)
class Recording:
    """A spoken phrase."""

    language: str  # one of `phrases.LANGUAGES`
    words: tuple[str, ...]  # spoken words
    power: Tensor  # (M, F), mel power
    edges: tuple[int, ...]  # start of each word, and end of the last one; frames


def mel_filters() -> Tensor:
    """Return Whisper's mel filters: (M, 201), weights of the bins of a spectrum."""
    return torch.tensor(
        import_optional("transformers").WhisperFeatureExtractor().mel_filters.T, dtype=torch.float32
    )


def mel_power(samples: npt.NDArray[np.float32], filters: Tensor) -> Tensor:
    """Compute the mel power (M, S // 160) of a waveform (S,) of at least 201 samples with `mel_filters`."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(torch.from_numpy(samples), WINDOW, HOP, window=window, return_complex=True)
    return filters @ spectrum[:, :-1].abs().square()


def log_mel(power: Tensor) -> Tensor:
    """Compute Whisper's input from power (..., M, F): log-mel, clipped 80 dB below its loudest value and scaled."""
    x = power.clamp(min=_MIN_POWER).log10()
    x = torch.maximum(x, x.amax((-2, -1), keepdim=True) - _RANGE_LOG10)
    return (x + 4.0) / 4.0


def record(language: str, num_recordings: int, *, seed: int) -> Iterator[Recording]:
    """Record phrases of the training side, each by another voice; fewer recordings are the first of many.

    A recording takes about 35 ms of CPU time.
    """
    filters = mel_filters()
    spoken = phrases.draw(language, "train", num_recordings, seed=_FIRST_SEED + seed)
    voices = voice_pool(language, num_recordings, seed=_FIRST_SEED + seed)
    for phrase, voice in zip(spoken, voices, strict=True):
        yield _record(language, phrase.words, voice, filters)


def _record(language: str, words: tuple[str, ...], voice: Voice, filters: Tensor) -> Recording:
    speech = speak(voice, " ".join(words), sample_rate_hz=SAMPLE_RATE_HZ)
    assert len(speech.words) == len(words), f"{language}: words of {words} run into each other"
    power = mel_power(speech.samples, filters)
    times_s = [word.start_s for word in speech.words] + [speech.words[-1].end_s]
    edges = (min(round(time_s * SAMPLE_RATE_HZ / HOP), power.shape[1]) for time_s in times_s)
    return Recording(language, words, power, tuple(edges))
