"""Cepstral peak prominence of every frame: how far the cepstrum's peak at the pitch period rises over its trend.

Hillenbrand, Cleveland and Erickson 1994, "Acoustic correlates of breathy vocal quality", in Praat's version: "To
PowerCepstrogram" at its defaults (pitch from 60 Hz, up to 5000 Hz, pre-emphasis from 50 Hz) every 10 ms, and "Get peak
prominence" between 60 and 330 Hz over a straight line, fitted by least squares from 1 to 50 ms. Not smoothed: it is a
local track, and smoothing in time is what makes CPPS 20 times as slow.

Shapes: S samples, T frames, W samples of a window, Q quefrencies.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from .praat import STEP_S

Doubles = NDArray[np.float64]

RATE_HZ = 10_000  # twice the highest frequency
PITCH_FLOOR_HZ, LOWEST_HZ, HIGHEST_HZ = 60.0, 60.0, 330.0
PRE_EMPHASIS_HZ = 50.0
TREND_S = (0.001, 0.05)
_WINDOW_S = 6 / PITCH_FLOOR_HZ  # three periods, under a Gaussian window of twice the length
_BATCH = 128  # frames at once
_LEAST_POWER = 1e-30


def cepstral_peak_db(waveform: Tensor, duration_s: float) -> tuple[Doubles, float]:
    """Return the prominence every 10 ms, (T,) dB, and the time of the first, s; none where the window does not fit.

    Args:
        waveform: (S,) float64 at 10 kHz, as `praat_resampling.lower_rates` gives it.
        duration_s: duration of the recording, s.
    """
    num_frames = int((duration_s - _WINDOW_S) / STEP_S) + 1 if duration_s >= _WINDOW_S else 0
    first_s = 0.5 * duration_s - 0.5 * (num_frames * STEP_S) + 0.5 * STEP_S
    if not num_frames:
        return np.zeros(0), first_s
    times_s: Doubles = first_s + np.arange(num_frames, dtype=np.float64) * STEP_S
    size = round(_WINDOW_S * RATE_HZ)
    window = _window(size)
    # Below the rounding of Praat's own decibels only in silence, where there is no peak to speak of.
    frames = pad(_emphasised(waveform), (0, size)).unfold(0, size, 1)
    starts = _starts(len(waveform), duration_s, times_s)
    found = [_prominence(_cepstrum_db(frames[batch], window)) for batch in starts.split(_BATCH)]
    return torch.cat(found).numpy(), first_s


def _emphasised(waveform: Tensor) -> Tensor:
    emphasis = math.exp(-2 * math.pi * PRE_EMPHASIS_HZ / RATE_HZ)
    return torch.cat([waveform[:1], waveform[1:] - emphasis * waveform[:-1]]).float()


def _starts(num_samples: int, duration_s: float, times_s: Doubles) -> Tensor:
    """Return the first sample of the frame around each time, (T,)."""
    # The order of the operations is Praat's: a start between two samples is rounded as it rounds.
    first_sample_s = 0.5 * (duration_s - (num_samples - 1) / RATE_HZ)
    position = (np.maximum(times_s - _WINDOW_S / 2, 0.0) - first_sample_s) / (1 / RATE_HZ) + 1
    return torch.from_numpy(np.maximum(np.floor(position + 0.5).astype(np.int64) - 1, 0))


def _window(size: int) -> Tensor:
    """Return Praat's Gaussian window (W,), which is 0 one step outside its ends."""
    position = torch.arange(1, size + 1, dtype=torch.float64) - 0.5 * (size + 1)
    edge = math.exp(-12.0)
    return ((torch.exp(-48.0 * (position / (size + 1)).square()) - edge) / (1 - edge)).float()


def _cepstrum_db(frames: Tensor, window: Tensor) -> Tensor:
    """Return the level of the cepstrum of frames (T, W), (T, Q) dB."""
    size = 1 << (frames.shape[1] - 1).bit_length()
    spectrum = torch.fft.rfft((frames - frames.mean(1, keepdim=True)) * window, n=size)
    power = (spectrum.real.square() + spectrum.imag.square()) / RATE_HZ**2
    cepstrum = torch.fft.irfft(torch.log(power + _LEAST_POWER), n=size)[:, : size // 2 + 1]
    return 10 * torch.log10(cepstrum.square() + _LEAST_POWER)


def _prominence(level_db: Tensor) -> Tensor:
    """Return how far the peak of each cepstrum (T, Q) is above its trend, (T,) float64 dB."""
    top, at_s = _peak(level_db)
    quefrency = torch.arange(level_db.shape[1], dtype=torch.float64) / RATE_HZ
    fitted = (quefrency >= TREND_S[0]) & (quefrency <= TREND_S[1])
    levels, distance = level_db[:, fitted].double(), quefrency[fitted] - quefrency[fitted].mean()
    tilt = (levels @ distance) / distance.square().sum()
    return top - (levels.mean(1) + tilt * (at_s - quefrency[fitted].mean()))


def _peak(level_db: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest of the maxima of each cepstrum (T, Q), and its quefrency, (T,) float64 dB and s.

    All maxima are refined by a parabola before they are compared, as in Praat: the cepstrum changes its sign between
    two samples, so that a parabola through its levels may rise high over them.
    """
    lowest, highest = math.ceil(RATE_HZ / HIGHEST_HZ), math.floor(RATE_HZ / LOWEST_HZ)
    middle, left, right = (level_db[:, lowest + i : highest + 1 + i].double() for i in (0, -1, 1))
    slope, bend = 0.5 * (right - left), 2 * middle - left - right
    is_peak = (middle > left) & (middle >= right) & (bend > 0)
    refined = torch.where(is_peak, middle + slope.square() / (2 * bend), middle)
    top, at = refined.max(1)
    offset = torch.where(is_peak, slope / bend, 0.0).gather(1, at[:, None])[:, 0]
    return top, (at + lowest + offset) / RATE_HZ
