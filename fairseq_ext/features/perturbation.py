"""Jitter and shimmer, by Praat's rules, over a whole recording and around each frame, from one list of glottal pulses.

Praat's rules ("Voice 2. Jitter", "Voice 3. Shimmer" of its manual; fon/VoiceAnalysis.cpp): periods of 0.1 to 20 ms,
of which neighbours differ by a factor of 1.3 at most, and amplitudes by 1.6.

Shapes: S samples, T frames, N pulses, P pairs of neighbouring periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

SHORTEST_S, LONGEST_S, MOST_PERIOD_FACTOR, MOST_AMPLITUDE_FACTOR = 0.0001, 0.02, 1.3, 1.6
# A local value is that of the 0.1 s around a frame, which hold seven periods at Praat's lowest pitch.
LOCAL_S = 0.1
_FEWEST_PAIRS = 3
_AMPLITUDE_SHARE = 0.2  # of a period to either side of a pulse, under a Hann window


@dataclass(frozen=True)
class Perturbation:
    """Differences between neighbours, and the mean to divide them by.

    Attributes:
        times_s: time of each difference, (P,), s.
        differences: absolute differences, (P,).
        mean_times_s: times of the values that the mean is of, s.
        mean_of: those values.
    """

    times_s: Doubles
    differences: Doubles
    mean_times_s: Doubles
    mean_of: Doubles

    def whole(self, fewest: int) -> float:
        """Return mean difference over mean value of the recording; NaN for fewer differences than that."""
        if len(self.differences) < fewest or not len(self.mean_of):
            return float("nan")
        return float(self.differences.mean() / self.mean_of.mean())

    def around(self, frame_times_s: Doubles) -> Doubles:
        """Return the same around each frame (T,); 0 where too few neighbours are near."""
        difference, num = _mean_around(self.times_s, self.differences, frame_times_s)
        mean, _ = _mean_around(self.mean_times_s, self.mean_of, frame_times_s)
        return np.where((num >= _FEWEST_PAIRS) & (mean > 0), difference / np.maximum(mean, 1e-30), 0.0)


def _mean_around(times_s: Doubles, values: Doubles, frame_times_s: Doubles) -> tuple[Doubles, Doubles]:
    """Return the mean of the values near each frame, 0 where there is none, and their number."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first, end = (np.searchsorted(times_s, frame_times_s + side * LOCAL_S / 2) for side in (-1, 1))
    num = end - first
    return (sums[end] - sums[first]) / np.maximum(num, 1), num.astype(np.float64)


_NOTHING = Perturbation(*[np.zeros(0)] * 4)


def jitter(pulses: Doubles) -> Perturbation:
    """Compare each period with the next; pulses (N,), s."""
    periods = np.diff(pulses)
    if not len(periods):
        return _NOTHING
    at = np.flatnonzero(_are_close(periods))
    # A period counts in the mean unless it differs from both its neighbours; the first and the last have only one.
    unlike = np.concatenate([[False], _factors(periods) > MOST_PERIOD_FACTOR, [False]])
    counts = _are_periods(periods) & ~(unlike[:-1] & unlike[1:])
    return Perturbation(
        pulses[at + 1],
        np.abs(periods[at] - periods[at + 1]),
        (pulses[:-1] + periods / 2)[counts],
        periods[counts],
    )


def shimmer(waveform: Doubles, sample_rate_hz: int, pulses: Doubles) -> Perturbation:
    """Compare the amplitude at each pulse (N,) with that at the next, in a waveform (S,)."""
    periods = np.diff(pulses)
    if len(periods) < 2:
        return _NOTHING
    at = np.flatnonzero(_are_close(periods)) + 1  # pulses between two periods
    amplitudes = _amplitudes(waveform, sample_rate_hz, pulses[at], periods[at - 1], periods[at])
    at, amplitudes = at[amplitudes > 0], amplitudes[amplitudes > 0]
    counts = _are_periods(np.diff(pulses[at])) & (_factors(amplitudes) <= MOST_AMPLITUDE_FACTOR)
    between = (pulses[at][:-1] + pulses[at][1:]) / 2
    # As in Praat, the mean leaves out the last amplitude.
    return Perturbation(
        between[counts], np.abs(np.diff(amplitudes))[counts], pulses[at][:-1], amplitudes[:-1]
    )


def _are_periods(periods: Doubles) -> NDArray[np.bool_]:
    return (periods >= SHORTEST_S) & (periods <= LONGEST_S)


def _factors(values: Doubles) -> Doubles:
    """Return how many times larger the larger of two neighbours is."""
    if len(values) < 2:
        return np.zeros(0)
    larger: Doubles = np.maximum(values[1:], values[:-1])
    return larger / np.maximum(np.minimum(values[1:], values[:-1]), 1e-300)


def _are_close(periods: Doubles) -> NDArray[np.bool_]:
    """Return where a period and the next are periods, and alike."""
    is_period = _are_periods(periods)
    return is_period[:-1] & is_period[1:] & (_factors(periods) <= MOST_PERIOD_FACTOR)


def _amplitudes(
    waveform: Doubles, sample_rate_hz: int, at_s: Doubles, before_s: Doubles, behind_s: Doubles
) -> Doubles:
    """Return the root mean square around each pulse, under a Hann window of a share of its periods."""
    if not len(at_s):
        return np.zeros(0)
    left_s, right_s = _AMPLITUDE_SHARE * before_s, _AMPLITUDE_SHARE * behind_s
    first, last = (np.floor(t * sample_rate_hz).astype(np.int64) for t in (at_s - left_s, at_s + right_s))
    samples = first[:, None] + np.arange(int((last - first).max()) + 1)
    inside = (samples <= last[:, None]) & (samples >= 0) & (samples < len(waveform))
    offset_s = (samples + 0.5) / sample_rate_hz - at_s[:, None]
    window = 0.5 + 0.5 * np.cos(np.pi * offset_s / np.where(offset_s < 0, left_s[:, None], right_s[:, None]))
    window = np.where(inside, window, 0.0)
    values = waveform[samples.clip(0, len(waveform) - 1)] * window
    power: Doubles = np.square(values).sum(1) / np.maximum(np.square(window).sum(1), 1e-300)
    return np.sqrt(power)
