"""Praat's pitch, formants and glottal pulses, with the settings of its menus, on the common frames.

Praat centres its frames in the sound, up to half a step off ours: they are placed one after another from the nearest
frame on, since to round each time would hit some frames twice. Its settings are the defaults of its commands ("To
Pitch", "To Formant (burg)", "To PointProcess (cc)"), but for the time step of formants, 10 ms instead of 6.25.

Shapes: S samples, T frames, N pulses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional

Doubles = NDArray[np.float64]

STEP_S = 0.01
PITCH_FLOOR_HZ, PITCH_CEILING_HZ = 75.0, 600.0
# Five formants below 5500 Hz, as a vocal tract of 15.5 cm has them; 5000 Hz would be that of a man.
FORMANT_CEILING_HZ, FORMANTS_BELOW = 5500.0, 5
_FORMANT_WINDOW_S, _PRE_EMPHASIS_HZ = 0.025, 50.0
UNMEASURED_DB = -200.0  # the harmonics-to-noise ratio of a frame without periodicity
_WINDOW_PERIODS = 3  # of the pitch floor, in Praat's window


def sound_of(waveform: NDArray[Any], sample_rate_hz: float) -> Any:
    """Make Praat's Sound of a waveform (S,), full scale = 1.

    Raises:
        ImportError: parselmouth is missing.
    """
    return import_optional("parselmouth").Sound(waveform.astype(np.float64), sample_rate_hz)


def on_frames(values: Doubles, first_s: float, num_frames: int) -> Doubles:
    """Place values (n, ...) of every 10 ms from a time on at the frames (T, ...); 0 where there are none."""
    found = np.zeros((num_frames, *values.shape[1:]))
    # Half a step off is usual; rounding twice keeps the last bit of the time from deciding.
    at = round(round(first_s / STEP_S, 6)) + np.arange(len(values))
    inside = (at >= 0) & (at < num_frames)
    found[at[inside]] = values[inside]
    return found


def pitch_of(sound: Any, floor_hz: float = PITCH_FLOOR_HZ, ceiling_hz: float = PITCH_CEILING_HZ) -> Any:
    """Return Praat's Pitch by autocorrelation every 10 ms; None where the sound is shorter than its window."""
    if sound.duration < _WINDOW_PERIODS / floor_hz:
        return None
    return sound.to_pitch_ac(time_step=STEP_S, pitch_floor=floor_hz, pitch_ceiling=ceiling_hz)


def pitch_hz(pitch: Any, num_frames: int) -> Doubles:
    """Return a Pitch at the frames (T,), Hz; 0 where it is unvoiced, and where its window does not fit."""
    if pitch is None:
        return np.zeros(num_frames)
    return on_frames(pitch.selected_array["frequency"].astype(np.float64), pitch.x1, num_frames)


def formant_settings(band_hz: float) -> tuple[float, int]:
    """Return the ceiling of formants, Hz, and how many are below it, in a recording with sound up to `band_hz`.

    A band of 4 kHz, that of a telephone, holds four: five poles there would take noise for formants.
    """
    ceiling_hz = min(FORMANT_CEILING_HZ, band_hz)
    return ceiling_hz, max(1, round(FORMANTS_BELOW * ceiling_hz / FORMANT_CEILING_HZ))


def formants_hz(sound: Any, num_formants: int, num_wanted: int, num_frames: int) -> Doubles:
    """Return formants and then bandwidths at the frames, (T, 2 * num_wanted), Hz; 0 where Praat finds none.

    Args:
        sound: at twice the ceiling of formants, or above it.
        num_formants: number of formants below half the rate of the sound.
    """
    if sound.duration < 2 * _FORMANT_WINDOW_S:  # Praat's Gaussian window is twice as long as it says
        return np.zeros((num_frames, 2 * num_wanted))
    found = sound.to_formant_burg(
        time_step=STEP_S,
        max_number_of_formants=num_formants,
        maximum_formant=0.5 * sound.sampling_frequency,
        window_length=_FORMANT_WINDOW_S,
        pre_emphasis_from=_PRE_EMPHASIS_HZ,
    )
    numbers = range(1, num_wanted + 1)
    rows = [
        [f(number, at) for f in (found.get_value_at_time, found.get_bandwidth_at_time) for number in numbers]
        for at in found.xs()
    ]
    values = np.nan_to_num(np.array(rows))
    return on_frames(values, found.x1, num_frames)


def pulses_s(sound: Any, pitch: Any) -> Doubles:
    """Return the times of the glottal pulses (N,) of the voiced parts, s."""
    call = import_optional("parselmouth.praat").call
    if pitch is None or not pitch.count_voiced_frames():
        return np.zeros(0)
    found = call([sound, pitch], "To PointProcess (cc)")
    if not call(found, "Get number of points"):
        return np.zeros(0)
    times: Doubles = call(found, "To Matrix").values[0]
    return times
