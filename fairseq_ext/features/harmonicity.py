"""Harmonics-to-noise ratio of every frame, as Praat's "To Harmonicity (cc)" at its defaults, in a seventh of its time.

Boersma 1993, section 3: 10 log10(r / (1 - r)), r the highest maximum of the normalised cross-correlation of the sound
with itself, at lags up to a period of 75 Hz (Praat 6.1, fon/Sound_to_Pitch.cpp, FCC_ACCURATE). Praat refines each of 14
maxima by sin(x)/x over up to 700 lags; here all lags are interpolated at once, four times as fine, over 32 lags to
either side, and the last step is a parabola. Means of 100 recordings of three corpora differ by 0.5 % at most. Near the
longest lag Praat's refinement has few lags to go by, and reads single frames of voices below 80 Hz up to 12 dB high.

Shapes: S samples, T frames, L lags.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d, pad

from .praat import STEP_S, UNMEASURED_DB

Doubles = NDArray[np.float64]

FLOOR_HZ, SILENCE = 75.0, 0.1  # Praat's minimum pitch and silence threshold
_FINER, _DEPTH = 4, 32
_BATCH = 256  # frames at once: what they need stays in the cache of a core
_LEAST_R = 1e-15


def harmonicity_db(waveform: Doubles, sample_rate_hz: int) -> tuple[Doubles, float]:
    """Return the ratio every 10 ms, (T,) dB, -200 where there is none, and the time of the first, s.

    Frames are where Praat has them; none where the sound (S,) is shorter than two periods of 75 Hz.
    """
    duration_s = len(waveform) / sample_rate_hz
    num_frames = int((duration_s - 2 / FLOOR_HZ) / STEP_S + 1) if duration_s >= 2 / FLOOR_HZ else 0
    first_s = 0.5 * duration_s - 0.5 * (num_frames - 1) * STEP_S
    times_s: Doubles = first_s + np.arange(num_frames, dtype=np.float64) * STEP_S
    peak = float(np.abs(waveform - waveform.mean()).max(initial=0.0)) if num_frames else 0.0
    if not peak:
        return np.full(num_frames, UNMEASURED_DB), first_s
    frames = _Frames(waveform, sample_rate_hz)
    batches = range(0, num_frames, _BATCH)
    found = [frames.ratio_db(times_s[start : start + _BATCH], peak) for start in batches]
    return np.concatenate(found), first_s


class _Frames:
    """A waveform (S,), and what the frames read of it."""

    def __init__(self, waveform: Doubles, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._period = int(sample_rate_hz / FLOOR_HZ)
        self._window = 2 * (self._period // 2 - 1)
        self._num_lags = self._window + _DEPTH
        padded = np.pad(waveform, (self._period, 2 * self._window + self._period + _DEPTH))
        self._sums = np.concatenate([[0.0], np.cumsum(padded)])
        self._padded = torch.from_numpy(padded.astype(np.float32))

    def ratio_db(self, times_s: Doubles, peak: float) -> Doubles:
        """Return the ratio (T,) at some times; `peak` is that of the whole sound."""
        # Where the frames are in the padded waveform: their middle, and the start of the first of two windows.
        middle = self._below(times_s) + 1 + self._period
        start = np.maximum(self._below(times_s - 1 / FLOOR_HZ), 0) + self._period
        mean = (self._sums[middle + self._period] - self._sums[middle - self._period]) / (2 * self._period)
        r = _highest(self._correlate(self._read(start, self._window + self._num_lags, mean)), self._window)
        # A frame that is quiet beside the sound's peak needs a higher r to count as periodic.
        near = self._read(middle - self._window // 2, self._window, mean)
        intensity = np.minimum(near.abs().amax(1).numpy().astype(np.float64) / peak, 1.0)
        silent_r = np.maximum(0.0, 2.0 - intensity / SILENCE)
        db = 10 * np.log10(np.clip(r, _LEAST_R, None) / np.clip(1 - r, _LEAST_R, None))
        return np.where((r > silent_r) & (r > 0), db, UNMEASURED_DB)

    def _below(self, times_s: Doubles) -> NDArray[np.int64]:
        """Return the last sample at or before each time; sample i is at (i + 0.5) / rate."""
        return np.floor(times_s * self._rate - 0.5 + 1e-9).astype(np.int64)

    def _read(self, start: NDArray[np.int64], size: int, mean: Doubles) -> Tensor:
        """Return stretches (T, size) less the mean of each."""
        return (
            self._padded.unfold(0, size, 1)[torch.from_numpy(start)] - torch.from_numpy(mean).float()[:, None]
        )

    def _correlate(self, frames: Tensor) -> Tensor:
        """Return the correlation of the first window with those that begin 0 to L later, (T, L + 1)."""
        window, size = self._window, frames.shape[1]
        first, whole = torch.fft.rfft(frames[:, :window], n=size), torch.fft.rfft(frames, n=size)
        products = torch.fft.irfft(first.conj() * whole, n=size)[:, : self._num_lags + 1]
        energy = pad(frames.double().square().cumsum(1), (1, 0))
        moving = energy[:, window : size + 1] - energy[:, : self._num_lags + 1]  # of the later window
        scale = (moving[:, :1] * moving).clamp(min=1e-30).rsqrt().float()
        correlation: Tensor = products * scale
        return correlation


def _highest(correlation: Tensor, num_lags: int) -> Doubles:
    """Return the highest interpolated maximum (T,) from lag 2 to below `num_lags`; 0 where there is none above 0."""
    middle, before, behind = (correlation[:, 2 + i : num_lags + i] for i in (0, -1, 1))
    is_peak = pad((middle > before) & (middle >= behind) & (middle > 0), (2, 1))  # (T, num_lags + 1)
    around = (is_peak[:, :-1] | is_peak[:, 1:]).repeat_interleave(_FINER, 1)
    both_sides = torch.cat([correlation[:, 1:_DEPTH].flip(1), correlation], 1)
    fine = conv1d(both_sides[:, None], _sinc_kernels()[:, None])[:, :, :num_lags]  # (T, _FINER, lags)
    fine = fine.mT.flatten(1)
    top, at = fine.masked_fill(~around, -1.0)[:, 1:-1].max(1)
    left, right = (fine.gather(1, (at + i)[:, None])[:, 0] for i in (0, 2))
    slope, bend = 0.5 * (right - left), (2 * top - left - right).clamp(min=1e-9)
    best = top + slope.square() / (2 * bend)
    # Above 1 by interpolation, it is reflected, as in Praat.
    best = torch.where(best > 1, 1 / best, best) * (top > 0)
    return best.double().numpy()


def _sinc_kernels() -> Tensor:
    """Return the weights of the lags around an interpolated one, (_FINER, 2 * _DEPTH)."""
    distance = torch.arange(_FINER)[:, None] / _FINER - torch.arange(1 - _DEPTH, _DEPTH + 1)
    return torch.sinc(distance) * (0.5 + 0.5 * torch.cos(torch.pi * distance / (_DEPTH + 0.5)))
