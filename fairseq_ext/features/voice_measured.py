"""A recording, and what several groups of voice features need of it, each computed once.

Shapes: S samples, T frames at 100 Hz, K Fourier bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..modules.spectral import MelSpectrogram, Mfcc, power_to_db
from . import perturbation, praat
from .cepstral_peak import RATE_HZ as CEPSTRUM_RATE_HZ
from .harmonicity import harmonicity_db
from .praat_resampling import lower_rates
from .prosody import are_silent, levels_db, syllable_nuclei
from .spectral_shape import centroid_bandwidth_rolloff, contrast_db
from .voice_groups import FRAME_RATE_HZ, NUM_CONTRASTS, NUM_MELS, NUM_MFCC, RATE_HZ

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HOP = RATE_HZ // FRAME_RATE_HZ
_STRETCH_FRAMES = 1024


class Measured:
    """A recording, and what several groups need of it, each computed when first asked for.

    Attributes:
        waveform: (S,) float32 at `RATE_HZ`.
        num_frames: T.
        band_hz: highest frequency that the recording holds, Hz.
    """

    def __init__(self, waveform: Floats, band_hz: float, groups: frozenset[str]) -> None:
        self.waveform = waveform
        self.num_frames = 1 + len(waveform) // HOP
        self.band_hz = band_hz
        self._groups = groups

    @cached_property
    def samples(self) -> Doubles:
        """Return the waveform in the precision that Praat works with."""
        return self.waveform.astype(np.float64)

    @cached_property
    def times_s(self) -> Doubles:
        """Return the times of the frames, (T,)."""
        return np.arange(self.num_frames) / FRAME_RATE_HZ

    @cached_property
    def sound(self) -> Any:
        """Return Praat's Sound."""
        return praat.sound_of(self.samples, RATE_HZ)

    @cached_property
    def pitch(self) -> Any:
        """Return Praat's Pitch; None where the recording is too short."""
        return praat.pitch_of(self.sound)

    @cached_property
    def pitch_hz(self) -> Doubles:
        """Return the pitch at the frames, (T,), 0 = unvoiced."""
        return praat.pitch_hz(self.pitch, self.num_frames)

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Return which frames are voiced, (T,)."""
        return self.pitch_hz > 0

    @cached_property
    def level_db(self) -> Doubles:
        """Return the level at the frames, (T,)."""
        return levels_db(self.waveform, RATE_HZ)

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """Return which frames belong to a pause, (T,)."""
        return are_silent(self.level_db)

    @cached_property
    def nuclei(self) -> NDArray[np.int64]:
        """Return the frames of the syllable nuclei."""
        return np.array(syllable_nuclei(self.level_db, self.voiced & ~self.silent), dtype=np.int64)

    @cached_property
    def jitter(self) -> perturbation.Perturbation:
        """Return the differences of neighbouring periods."""
        return perturbation.jitter(self._pulses)

    @cached_property
    def shimmer(self) -> perturbation.Perturbation:
        """Return the differences of neighbouring amplitudes."""
        return perturbation.shimmer(self.samples, RATE_HZ, self._pulses)

    @cached_property
    def _pulses(self) -> Doubles:
        return praat.pulses_s(self.sound, self.pitch)

    @cached_property
    def harmonicity_db(self) -> tuple[Doubles, float]:
        """Return the HNR where Praat has it, and the time of the first."""
        return harmonicity_db(self.samples, RATE_HZ)

    @cached_property
    def formant_settings(self) -> tuple[float, int]:
        """Return the ceiling of the formants, Hz, and how many are sought below it."""
        return praat.formant_settings(self.band_hz)

    @cached_property
    def lower(self) -> dict[str, Tensor]:
        """Return the recording at the rates that formants and CPP are measured at."""
        wanted = {"formants": round(2 * self.formant_settings[0]), "quality": CEPSTRUM_RATE_HZ}
        wanted = {name: rate for name, rate in wanted.items() if name in self._groups}
        waveforms = lower_rates(torch.from_numpy(self.samples), RATE_HZ, tuple(wanted.values()))
        return dict(zip(wanted, waveforms, strict=True))

    @cached_property
    def spectra(self) -> dict[str, Tensor]:
        """Return what the groups read of windows of 25 ms: name of the group -> (T, ...), of those that are wanted."""
        readers = {name: reader for name, reader in _OF_POWER.items() if name in self._groups}
        parts: dict[str, list[Tensor]] = {name: [] for name in readers}
        for piece, kept in self.stretches(_mel().window):
            power = _mel().power_spectrum(piece[None])[0][kept]  # (T, K)
            for name, reader in readers.items():
                parts[name].append(reader(power))
        return {name: torch.cat(found) for name, found in parts.items()}

    def stretches(self, window: int) -> Iterator[tuple[Tensor, slice]]:
        """Yield stretches of the waveform, and their frames that windows of so many samples do not reach out of.

        Spectra of all frames of an hour would take gigabytes, and those of a second stay in the cache.
        """
        margin = -(-window // (2 * HOP))
        for start in range(0, self.num_frames, _STRETCH_FRAMES):
            first, end = max(0, start - margin), start + _STRETCH_FRAMES
            last = len(self.waveform) if end >= self.num_frames else (end + margin) * HOP
            yield torch.from_numpy(self.waveform[first * HOP : last]), slice(start - first, end - first)


@lru_cache(maxsize=1)
def _mel() -> MelSpectrogram:
    return MelSpectrogram(RATE_HZ, NUM_MELS)


@lru_cache(maxsize=1)
def _mfcc() -> Mfcc:
    return Mfcc(RATE_HZ, NUM_MFCC)


def _mel_levels(power: Tensor) -> Tensor:
    return power_to_db(power @ _mel().get_buffer("filters"))


def _coefficients(power: Tensor) -> Tensor:
    found: Tensor = _mfcc().from_power(power @ _mfcc().mel.get_buffer("filters"))
    return found


def _shape(power: Tensor) -> Tensor:
    magnitude, bins_hz = power.sqrt(), _mel().get_buffer("bins_hz")
    contrast = contrast_db(magnitude, bins_hz, NUM_CONTRASTS)
    return torch.cat([contrast, centroid_bandwidth_rolloff(magnitude, bins_hz)], dim=1)


_OF_POWER: dict[str, Callable[[Tensor], Tensor]] = {
    "mel": _mel_levels,
    "mfcc": _coefficients,
    "spectral": _shape,
}
