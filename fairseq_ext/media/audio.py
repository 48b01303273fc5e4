"""Load audio of any format and rate as mono float32 at the requested rate.

Shapes: `(S,)` float32; S counts samples at the requested rate. A file of L samples at rate r has ceil(L * rate / r)
samples at `rate`, and a stretch of it equals the same stretch of the whole (up to rounding, when resampled).
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..line_index import AudioEntry
from .blocks import Blocks
from .integrity import AudioError, not_numbers
from .readers import Samples, open_audio
from .resampling import Ratio, resample
from .scale import scale_of

__all__ = [
    "AudioError",
    "AudioInfo",
    "decode_check",
    "load",
    "load_row",
    "load_with_notes",
    "num_samples_at",
    "probe",
]

# How far beyond its row a file may go: other tools count an MP3 with its encoder's delay, or round.
_MOST_BEYOND_ROW, _BEYOND_ROW_S = 1.05, 0.1


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Sample rate of a file in Hz, its length at that rate in samples, and its number of channels."""

    sample_rate_hz: int
    num_samples: int
    num_channels: int


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read rate, length and channels, from the header where the format has them there (not m4a and webm).

    Raises:
        AudioError: for a missing, empty, cut-off, zero-length or unreadable file. Damage inside is found by
            `decode_check`.
    """
    with open_audio(path) as reader:
        num_samples = reader.num_samples
        if num_samples is None:
            num_samples = reader.count()
        if num_samples == 0:
            raise AudioError(f"{path}: it has no samples; leave it out")
        return AudioInfo(reader.sample_rate_hz, num_samples, reader.num_channels)


def announced_s(path: str | os.PathLike[str]) -> float | None:
    """Return the length that a file's header says, s; None = it says none.

    Raises:
        AudioError: for a missing, empty or unreadable file.
    """
    with open_audio(path) as reader:
        return None if reader.num_samples is None else reader.num_samples / reader.sample_rate_hz


def decode_check(path: str | os.PathLike[str]) -> AudioInfo:
    """Decode the whole file once, so that training meets no damaged file; return what `probe` does.

    Raises:
        AudioError: for any error that `load` would raise on a stretch of it.
    """
    info = probe(path)
    for _ in Blocks(path, info.sample_rate_hz):
        pass
    return info


def num_samples_at(info: AudioInfo, sample_rate_hz: int) -> int:
    """Return the number of samples that `load` returns for a whole file."""
    return Ratio.of(info.sample_rate_hz, sample_rate_hz).output_length(info.num_samples)


def load(
    path: str | os.PathLike[str],
    *,
    sample_rate_hz: int,
    start_sample: int = 0,
    num_samples: int | None = None,
) -> Samples:
    """Read a file, or `num_samples` of it (None: up to the end), as one channel, (num_samples,) float32.

    Start and number count samples at `sample_rate_hz`. Formats that can seek are decoded from shortly before the
    stretch; Ogg and WebM from their start.

    Raises:
        AudioError: for a missing, empty, cut-off, damaged or zero-length file, one that is not audio or holds
            NaN, and for a stretch that reaches beyond its end.
    """
    samples, _ = load_with_notes(
        path, sample_rate_hz=sample_rate_hz, start_sample=start_sample, num_samples=num_samples
    )
    return samples


def load_row(entry: AudioEntry, sample_rate_hz: int) -> Samples:
    """Read what a row of a manifest lists, (num_samples,) float32; the row counts samples at `sample_rate_hz`.

    Raises:
        AudioError: as `load`, and for a file that is longer than the row of the whole of it says, which would be
            read in part: the row counts at another rate, or the file has changed.
    """
    samples, _ = load_with_notes(
        entry.path,
        sample_rate_hz=sample_rate_hz,
        start_sample=entry.start_sample,
        num_samples=entry.num_samples,
        is_whole=entry.is_whole,
    )
    return samples


def load_with_notes(
    path: str | os.PathLike[str],
    *,
    sample_rate_hz: int,
    start_sample: int = 0,
    num_samples: int | None = None,
    is_whole: bool = False,
) -> tuple[Samples, dict[str, Any]]:
    """Do as `load` does, and return too what was chosen, filled in or changed on the way.

    The notes are `track` (which of several, and why), `opposite_phase_s` (where one channel was taken, since the
    channels cancel each other out), `silence_s` (in which nothing was recorded, by the time stamps),
    `beyond_full_scale` (number of samples) and `scaled_by`.
    """
    if start_sample < 0 or (num_samples is not None and num_samples < 1):
        raise AudioError(
            f"{path}: expected 1 or more samples from 0 on, found {num_samples} from {start_sample}; "
            "write the manifest again"
        )
    stop = None if num_samples is None else start_sample + num_samples
    with open_audio(path) as reader:
        ratio = Ratio.of(reader.sample_rate_hz, sample_rate_hz)
        first, last = ratio.input_range(start_sample, stop)
        native = reader.read(first, last)
        if reader.num_samples is not None:
            total = ratio.output_length(reader.num_samples)
            stop = total if stop is None else stop
            check_stretch(path, start_sample, stop, total)
            if is_whole:
                check_whole(path, stop, total, sample_rate_hz)
        num_wrong = int(np.count_nonzero(~np.isfinite(native)))
        if num_wrong:
            raise not_numbers(path, num_wrong, len(native))
        scale = scale_of(path, reader)
        notes = reader.notes | scale.notes()
    if scale.num_beyond:
        native *= np.float32(scale.factor)
    assert stop is not None, "a reader that reached the end knows its length"
    return resample(native, first, start_sample, stop, ratio), notes


def check_whole(path: str | os.PathLike[str], num_samples: int, total: int, sample_rate_hz: int) -> None:
    """Raise AudioError for a file that is longer than the row of the whole of it says, which would be read in part."""
    if total > _MOST_BEYOND_ROW * num_samples + _BEYOND_ROW_S * sample_rate_hz:
        raise AudioError(
            f"{path}: the manifest counts {num_samples} samples, found {total} at {sample_rate_hz} Hz; give the rate "
            "that the manifest counts at, or write the manifest again"
        )


def check_stretch(path: str | os.PathLike[str], start: int, stop: int, total: int) -> None:
    """Raise AudioError for a stretch that a file of `total` samples does not have."""
    if total == 0:
        raise AudioError(f"{path}: it has no samples; leave it out")
    if not start < stop <= total:
        raise AudioError(
            f"{path}: expected samples {start} to {stop}, found {total} in all; write the manifest again"
        )
