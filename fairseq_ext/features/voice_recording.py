"""The voice of a recording: read, prepared, measured, and the row of numbers that stands for it in a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..file_errors import FileError, reading
from ..line_index import AudioEntry
from ..media.audio import load_with_notes
from ..media.readers import Samples, open_audio
from ..media.recordings import LEAST_S, SILENT_PEAK
from .preparation import EFFECTS, Preparation, Prepared, prepare
from .voice_groups import GROUPS, RATE_HZ, Column
from .voice_summary import COLUMNS

if TYPE_CHECKING:
    from .voice import Voice

# 130 MB a minute: Praat's resampling transforms the whole recording at once.
LONGEST_S = 1800.0
_BASICS = (Column("duration", "s"), Column("recorded_rate", "Hz"))


@dataclass(frozen=True)
class MeasuredRecording:
    """What was read, done and measured.

    Attributes:
        recorded_rate_hz: sample rate of the file, Hz.
        notes: what was chosen, filled in or changed while reading, as `media.audio.load_with_notes` has it.
    """

    voice: Voice
    prepared: Prepared
    recorded_rate_hz: int
    notes: Mapping[str, Any]

    def numbers(self) -> dict[str, float]:
        """Return the number of each of `columns`, by its name; NaN = could not be measured."""
        basics = (self.voice.duration_s, float(self.recorded_rate_hz))
        named = dict(zip((column.name for column in _BASICS), basics, strict=True))
        return named | self.prepared.effects | dict(self.voice.whole)


def columns(groups: Sequence[str]) -> tuple[Column, ...]:
    """Return what is said of a recording whose groups were measured."""
    return (*_BASICS, *EFFECTS, *(column for name in groups for column in COLUMNS.get(name, ())))


def cell(number: float) -> str:
    """Write a number for a table; empty where it could not be measured."""
    return "" if math.isnan(number) else f"{number:.5g}"


def measure_recording(
    recording: Path | AudioEntry,
    groups: Sequence[str] = tuple(GROUPS),
    preparation: Preparation | None = None,
) -> MeasuredRecording:
    """Measure a file, or a row of a manifest that counts at `voice_groups.RATE_HZ`.

    Args:
        preparation: what to do first; None = the defaults.

    Raises:
        FileError: it cannot be read, is silent, shorter than a frame, or longer than half an hour.
        ImportError: parselmouth is missing.
    """
    from .voice import analyse_voice

    preparation = preparation or Preparation()
    path = recording.path if isinstance(recording, AudioEntry) else recording
    with reading(path, "a recording"):
        with open_audio(path) as reader:
            rate_hz = reader.sample_rate_hz
        waveform, notes = _read(recording)
    if len(waveform) < LEAST_S * RATE_HZ:
        duration_s = len(waveform) / RATE_HZ
        raise FileError(f"{path}: {duration_s:.4g} s, shorter than a frame of {LEAST_S:g} s; leave it out")
    if len(waveform) > LONGEST_S * RATE_HZ:
        raise FileError(
            f"{path}: {len(waveform) / RATE_HZ / 60:.0f} min, up to {LONGEST_S / 60:.0f} fit into memory; list its "
            "segments in a manifest"
        )
    if np.abs(waveform).max() <= SILENT_PEAK:
        raise FileError(f"{path}: silence, no sample above one step of 16 bits; leave it out")
    prepared = prepare(waveform, RATE_HZ, preparation)
    band_hz = min(rate_hz / 2, preparation.band_hz[1] if preparation.band_hz else math.inf)
    return MeasuredRecording(
        analyse_voice(prepared.waveform, RATE_HZ, groups, band_hz=band_hz), prepared, rate_hz, notes
    )


def _read(recording: Path | AudioEntry) -> tuple[Samples, dict[str, Any]]:
    if not isinstance(recording, AudioEntry):
        return load_with_notes(recording, sample_rate_hz=RATE_HZ)
    start, size = recording.start_sample, recording.num_samples
    return load_with_notes(
        recording.path,
        sample_rate_hz=RATE_HZ,
        start_sample=start,
        num_samples=size,
        is_whole=recording.is_whole,
    )
