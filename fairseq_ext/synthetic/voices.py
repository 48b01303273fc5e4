"""Speakers that differ as people do: voice, language, pitch, rate, vocal tract, microphone and room.

Shapes: S samples at `sample_rate_hz`.

A `Voice` is a speaker; `speak(voice, text, take=...)` is one recording of that speaker. Takes differ in
pitch, rate, margins and level, as repetitions of a word do. Equal arguments give equal samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .speech import PITCH_RANGE, RATE_RANGE_WPM, Phoneme, Speech, Word, synthesise

__all__ = ["Channel", "Voice", "record", "speak", "voice_pool"]

Gender = Literal["female", "male"]
Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]

# Variants of espeak-ng 1.52 that sound like people: no robots, whispers, croaks or music.
VARIANTS: dict[Gender, tuple[str, ...]] = {
    "female": (
        *("f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda"),
        *("grandma", "linda", "shelby", "steph"),
    ),
    "male": (
        *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Denis", "Diogo", "Henrique"),
        *("Lee", "Mario", "Michael", "Mike", "adam", "benjamin", "boris", "edward", "edward2"),
        *("iven4", "john", "marcelo", "max", "michel", "miguel", "pablo", "robert", "sandro"),
        *("travis", "victor"),
    ),
}
# Variation between the takes of a speaker (standard deviations).
_TAKE_PITCH = 4.0
_TAKE_LOG_RATE = 0.10
_TAKE_LOG_TRACT = 0.012
_TAKE_LEVEL_DB = 2.0
_MIN_PADDED = 60_000  # samples; 2.7 s at espeak-ng's rate, longer than any digit


@dataclass(frozen=True, slots=True)
class Channel:
    """Microphone and room of a speaker."""

    peak_dbfs: float = -6.0  # level of the largest sample, relative to full scale
    noise_db: float = -45.0  # background noise relative to the loudest 25 ms of speech (both RMS)
    noise_tilt_db: float = -3.0  # slope of the noise's spectrum in dB per octave; 0 is white, -3 a room
    tilt_db: float = 0.0  # slope the microphone adds to the speech in dB per octave
    low_cut_hz: float = 80.0  # speech below this fades away (6 dB per octave and more); 0 is off
    high_cut_hz: float = 0.0  # speech above this fades away (12 dB per octave); 0 is off


@dataclass(frozen=True, slots=True)
class Voice:
    """A synthetic speaker."""

    speaker: str  # name of the speaker in manifests
    language: str  # language of espeak-ng, e.g. `ca-va`; decides the accent.
    variant: str  # voice variant of espeak-ng
    gender: Gender  # "female" or "male"
    pitch: int = 50  # base pitch, 0-99; 50 is the variant's default
    pitch_range: int = 50  # how far the melody swings, 0-99
    rate_wpm: int = 160  # words per minute
    tract_scale: float = 1.0  # above 1 a shorter vocal tract: formants (and pitch) higher by this factor
    # usual silence before and after the speech; negative cuts into it, as careless trimming does
    margin_s: float = 0.1
    channel: Channel = field(default_factory=Channel)  # microphone and room


def voice_pool(languages: str | Sequence[str], n: int, *, seed: int) -> list[Voice]:
    """Draw `n` distinct speakers, languages in turn, genders balanced within each language.

    Pools are nested: the first k voices are the pool of k. No voice repeats, however large n is.

    Args:
        languages: one or several of `speech.list_languages()`, e.g. ["ca", "ca-ba", "ca-nw", "ca-va"].
        n: number of speakers.
        seed: random seed of the speakers; their names, such as "ca-va_f003", do not hold it.

    Raises:
        ValueError: when n is negative or no language is given.
    """
    names = [languages] if isinstance(languages, str) else list(dict.fromkeys(languages))
    if n < 0 or not names:
        raise ValueError(f"voice_pool: expected n >= 0 and a language, found n={n}, languages={names}")
    return [_draw_voice(names[i % len(names)], i // len(names), i, seed) for i in range(n)]


def _draw_voice(language: str, turn: int, index: int, seed: int) -> Voice:
    gender: Gender = "female" if turn % 2 == 0 else "male"
    variants = VARIANTS[gender]
    # Variants are shuffled within rounds, so that neighbouring speakers of one gender never share one.
    size = len(variants)
    order = np.random.default_rng([seed, turn // 2 // size, size]).permutation(size)
    rng = np.random.default_rng([seed, index])
    return Voice(
        speaker=f"{language}_{gender[0]}{turn:03d}",
        language=language,
        variant=variants[order[(turn // 2) % size]],
        gender=gender,
        pitch=int(rng.integers(30, 66)),
        pitch_range=int(rng.integers(30, 80)),
        rate_wpm=int(rng.integers(130, 191)),
        tract_scale=float(np.round(np.exp(rng.uniform(np.log(0.92), np.log(1.09))), 4)),
        margin_s=float(np.round(rng.uniform(0.05, 0.3), 3)),
        channel=_draw_channel(rng),
    )


def _draw_channel(rng: np.random.Generator) -> Channel:
    return Channel(
        peak_dbfs=float(np.round(rng.uniform(-20, -2), 2)),
        noise_db=float(np.round(rng.uniform(-60, -25), 2)),
        noise_tilt_db=float(np.round(rng.uniform(-6, 0), 2)),
        tilt_db=float(np.round(rng.uniform(-2, 2), 2)),
        low_cut_hz=float(np.round(rng.uniform(40, 250), 1)),
        high_cut_hz=float(np.round(rng.uniform(3200, 9000), 1)),
    )


def speak(
    voice: Voice, text: str, *, take: int = 0, sample_rate_hz: int = 16_000, is_phonemes: bool = False
) -> Speech:
    """Synthesise a recording of a speaker, trimmed to the voice's margins and coloured by its channel.

    Args:
        voice: the speaker.
        text: text to speak, in the spelling of the voice's language, or its phonemes.
        take: number of the recording, any integer >= 0.
        sample_rate_hz: sample rate of the result.
        is_phonemes: the text holds phonemes, see `speech.synthesise`.

    Raises:
        ValueError: when the text or a setting of the voice cannot be spoken.
    """
    rng = np.random.default_rng([take, *voice.speaker.encode()])
    tract_scale = voice.tract_scale * float(np.exp(rng.normal(0, _TAKE_LOG_TRACT)))
    rate_wpm = voice.rate_wpm / tract_scale * float(np.exp(rng.normal(0, _TAKE_LOG_RATE)))
    speech = synthesise(
        text,
        language=voice.language,
        variant=voice.variant,
        pitch=_clip(voice.pitch + rng.normal(0, _TAKE_PITCH), PITCH_RANGE),
        pitch_range=voice.pitch_range,
        rate_wpm=_clip(rate_wpm, RATE_RANGE_WPM),
        seed=int(rng.integers(2**31)),
        is_phonemes=is_phonemes,
    )
    speech = _rescale(speech, tract_scale, sample_rate_hz)
    speech = _trim(speech, *(voice.margin_s * rng.uniform(0.3, 1.7, size=2)))
    peak_dbfs = min(0.0, voice.channel.peak_dbfs + rng.normal(0, _TAKE_LEVEL_DB))
    noise_db = voice.channel.noise_db + rng.normal(0, _TAKE_LEVEL_DB)
    channel = replace(voice.channel, peak_dbfs=peak_dbfs, noise_db=noise_db)
    return replace(speech, samples=record(speech.samples, sample_rate_hz, channel, rng))


def record(samples: Samples, sample_rate_hz: int, channel: Channel, rng: np.random.Generator) -> Samples:
    """Put clean speech (S,) in [-1, 1] through a microphone in a room: float32, its peak at `channel.peak_dbfs`."""
    size = _transform_size(len(samples))
    spectrum = np.fft.rfft(samples, size)  # (size // 2 + 1,)
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    speech = np.fft.irfft(spectrum * _response(frequency_hz, channel), size)[: len(samples)]
    noise_shape = _tilt(frequency_hz, channel.noise_tilt_db)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * noise_shape, size)[: len(samples)]
    level = _loudest_rms(speech, sample_rate_hz) * 10 ** (channel.noise_db / 20)
    mixed = speech + noise * (level / max(float(np.sqrt(np.mean(noise**2))), 1e-12))
    peak = max(float(np.abs(mixed).max()), 1e-12)
    return (mixed * (10 ** (channel.peak_dbfs / 20) / peak)).astype(np.float32)


def _clip(value: float, bounds: tuple[int, int]) -> int:
    return int(np.clip(round(value), *bounds))


def _rescale(speech: Speech, tract_scale: float, sample_rate_hz: int) -> Speech:
    """Resample speech; a scale above 1 also plays it faster, which raises formants and pitch alike."""
    source_rate_hz = speech.sample_rate_hz * tract_scale
    size = _transform_size(len(speech.samples))
    num_samples = max(1, round(size * sample_rate_hz / source_rate_hz))
    # Resampled in the spectrum, which is circular; the ends are silent, so wrapping around does no harm.
    spectrum = np.fft.rfft(speech.samples, size)[: num_samples // 2 + 1]
    samples = np.fft.irfft(spectrum, num_samples) * (num_samples / size)
    phonemes = tuple(Phoneme(a / tract_scale, b / tract_scale, ipa) for a, b, ipa in speech.phonemes)
    words = tuple(Word(a / tract_scale, b / tract_scale, index) for a, b, index in speech.words)
    return Speech(samples.astype(np.float32), sample_rate_hz, phonemes, words)


def _transform_size(num_samples: int) -> int:
    """Return a size for the FFT that is 5 to 10 times as fast as a prime one.

    Short recordings keep their size, so that those of the synthetic digits stay bit for bit what they were.
    """
    if num_samples < _MIN_PADDED:
        return num_samples
    factors = (1, 3, 5, 9, 15, 25, 27, 45, 75)
    return min(factor << math.ceil(math.log2(num_samples / factor)) for factor in factors)


def _trim(speech: Speech, before_s: float, after_s: float) -> Speech:
    """Trim speech to its phonemes and some margin, padding with silence where there is too little audio."""
    rate = speech.sample_rate_hz
    start = round((speech.phonemes[0].start_s - before_s) * rate)
    stop = max(start + 1, round((speech.phonemes[-1].end_s + after_s) * rate))
    kept = speech.samples[max(start, 0) : stop]
    samples = np.pad(kept, (max(-start, 0), max(stop - len(speech.samples), 0)))
    duration_s, shift_s = len(samples) / rate, start / rate
    spans = ((a - shift_s, b - shift_s, ipa) for a, b, ipa in speech.phonemes)
    inside = (Phoneme(max(a, 0.0), min(b, duration_s), ipa) for a, b, ipa in spans)
    words = (Word(max(a - shift_s, 0.0), min(b - shift_s, duration_s), i) for a, b, i in speech.words)
    return Speech(
        samples,
        rate,
        tuple(p for p in inside if p.start_s <= p.end_s),
        tuple(w for w in words if w.start_s <= w.end_s),
    )


def _response(frequency_hz: Floats, channel: Channel) -> Floats:
    """Return the gain of the microphone at each frequency."""
    gain = _tilt(frequency_hz, channel.tilt_db)
    if channel.low_cut_hz > 0:
        gain = gain / (1 + (channel.low_cut_hz / np.maximum(frequency_hz, 1.0)) ** 2)
    if channel.high_cut_hz > 0:
        gain = gain / (1 + (frequency_hz / channel.high_cut_hz) ** 4)
    return gain


def _tilt(frequency_hz: Floats, db_per_octave: float) -> Floats:
    """Return a gain with a constant slope above 50 Hz, 1 at 1 kHz."""
    octaves = np.log2(np.maximum(frequency_hz, 50.0) / 1000.0)
    return np.asarray(10 ** (db_per_octave * octaves / 20))


def _loudest_rms(samples: Floats, sample_rate_hz: int) -> float:
    frame = max(1, round(0.025 * sample_rate_hz))
    padded = np.pad(samples, (0, -len(samples) % frame)).reshape(-1, frame)  # (frames, 25 ms)
    return float(np.sqrt((padded**2).mean(axis=1).max()))
