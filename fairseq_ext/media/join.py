"""Join recordings of one speaker to one, as an editor would: pauses of room tone, levels brought together.

Shapes: S samples of a recording, L of the joined waveform, both at `sample_rate_hz`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..files import atomic_path
from .audio import load

Samples = NDArray[np.float32]

_FRAME_S = 0.02
_QUIETEST = 0.05  # share of the frames that is taken for room tone


@dataclass(frozen=True, slots=True)
class JoinStyle:
    """Settings of joining.

    Attributes:
        pause_s: shortest and longest pause between two recordings, before the first and after the last, s.
        fade_s: cross-fade between a recording and the room tone around it, s.
        levelling: from 0, which keeps the levels, to 1, which makes them equal.
        max_tone_db: largest level of the room tone relative to the speech (both RMS), dB. Needed for tightly trimmed
            recordings, whose quietest frames are speech.
    """

    pause_s: tuple[float, float] = (0.05, 0.25)
    fade_s: float = 0.01
    levelling: float = 0.5
    max_tone_db: float = -35.0


DEFAULT_STYLE = JoinStyle()


class Joined(NamedTuple):
    """A waveform (L,) and the span of each recording in it, in seconds."""

    samples: Samples
    spans_s: tuple[tuple[float, float], ...]


def join(
    recordings: Sequence[Samples], sample_rate_hz: int, *, seed: int, style: JoinStyle = DEFAULT_STYLE
) -> Joined:
    """Join waveforms (S,) of one speaker and one microphone, within [-1, 1]; equal arguments give equal samples.

    Pauses and room tone are random, by `seed`.

    Raises:
        ValueError: without recordings, or for an empty one.
    """
    if not recordings or min(map(len, recordings)) == 0:
        raise ValueError("join: no recordings, or an empty one; drop the empty ones")
    rng = np.random.default_rng(seed)
    levelled = _level(recordings, style.levelling)
    pauses = rng.uniform(*style.pause_s, size=len(recordings) + 1)
    starts, position = [], 0
    for pause_s, recording in zip(pauses, levelled, strict=False):
        starts.append(position + round(pause_s * sample_rate_hz))
        position = starts[-1] + len(recording)
    output = _room_tone(levelled, position + round(pauses[-1] * sample_rate_hz), sample_rate_hz, rng, style)
    for start, recording in zip(starts, levelled, strict=True):
        stop = start + len(recording)
        weight = _fade(len(recording), round(style.fade_s * sample_rate_hz))
        output[start:stop] = weight * recording + (1 - weight) * output[start:stop]
    output /= max(1.0, float(np.abs(output).max()))
    spans = (
        (a / sample_rate_hz, (a + len(r)) / sample_rate_hz) for a, r in zip(starts, levelled, strict=True)
    )
    return Joined(output.astype(np.float32), tuple(spans))


def join_files(
    paths: Sequence[str | os.PathLike[str]],
    target: Path,
    seed: int,
    *,
    sample_rate_hz: int = 16_000,
    style: JoinStyle = DEFAULT_STYLE,
) -> tuple[int, tuple[tuple[float, float], ...]]:
    """Join files of any format and rate, in order, to one 16-bit FLAC file as `join` does; a complete one is kept.

    Return the number of samples, and the span of each recording in seconds. The file appears when it is complete.

    Raises:
        AudioError: for a recording that cannot be read.
    """
    recordings = [load(path, sample_rate_hz=sample_rate_hz) for path in paths]
    samples, spans_s = join(recordings, sample_rate_hz, seed=seed, style=style)
    if not _is_whole(target, len(samples), sample_rate_hz):
        with atomic_path(target) as temporary, open(temporary, "wb") as file:
            soundfile.write(file, samples, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return len(samples), spans_s


def _is_whole(path: Path, num_samples: int, sample_rate_hz: int) -> bool:
    try:
        samples, rate = soundfile.read(path, dtype="int16")
    except soundfile.LibsndfileError:
        return False
    return len(samples) == num_samples and rate == sample_rate_hz


def _rms(samples: Samples) -> float:
    return max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), 1e-6)


def _level(recordings: Sequence[Samples], strength: float) -> list[Samples]:
    """Move the level of each recording towards their mean (in dB)."""
    levels = [_rms(recording) for recording in recordings]
    mean = float(np.exp(np.mean(np.log(levels))))
    gains = [(mean / level) ** strength for level in levels]
    return [recording * np.float32(gain) for recording, gain in zip(recordings, gains, strict=True)]


def _fade(num_samples: int, length: int) -> NDArray[np.float64]:
    """Return (S,) weights that rise from 0 to 1 and fall again, as a raised cosine over `length` samples."""
    length = min(length, num_samples // 2)
    ramp = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)) ** 2
    return np.concatenate([ramp, np.ones(num_samples - 2 * length), ramp[::-1]])


def _room_tone(
    recordings: Sequence[Samples],
    length: int,
    sample_rate_hz: int,
    rng: np.random.Generator,
    style: JoinStyle,
) -> NDArray[np.float64]:
    """Return (length,) noise with spectrum and level of the quietest frames."""
    size = round(_FRAME_S * sample_rate_hz)
    whole = np.concatenate(recordings)
    frames = np.pad(whole, (0, -len(whole) % size)).reshape(-1, size).astype(np.float64)  # (frames, 20 ms)
    power = np.mean(frames**2, axis=1)
    quiet = frames[np.argsort(power)[: max(1, round(_QUIETEST * len(frames)))]]
    shape = np.sqrt(np.mean(np.abs(np.fft.rfft(quiet, axis=1)) ** 2, axis=0))  # (size // 2 + 1,)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    steps = np.linspace(0, len(shape) - 1, len(spectrum))
    tone: NDArray[np.float64] = np.fft.irfft(
        spectrum * np.interp(steps, np.arange(len(shape)), shape), length
    )
    level = min(float(np.sqrt(np.mean(quiet**2))), _rms(whole) * 10 ** (style.max_tone_db / 20))
    return tone * (level / max(float(np.sqrt(np.mean(tone**2))), 1e-12))
