"""Recordings that are copies of others in another format, louder or with noise: the same wave, not the same samples.

Shapes: T means of samples, 1,000 a second.

Pairs whose loudness runs alike are compared by the correlation of their waves, at lags up to 30 ms. Between recordings
of one actor of RAVDESS, who speaks two sentences 30 times each, it is at most 0.53 (11,059 pairs of similar length).
Between 50 recordings and their copies as MP3, as Ogg Vorbis, at another rate, at a third of the level, cut by 25 ms or
with noise 20 dB below it is 0.98 and more. A copy that is played faster or at another pitch is not found.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

MIN_CORRELATION = 0.8
# Of the logarithm of the loudness in 48 parts. The copies above have 0.908 (noise) and more, the others 0.97.
_MIN_LIKENESS = 0.9
_NUM_PARTS = 48
_MIN_LENGTH_RATIO = 0.97
_MAX_LAG = 30  # ms: encoders pad, and cut


def near_copies(traces: Sequence[Floats]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of two recordings that are one, the lower first.

    Args:
        traces: means of the samples of each recording, (T,) at 1 kHz; one shorter than 0.2 s has no copy.
    """
    usable = [number for number, trace in enumerate(traces) if len(trace) > 4 * _NUM_PARTS]
    outlines = np.array([_outline(traces[number]) for number in usable]).reshape(len(usable), _NUM_PARTS)
    lengths = np.array([len(traces[number]) for number in usable], dtype=float)
    for place, number in enumerate(usable):
        ratio = lengths[place + 1 :] / lengths[place]
        alike = outlines[place + 1 :] @ outlines[place] > _MIN_LIKENESS
        fits = alike & (np.minimum(ratio, 1 / ratio) > _MIN_LENGTH_RATIO)
        for other in (usable[place + 1 + i] for i in np.flatnonzero(fits)):
            if _correlation(traces[number], traces[other]) > MIN_CORRELATION:
                yield number, other


def _outline(trace: Floats) -> Floats:
    """Return how loud each part is, relative to the mean, as a unit vector (parts,)."""
    parts = np.array_split(trace, _NUM_PARTS)
    loudness = np.log(np.array([np.mean(part.astype(np.float64) ** 2) for part in parts]) + 1e-10)
    loudness -= loudness.mean()
    return loudness / max(float(np.linalg.norm(loudness)), 1e-9)


def _correlation(first: Floats, second: Floats) -> float:
    """Return the largest absolute correlation of two waves within the lags; the overlap is nearly all of both."""
    first, second = first - first.mean(), second - second.mean()
    size = 1 << (max(len(first), len(second)) + _MAX_LAG).bit_length()
    product = np.fft.irfft(np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size)), size)
    around = np.concatenate([product[: _MAX_LAG + 1], product[-_MAX_LAG:]])
    return float(np.abs(around).max() / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-9))
