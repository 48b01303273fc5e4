"""Voice features of a recording in one pass: a Sound, a Pitch, a list of pulses, a spectrum, each computed once.

    tracks = voice_features(waveform, sample_rate_hz, ("mel", "prosody"))    # name -> (T, D)
    voice = analyse_voice(waveform, sample_rate_hz)                          # the same, and medians of the recording

`voice_groups` says what the columns are. Pitch, formants and pulses are Praat's (`praat`); jitter, shimmer, HNR and CPP
are computed from them and equal Praat's; the rest is torch.

Shapes: S samples, T frames at 100 Hz, D columns of a group, K Fourier bins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..media.resampling import Ratio, resample
from . import praat
from .cepstral_peak import cepstral_peak_db
from .dump import differences
from .prosody import REFERENCE_HZ
from .spectral_shape import chroma
from .voice_groups import FRAME_RATE_HZ, GROUPS, NUM_FORMANTS, RATE_HZ
from .voice_measured import HOP, Measured
from .voice_summary import summarise

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_CHROMA_WINDOW = 2048  # samples: 7.8 Hz a bin, the step of a semitone at 130 Hz
_RATE_WINDOW_FRAMES = 100  # around a frame, in which syllable nuclei are counted


def voice_features(
    waveform: Tensor | NDArray[Any], sample_rate_hz: int, groups: Sequence[str] = tuple(GROUPS)
) -> dict[str, Tensor]:
    """Measure a recording: name of a group -> (T, D) float32, the same T in all.

    Args:
        waveform: (S,), full scale = 1.
        groups: of `voice_groups.GROUPS`.

    Raises:
        ImportError: parselmouth is missing, which prosody, formants and quality need.
        ValueError: for no samples, samples that are no numbers, and an unknown group.
    """
    voice = analyse_voice(np.asarray(waveform), sample_rate_hz, groups)
    return {name: torch.from_numpy(track) for name, track in voice.tracks.items()}


@dataclass(frozen=True)
class Voice:
    """What was measured on a recording.

    Attributes:
        tracks: group -> (T, D) float32.
        whole: measurements of the recording as a whole, of `voice_summary`; NaN = could not be measured.
        duration_s: duration of what was measured, s.
    """

    tracks: Mapping[str, Floats]
    whole: Mapping[str, float]
    duration_s: float


def analyse_voice(
    waveform: NDArray[Any],
    sample_rate_hz: int,
    groups: Sequence[str] = tuple(GROUPS),
    *,
    band_hz: float | None = None,
) -> Voice:
    """Measure a recording, as `voice_features`.

    Args:
        band_hz: highest frequency that the recording holds, Hz, where it was recorded at a lower rate or filtered;
            None: half the sample rate. Formants are sought below it.

    Raises:
        ImportError: as `voice_features`.
        ValueError: as `voice_features`.
    """
    if unknown := [name for name in groups if name not in GROUPS]:
        raise ValueError(f"groups: of {', '.join(GROUPS)} expected, found {unknown[0]!r}; change the groups")
    band_hz = min(band_hz or RATE_HZ / 2, sample_rate_hz / 2, RATE_HZ / 2)
    measured = Measured(_at_rate(waveform, sample_rate_hz), band_hz, frozenset(groups))
    tracks = {
        name: np.ascontiguousarray(_TRACKS[name](measured), dtype=np.float32)
        for name in GROUPS
        if name in groups
    }
    return Voice(tracks, summarise(measured, tracks), len(measured.waveform) / RATE_HZ)


def _at_rate(waveform: NDArray[Any], sample_rate_hz: int) -> Floats:
    if waveform.ndim != 1 or not len(waveform) or not np.isfinite(waveform).all():
        raise ValueError(
            f"voice features: a waveform (S,) of finite numbers expected, found shape {waveform.shape}; "
            "take one channel, and leave out damaged samples"
        )
    ratio = Ratio.of(sample_rate_hz, RATE_HZ)
    native = waveform.astype(np.float32, copy=False)
    return resample(native, 0, 0, ratio.output_length(len(native)), ratio)


def _mfcc_track(measured: Measured) -> Floats:
    coefficients = measured.spectra["mfcc"].numpy()
    first = differences(coefficients)
    return np.concatenate([coefficients, first, differences(first)], axis=1)


def _chroma_track(measured: Measured) -> Floats:
    found = []
    for piece, kept in measured.stretches(_CHROMA_WINDOW):
        spectrum = torch.stft(
            piece,
            _CHROMA_WINDOW,
            HOP,
            window=torch.hann_window(_CHROMA_WINDOW),
            pad_mode="constant",
            return_complex=True,
        )
        power = (spectrum.real.square() + spectrum.imag.square()).mT  # (T, K)
        found.append(chroma(power[kept], RATE_HZ))
    return torch.cat(found).numpy()


def _prosody_track(measured: Measured) -> Doubles:
    voiced = measured.voiced
    pitch_st = np.where(voiced, 12 * np.log2(np.where(voiced, measured.pitch_hz, 1.0) / REFERENCE_HZ), 0.0)
    columns = (pitch_st, voiced, measured.level_db, measured.silent, _syllable_rate(measured))
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _syllable_rate(measured: Measured) -> Doubles:
    """Return the nuclei per second in the second around each frame, or in what there is of it."""
    frames, half = np.arange(measured.num_frames), _RATE_WINDOW_FRAMES // 2
    first, end = np.maximum(frames - half, 0), np.minimum(frames + half, measured.num_frames)
    num = np.searchsorted(measured.nuclei, end) - np.searchsorted(measured.nuclei, first)
    rate: Doubles = num * FRAME_RATE_HZ / np.maximum(end - first, 1)
    return rate


def _formant_track(measured: Measured) -> Doubles:
    ceiling_hz, num_formants = measured.formant_settings
    sound = praat.sound_of(measured.lower["formants"].numpy(), 2 * ceiling_hz)
    return praat.formants_hz(sound, num_formants, NUM_FORMANTS, measured.num_frames)


def _quality_track(measured: Measured) -> Doubles:
    times_s, voiced = measured.times_s, measured.voiced
    ratios_db, first_s = measured.harmonicity_db
    hnr = praat.on_frames(
        np.where(ratios_db > praat.UNMEASURED_DB, ratios_db, 0.0), first_s, measured.num_frames
    )
    cpp = praat.on_frames(
        *cepstral_peak_db(measured.lower["quality"], len(measured.waveform) / RATE_HZ), measured.num_frames
    )
    local = (p.around(times_s) * voiced for p in (measured.jitter, measured.shimmer))
    return np.stack([*local, hnr * voiced, cpp, voiced.astype(np.float64)], axis=1)


_TRACKS: dict[str, Callable[[Measured], NDArray[Any]]] = {
    "mel": lambda measured: measured.spectra["mel"].numpy(),
    "mfcc": _mfcc_track,
    "chroma": _chroma_track,
    "spectral": lambda measured: measured.spectra["spectral"].numpy(),
    "prosody": _prosody_track,
    "formants": _formant_track,
    "quality": _quality_track,
}
