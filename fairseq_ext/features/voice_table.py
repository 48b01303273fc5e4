"""The table of a recording that a phonetician reads: medians, ranges, units, and what to keep in mind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .voice_groups import NUM_FORMANTS, RATE_HZ
from .voice_recording import MeasuredRecording

_NONE = "-"
_Row = tuple[str, str, str, str]  # what, median or value, range, unit


def table(name: str, found: MeasuredRecording, groups: Sequence[str]) -> str:
    """Write the table of a recording, with its name above and remarks below."""
    numbers = found.numbers()
    rows: list[_Row] = [("", "value", "5 to 95 %", "unit"), *_rows(numbers, groups)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()
        for row in rows
    ]
    return "\n".join([name, *(f"  {line}" for line in (*lines, *_remarks(numbers, groups)))])


def _rows(n: dict[str, float], groups: Sequence[str]) -> Iterator[_Row]:
    yield ("duration measured", f"{n['duration']:.2f}", "", "s")
    yield ("loudness as read", _text(n["loudness"], 1), "", "LUFS")
    if "prosody" in groups:
        yield ("pitch, median", _text(n["pitch_median"]), _span(n["pitch_p05"], n["pitch_p95"]), "Hz")
        yield ("pitch range", _text(n["pitch_range"], 1), "", "semitones")
        yield ("voiced frames", _text(n["voiced_frames"]), "", "% of speech")
        yield ("level range", _text(n["level_range"], 1), "", "dB")
        yield ("pauses", _text(n["pauses"]), "", "% of time")
        yield ("syllable nuclei", _text(n["syllables"], 1), "", "per s")
    if "formants" in groups:
        for i in range(1, NUM_FORMANTS + 1):
            yield (f"F{i}, median", _text(n[f"f{i}_median"]), _span(n[f"f{i}_p05"], n[f"f{i}_p95"]), "Hz")
            yield (f"  bandwidth of F{i}", _text(n[f"b{i}_median"]), "", "Hz")
    if "quality" in groups:
        yield ("jitter (local)", _text(n["jitter_local"], 2), "", "%")
        yield ("shimmer (local)", _text(n["shimmer_local"], 2), "", "%")
        yield ("HNR, mean", _text(n["hnr_mean"], 1), "", "dB")
        yield ("CPP, median", _text(n["cpp_median"], 1), "", "dB")
    if "spectral" in groups:
        for name in ("centroid", "bandwidth", "rolloff"):
            yield (f"spectral {name}, median", _text(n[f"{name}_median"]), "", "Hz")


def _text(value: float, digits: int = 0) -> str:
    return _NONE if math.isnan(value) else f"{value:.{digits}f}"


def _span(low: float, high: float) -> str:
    return _NONE if math.isnan(low) else f"{low:.0f} to {high:.0f}"


def _remarks(n: dict[str, float], groups: Sequence[str]) -> Iterator[str]:
    if n["trimmed_start"] + n["trimmed_end"] > 0:
        yield f"{n['trimmed_start']:.2f} s of silence trimmed before, {n['trimmed_end']:.2f} s after"
    if n["gain"]:
        yield f"gain of {n['gain']:+.1f} dB to {n['loudness'] + n['gain']:.1f} LUFS"
    if n["band_removed"]:
        yield f"band limit: level {n['band_removed']:+.1f} dB"
    if n["clipped"] > 0:
        yield f"clipped: {n['clipped']:.2g} % of the samples; levels, shimmer, HNR and spectra are those of the damage"
    if n["recorded_rate"] < RATE_HZ:
        top_hz = n["recorded_rate"] / 2
        yield f"recorded at {n['recorded_rate']:.0f} Hz: nothing above {top_hz:.0f} Hz; formants are sought below it"
    if "prosody" in groups and math.isnan(n["pitch_median"]):
        yield "no voiced frame: no pitch, jitter, shimmer or formants (-)"
    elif "quality" in groups and math.isnan(n["jitter_local"]):
        yield "too few periods of voice for jitter and shimmer (-)"
