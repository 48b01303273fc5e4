"""Load audio of any format and rate as mono float32 at the requested rate.

Shapes: `(S,)` float32; S counts samples at the requested rate. A file of L samples at rate r has ceil(L * rate / r)
samples at `rate`, and a stretch of it equals the same stretch of the whole (up to rounding, when resampled).
"""

import os
from dataclasses import dataclass

import numpy as np

from .integrity import AudioError
from .readers import Samples, open_audio
from .resampling import Ratio, resample

__all__ = ["AudioError", "AudioInfo", "decode_check", "load", "num_samples_at", "probe"]


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Rate, length and channels of a file.

    Attributes:
        sample_rate_hz: sample rate of the file, Hz.
        num_samples: length at that rate, in samples.
        num_channels: number of channels in the file.
    """

    sample_rate_hz: int
    num_samples: int
    num_channels: int


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read rate, length and channels, from the header where the format has them there (not m4a and webm).

    Args:
        path: the file.

    Returns:
        Rate, length and channels.

    Raises:
        AudioError: for a missing, empty, cut-off, zero-length or unreadable file. Damage inside is found by
            `decode_check`.
    """
    with open_audio(path) as reader:
        num_samples = reader.num_samples
        if num_samples is None:
            num_samples = len(reader.read(0, None))
        if num_samples == 0:
            raise AudioError(f"{path}: it has no samples; leave it out")
        return AudioInfo(reader.sample_rate_hz, num_samples, reader.num_channels)


def decode_check(path: str | os.PathLike[str]) -> AudioInfo:
    """Decode the whole file once, so that training meets no damaged file.

    Args:
        path: the file.

    Returns:
        Rate, length and channels, as `probe`.

    Raises:
        AudioError: for any error that `load` would raise on a stretch of it.
    """
    info = probe(path)
    load(path, sample_rate_hz=info.sample_rate_hz)
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
    """Read a file or a stretch of it.

    Formats that can seek are decoded from shortly before the stretch; Ogg and WebM from their start.

    Args:
        path: the file.
        sample_rate_hz: sample rate of the result, Hz; the next two count samples at this rate.
        start_sample: first sample.
        num_samples: number of samples; None: up to the end.

    Returns:
        Mono waveform, (num_samples,) float32, the mean of the channels.

    Raises:
        AudioError: for a missing, empty, cut-off, damaged or zero-length file, one that is not audio or holds
            NaN, and for a stretch that reaches beyond its end.
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
            _check_stretch(path, start_sample, stop, total)
    if not np.isfinite(native).all():
        raise AudioError(f"{path}: its samples contain NaN or infinity; convert it again or leave it out")
    assert stop is not None, "a reader that reached the end knows its length"
    return resample(native, first, start_sample, stop, ratio)


def _check_stretch(path: str | os.PathLike[str], start: int, stop: int, total: int) -> None:
    if total == 0:
        raise AudioError(f"{path}: it has no samples; leave it out")
    if not start < stop <= total:
        raise AudioError(
            f"{path}: expected samples {start} to {stop}, found {total} in all; write the manifest again"
        )
