"""The channel of a recording: band, long-term spectrum, noise floor; and how two corpora are given the same one.

Spectra are powers of windows of 32 ms, scaled so that white noise of variance v has v everywhere.

Shapes: S samples, T frames, F frequencies from 0 to half the sample rate, R recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .preparation import LOUDNESS_LUFS, keep_band, loudness_lufs
from .prosody import FRAME_S, Floats, contours, levels_db, runs

Doubles = NDArray[np.float64]
Span = tuple[int, int]

WINDOW_S = 0.032
# Frames within this of the loudest are speech; the quietest share of the frames is the noise floor.
_SPEECH_DB, _FLOOR_SHARE = 25.0, 0.1
# Above and below the band the long-term spectrum is this far under its peak: speech at 7 kHz is 40 to 50 dB under it.
_BAND_DB = 65.0
_MOST_GAIN_DB = 30.0  # of the equaliser
_SMOOTH_BINS = 5
_LEAST_POWER = 1e-12
# Stretches without speech: near the floor, unvoiced, as long as a pause, without the ends, where speech fades.
_NEAR_FLOOR_DB, _LEAST_FLOOR_DB, _UNDER_SPEECH_DB, _LEAST_FRAMES, _END_FRAMES = 10.0, -75.0, 20.0, 15, 3
_FADE_S = 0.005  # over each joint of stretches, so that none clicks


@dataclass(frozen=True)
class Channel:
    """What a recording brings with it besides the voice, at -23 LUFS.

    Attributes:
        speech: mean power of its loud frames, (F,).
        floor: mean power of its quietest frames, (F,).
    """

    speech: Doubles
    floor: Doubles

    @classmethod
    def of(cls, waveform: Floats, sample_rate_hz: int) -> Channel:
        """Measure a recording (S,); its level does not count."""
        powers = spectra(at_loudness(waveform, sample_rate_hz), sample_rate_hz)
        level_db = 10 * np.log10(np.maximum(powers.mean(1), _LEAST_POWER))
        quietest = np.argsort(level_db, kind="stable")[: max(1, round(_FLOOR_SHARE * len(level_db)))]
        return cls(powers[level_db > level_db.max() - _SPEECH_DB].mean(0), powers[quietest].mean(0))


@dataclass(frozen=True)
class Matching:
    """What gives recordings of several corpora the same channel.

    Attributes:
        band_hz: the band that all have, Hz.
        gains_db: corpus -> gain of its equaliser, (F,).
        floor: power of the noise floor that all are brought to, (F,); those above it stay.
    """

    band_hz: tuple[float, float]
    gains_db: Mapping[str, Doubles]
    floor: Doubles

    @classmethod
    def of(
        cls, corpora: Mapping[str, Sequence[Channel]], sample_rate_hz: int, *, floor_quantile: float = 0.9
    ) -> Matching:
        """Match corpora by the channels of their recordings.

        They get the narrowest band, the mean of their mean spectra in dB, and the floor of the loudest corpus, at each
        frequency.

        Args:
            corpora: corpus -> channels of its recordings.
            sample_rate_hz: sample rate of the recordings, Hz.
            floor_quantile: share of the recordings of a corpus that are below its floor.
        """
        means_db = {
            name: np.mean([_db(c.speech) for c in channels], axis=0) for name, channels in corpora.items()
        }
        bands = [_band_hz(mean_db, sample_rate_hz) for mean_db in means_db.values()]
        band_hz = max(low for low, _ in bands), min(high for _, high in bands)
        wanted_db = np.mean(list(means_db.values()), axis=0)
        frequency_hz = np.linspace(0, sample_rate_hz / 2, len(wanted_db))
        inside = np.flatnonzero((frequency_hz >= band_hz[0]) & (frequency_hz <= band_hz[1]))
        gains_db = {name: _gain_db(wanted_db - mean_db, inside) for name, mean_db in means_db.items()}
        floors = [
            np.quantile([_equalised_floor(c, gains_db[name]) for c in channels], floor_quantile, axis=0)
            for name, channels in corpora.items()
        ]
        return cls(band_hz, gains_db, np.max(floors, axis=0))

    def settings(self) -> dict[str, Any]:
        """Return it as JSON can hold it, rounded to 0.01 dB."""
        return {
            "band_hz": [round(hz, 1) for hz in self.band_hz],
            "gains_db": {name: np.round(gain, 2).tolist() for name, gain in self.gains_db.items()},
            "floor_db": np.round(_db(self.floor), 2).tolist(),
        }

    def __call__(
        self, waveform: Floats, sample_rate_hz: int, corpus: str, rng: np.random.Generator
    ) -> tuple[Floats, float]:
        """Return a recording (S,) of a corpus with this channel, and the level of the noise that was added, dB.

        Noise is added below the floor, where it lacks; its level is under full scale, -120 where there is none.
        """
        equalised = _filtered(waveform, self.gains_db[corpus])
        placed = at_loudness(keep_band(equalised, sample_rate_hz, self.band_hz)[0], sample_rate_hz)
        lacking = np.maximum(self.floor - Channel.of(placed, sample_rate_hz).floor, 0.0)
        noise = _filtered(
            rng.normal(size=len(placed)).astype(np.float32), 10 * np.log10(lacking + _LEAST_POWER)
        )
        noise = keep_band(noise, sample_rate_hz, self.band_hz)[0]
        level_db = float(_db(np.square(noise, dtype=np.float64).mean()))
        return (placed + noise).astype(np.float32), level_db


def _band_hz(speech_db: Doubles, sample_rate_hz: int) -> tuple[float, float]:
    """Return the band in which a spectrum of speech (F,) is within 65 dB of its peak, Hz."""
    inside = np.flatnonzero(speech_db > speech_db.max() - _BAND_DB)
    step_hz = sample_rate_hz / 2 / (len(speech_db) - 1)
    return float(inside[0] * step_hz), float(inside[-1] * step_hz)


def _gain_db(wanted_db: Doubles, inside: NDArray[np.int64]) -> Doubles:
    """Return the gain of an equaliser (F,); outside of the band, which is cut off, that at its edges."""
    of_band = np.clip(_smoothed(wanted_db[inside]), -_MOST_GAIN_DB, _MOST_GAIN_DB)
    return np.pad(of_band, (inside[0], len(wanted_db) - 1 - inside[-1]), mode="edge")


def _equalised_floor(channel: Channel, gain_db: Doubles) -> Doubles:
    """Return the floor behind the equaliser and the gain that brings speech back to its loudness, about."""
    gain = 10 ** (gain_db / 10)
    found: Doubles = (
        channel.floor * gain * channel.speech.sum() / max((channel.speech * gain).sum(), _LEAST_POWER)
    )
    return found


def at_loudness(waveform: Floats, sample_rate_hz: int) -> Floats:
    """Return a recording (S,) at -23 LUFS; one too quiet to have a loudness stays."""
    found = loudness_lufs(waveform, sample_rate_hz)
    return waveform * np.float32(10 ** ((LOUDNESS_LUFS - found) / 20)) if np.isfinite(found) else waveform


def spectra(waveform: Floats, sample_rate_hz: int) -> Doubles:
    """Return the power spectra (T, F) of a recording (S,), half a window apart; a short one is padded to a frame."""
    size = round(WINDOW_S * sample_rate_hz)
    padded = np.pad(waveform.astype(np.float64), (0, max(0, size - len(waveform))))
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    found: Doubles = np.abs(np.fft.rfft(frames * window)) ** 2 / np.square(window).sum()
    return found


def stretches_without_speech(waveform: Floats, sample_rate_hz: int) -> list[Span]:
    """Return first and end sample of the stretches of a recording (S,) in which nobody speaks.

    Frames are within 10 dB of the noise floor, 20 dB or more under the loudest, and unvoiced.
    """
    pitch_hz = contours(waveform, sample_rate_hz).pitch_hz
    level_db = levels_db(waveform, sample_rate_hz)
    floor_db = max(float(np.quantile(level_db, _FLOOR_SHARE)), _LEAST_FLOOR_DB)
    limit_db = min(floor_db + _NEAR_FLOOR_DB, level_db.max() - _UNDER_SPEECH_DB)
    found = []
    for first, end in runs((level_db <= limit_db) & (pitch_hz == 0)):
        if end - first >= _LEAST_FRAMES:
            hop = round(FRAME_S * sample_rate_hz)
            start, stop = (int(frame) * hop for frame in (first + _END_FRAMES, end - _END_FRAMES))
            found.append((start, min(stop, len(waveform))))
    return found


def joined_stretches(waveform: Floats, spans: Sequence[Span], sample_rate_hz: int) -> Floats:
    """Return stretches of a recording (S,) one after another, each joint faded over 5 ms."""
    fade = round(_FADE_S * sample_rate_hz)
    rising = np.sin(np.linspace(0, np.pi / 2, fade)).astype(np.float32)  # of equal power
    found = np.zeros(0, dtype=np.float32)
    for start, stop in spans:
        part = waveform[start:stop].copy()
        if len(found):
            part[:fade] = part[:fade] * rising + found[-fade:] * rising[::-1]
            found = found[:-fade]
        found = np.concatenate([found, part])
    return found


def _filtered(waveform: Floats, gain_db: Doubles) -> Floats:
    """Return a recording (S,) with a gain (F,) over frequency, in phase."""
    size = 2 * (len(gain_db) - 1)
    padded = 1 << (len(waveform) + size - 1).bit_length()
    at = np.linspace(0, len(gain_db) - 1, padded // 2 + 1)
    gain = 10 ** (np.interp(at, np.arange(len(gain_db)), gain_db) / 20)
    return np.fft.irfft(np.fft.rfft(waveform, padded) * gain, padded)[: len(waveform)].astype(np.float32)


def _smoothed(values: Doubles) -> Doubles:
    padded = np.pad(values, _SMOOTH_BINS // 2, mode="edge")
    return np.convolve(padded, np.ones(_SMOOTH_BINS) / _SMOOTH_BINS, mode="valid")


def _db(power: Any) -> Any:
    return 10 * np.log10(np.maximum(power, _LEAST_POWER))
