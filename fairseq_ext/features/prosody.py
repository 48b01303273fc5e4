"""Prosody of a recording in 33 numbers: pitch, level, rate, pauses.

Pitch is Praat's (Boersma 1993, "Accurate short-term analysis of the fundamental frequency"), every 10 ms between 65
and 600 Hz, in semitones over 100 Hz; level that of windows of 25 ms, dB under full scale. Syllables are counted by the
peaks of the level in voiced speech, with the thresholds of de Jong and Wempe 2009, "Praat script to detect syllable
nuclei", section 2: 25 dB under the loudest at most, parted by dips of 2 dB. A pause is 0.15 s or more below the former.

`NAMES` lists the numbers with their units. Where a recording has no voiced frame, what is measured on voiced frames is
0, and so is what is measured on pauses where there is none; `voiced_share` and `pauses_per_s` tell.

Shapes: S samples, T frames, N statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import praat
from .dump import DELTA_REACH, differences

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Switches = NDArray[np.bool_]

FRAME_S, WINDOW_S = 0.01, 0.025
FLOOR_HZ, CEILING_HZ, REFERENCE_HZ = 65.0, 600.0, 100.0
# De Jong and Wempe 2009: the silence threshold and the least dip between syllables.
SILENCE_DB, DIP_DB = 25.0, 2.0
PAUSE_S = 0.15
_BATCH = 4096  # frames at once
_LEAST_POWER = 1e-10  # -100 dB, under the noise of 16 bits
_SHARES = (5, 25, 50, 75, 95)
_OF_CONTOUR = ("mean", "std", *(f"p{share:02}" for share in _SHARES), "range")
NAMES = (
    *(f"pitch_{name}_st" for name in _OF_CONTOUR),  # voiced frames; the range is p95 - p05
    "pitch_rise_st_per_s",  # mean slope where it rises, inside voiced stretches, over five frames
    "pitch_fall_st_per_s",  # ... where it falls, negative
    "pitch_trend_st_per_s",  # slope of the line through all voiced frames
    *(f"level_{name}_db" for name in _OF_CONTOUR),  # frames that are not silent
    "level_rise_db_per_s",
    "level_fall_db_per_s",
    "level_trend_db_per_s",
    "voiced_share",  # of the frames that are not silent
    "voiced_stretches_per_s",
    "voiced_stretch_mean_s",
    "voiced_stretch_std_s",
    "syllables_per_s",  # of the whole recording, pauses included
    "syllables_per_speech_s",  # pauses excluded
    "pauses_per_s",
    "pause_share",  # of the recording
    "pause_mean_s",
    "pause_longest_s",
    "speech_s",  # length without pauses
)


@dataclass(frozen=True)
class Contours:
    """Pitch and level of a stretch of a recording, every 10 ms.

    Attributes:
        pitch_hz: (T,), 0 where it is unvoiced.
        level_db: (T,).
    """

    pitch_hz: Doubles
    level_db: Doubles

    def joined(self, later: Contours) -> Contours:
        """Return the contours of these frames and later ones."""
        pairs = ((self.pitch_hz, later.pitch_hz), (self.level_db, later.level_db))
        return Contours(*(np.concatenate(pair) for pair in pairs))

    def statistics(self) -> Floats:
        """Return the numbers (N,) that `NAMES` names."""
        silent = are_silent(self.level_db)
        voiced = (self.pitch_hz > 0) & ~silent
        pitch_st = 12 * np.log2(np.where(voiced, self.pitch_hz, REFERENCE_HZ) / REFERENCE_HZ)
        total_s, speech_s = len(silent) * FRAME_S, max(1, int((~silent).sum())) * FRAME_S
        stretches_s = _lengths(voiced) * FRAME_S
        pauses_s = _lengths(silent) * FRAME_S
        num_syllables = len(syllable_nuclei(self.level_db, voiced))
        found = [
            *_of_contour(pitch_st, voiced),
            *_of_contour(self.level_db, ~silent),
            voiced.sum() * FRAME_S / speech_s,
            len(stretches_s) / total_s,
            *((stretches_s.mean(), stretches_s.std()) if len(stretches_s) else (0.0, 0.0)),
            num_syllables / total_s,
            num_syllables / speech_s,
            len(pauses_s) / total_s,
            silent.mean(),
            *((pauses_s.mean(), pauses_s.max()) if len(pauses_s) else (0.0, 0.0)),
            speech_s,
        ]
        return np.array(found, dtype=np.float32)


def contours(waveform: Floats, sample_rate_hz: int) -> Contours:
    """Measure pitch and level of a recording (S,), full scale = 1.

    Raises:
        ImportError: parselmouth is missing.
    """
    level_db = levels_db(waveform, sample_rate_hz)
    pitch = praat.pitch_of(praat.sound_of(waveform, sample_rate_hz), FLOOR_HZ, CEILING_HZ)
    return Contours(praat.pitch_hz(pitch, len(level_db)), level_db)


def levels_db(waveform: Floats, sample_rate_hz: int) -> Doubles:
    """Return the level (T,) of a recording (S,) in windows of 25 ms every 10 ms, dB under full scale."""
    hop, window = round(FRAME_S * sample_rate_hz), round(WINDOW_S * sample_rate_hz)
    padded = np.pad(waveform.astype(np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: 1 + len(waveform) // hop]
    # In batches: the squares of an hour would take a gigabyte.
    batches = (frames[start : start + _BATCH] for start in range(0, len(frames), _BATCH))
    power: Doubles = np.concatenate([np.square(batch).mean(1) for batch in batches])
    return 10 * np.log10(np.maximum(power, _LEAST_POWER))


def are_silent(level_db: Doubles) -> Switches:
    """Return where the frames (T,) belong to a pause."""
    return _pauses(level_db < level_db.max() - SILENCE_DB)


def runs(on: Switches) -> NDArray[np.int64]:
    """Return first and end of each stretch of True, (stretches, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def _lengths(on: Switches) -> Doubles:
    """Return the lengths of the stretches of True, frames."""
    return np.diff(runs(on), axis=1)[:, 0].astype(np.float64)


def _pauses(quiet: Switches) -> Switches:
    """Keep the quiet stretches that are long enough."""
    found = np.zeros_like(quiet)
    for first, end in runs(quiet):
        found[first:end] = (end - first) * FRAME_S >= PAUSE_S - 1e-9
    return found


def _of_contour(contour: Doubles, on: Switches) -> list[float]:
    """Return distribution, mean slopes up and down, and trend of a contour (T,) where it is on; zeros where nowhere."""
    values = contour[on]
    if not len(values):
        return [0.0] * (len(_OF_CONTOUR) + 3)
    shares = np.percentile(values, _SHARES)
    around = np.ones(2 * DELTA_REACH + 1)
    inside = np.convolve(np.pad(on, DELTA_REACH), around, mode="valid") == len(around)
    slopes = differences(contour[:, None])[inside, 0] / FRAME_S
    rise_and_fall = [float(p.mean()) if len(p) else 0.0 for p in (slopes[slopes > 0], slopes[slopes < 0])]
    time_s = np.flatnonzero(on) * FRAME_S
    spread = np.square(time_s - time_s.mean()).sum()
    trend = float(((time_s - time_s.mean()) * values).sum() / spread) if spread else 0.0
    return [float(values.mean()), float(values.std()), *shares, shares[-1] - shares[0], *rise_and_fall, trend]


def syllable_nuclei(level_db: Doubles, voiced: Switches) -> list[int]:
    """Return the frames of the peaks of the level in voiced speech that a dip parts from the peak before."""
    smooth = np.convolve(np.pad(level_db, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    loud = smooth > smooth.max() - SILENCE_DB
    lowest, highest, peak, found = smooth[0], -np.inf, None, []
    for frame, (level, counts) in enumerate(zip(smooth, loud & voiced, strict=True)):
        if peak is None:
            lowest = min(lowest, level)
            if level > lowest + DIP_DB and counts:
                peak, highest = frame, level
        elif level > highest:
            peak, highest = frame, level
        elif level < highest - DIP_DB:
            found.append(peak)
            peak, lowest = None, level
    return found if peak is None else [*found, peak]
