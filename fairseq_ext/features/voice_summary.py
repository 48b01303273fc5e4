"""Medians and ranges of a recording: what a phonetician reads, with units.

Jitter, shimmer and mean HNR are those of the whole recording by Praat's rules; pitch, formants and CPP are medians over
the voiced frames where they are measured. What cannot be measured is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .praat import UNMEASURED_DB
from .voice_groups import FRAME_RATE_HZ, GROUPS, NUM_FORMANTS, Column

if TYPE_CHECKING:
    from .voice_measured import Measured

Values = NDArray[np.floating]
_RANGE = (5, 95)
# Voicing of a few frames by chance is no voice.
_FEWEST_PERIODS = 2


def _of_formant(number: int) -> tuple[Column, ...]:
    names = (f"f{number}_median", f"f{number}_p05", f"f{number}_p95", f"b{number}_median")
    return tuple(Column(name, "Hz") for name in names)


# Group -> what is said of the recording by it.
COLUMNS: dict[str, tuple[Column, ...]] = {
    "spectral": tuple(Column(f"{name}_median", "Hz") for name in ("centroid", "bandwidth", "rolloff")),
    "prosody": (
        Column("pitch_median", "Hz"),
        Column("pitch_p05", "Hz"),
        Column("pitch_p95", "Hz"),
        Column("pitch_range", "semitones"),
        Column("voiced_frames", "% of speech"),
        Column("level_median", "dB"),
        Column("level_range", "dB"),
        Column("pauses", "% of time"),
        Column("syllables", "1/s"),
    ),
    "formants": tuple(column for i in range(NUM_FORMANTS) for column in _of_formant(i + 1)),
    "quality": (
        Column("jitter_local", "%"),
        Column("shimmer_local", "%"),
        Column("hnr_mean", "dB"),
        Column("cpp_median", "dB"),
    ),
}


def summarise(measured: Measured, tracks: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """Return the numbers that `COLUMNS` names of the groups that were measured."""
    found: dict[str, float] = {}
    for group, summary in (("spectral", _spectral), ("prosody", _prosody), ("formants", _formants)):
        if group in tracks:
            found |= zip((c.name for c in COLUMNS[group]), summary(measured, tracks[group]), strict=True)
    if "quality" in tracks:
        found |= zip((c.name for c in COLUMNS["quality"]), _quality(measured, tracks["quality"]), strict=True)
    return found


def _median(values: Values) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _range(values: Values) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, _RANGE)
    return float(low), float(high)


def _column(group: str, name: str, track: NDArray[np.float32]) -> Values:
    return track[:, [column.name for column in GROUPS[group]].index(name)]


def _spectral(measured: Measured, track: NDArray[np.float32]) -> Iterator[float]:
    speech = ~measured.silent
    for name in ("centroid", "bandwidth", "rolloff"):
        yield _median(_column("spectral", name, track)[speech])


def _prosody(measured: Measured, track: NDArray[np.float32]) -> Iterator[float]:
    voiced, speech = measured.voiced, ~measured.silent
    pitch_hz, level_db = measured.pitch_hz[voiced], measured.level_db[speech]
    low, high = _range(pitch_hz)
    yield _median(pitch_hz)
    yield low
    yield high
    yield 12 * float(np.log2(high / low))
    yield 100 * float(voiced[speech].mean()) if speech.any() else float("nan")
    yield _median(level_db)
    quiet, loud = _range(level_db)
    yield loud - quiet
    yield 100 * float(measured.silent.mean())
    yield len(measured.nuclei) * FRAME_RATE_HZ / measured.num_frames


def _formants(measured: Measured, track: NDArray[np.float32]) -> Iterator[float]:
    for number in range(1, NUM_FORMANTS + 1):
        frequencies = _column("formants", f"f{number}", track)
        found = measured.voiced & (frequencies > 0)
        yield _median(frequencies[found])
        yield from _range(frequencies[found])
        yield _median(_column("formants", f"b{number}", track)[found])


def _quality(measured: Measured, track: NDArray[np.float32]) -> Iterator[float]:
    yield 100 * measured.jitter.whole(_FEWEST_PERIODS)
    yield 100 * measured.shimmer.whole(_FEWEST_PERIODS)
    ratios_db, _ = measured.harmonicity_db
    is_measured = ratios_db > UNMEASURED_DB
    yield float(ratios_db[is_measured].mean()) if is_measured.any() else float("nan")
    cpp_db = _column("quality", "cpp", track)
    yield _median(cpp_db[measured.voiced & (cpp_db != 0)])
