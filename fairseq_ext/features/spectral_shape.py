"""What a spectrum looks like in a few numbers: centroid, bandwidth, roll-off, contrast in octaves, chroma.

Definitions as in librosa 0.11, whose values on the same spectra are stored in the tests. A silent frame has 0 in all.

Shapes: T frames, K Fourier bins from 0 to half the sample rate, P pitch classes.
"""

from functools import lru_cache

import torch
from torch import Tensor

ROLLOFF_SHARE = 0.85
# Jiang and others 2002, "Music type classification by spectral contrast feature": octaves above 200 Hz, and the mean
# of the strongest and the weakest 2 % of the bins of each.
CONTRAST_FLOOR_HZ, CONTRAST_SHARE = 200.0, 0.02
_LEAST, _TINY = 1e-10, torch.finfo(torch.float32).tiny
# Ellis 2007, "Chroma feature analysis and synthesis": bins near 1 kHz count most, in octaves around this one.
_CHROMA_OCTAVE, _CHROMA_OCTAVES = 5.0, 2.0
_A0_HZ = 440.0 / 16


def centroid_bandwidth_rolloff(magnitude: Tensor, bins_hz: Tensor) -> Tensor:
    """Return roll-off, bandwidth and centroid of magnitudes (T, K), (T, 3) Hz."""
    total = magnitude.sum(1, keepdim=True)
    share = magnitude / total.clamp(min=_TINY)
    centroid = share @ bins_hz  # (T,)
    spread = (share * (bins_hz - centroid[:, None]).square()).sum(1).sqrt()
    reached = magnitude.cumsum(1) >= ROLLOFF_SHARE * total
    rolloff = bins_hz[reached.int().argmax(1)]
    return torch.stack([rolloff, spread, centroid], dim=1) * (total > _TINY)


def contrast_db(magnitude: Tensor, bins_hz: Tensor, num_bands: int) -> Tensor:
    """Return the contrast of peaks and valleys of magnitudes (T, K) in octaves, (T, num_bands).

    The level of a magnitude is 10 log10, not 20, as in librosa.
    """
    found = []
    for band in _octaves(bins_hz, num_bands):
        part = magnitude[:, band]
        num = max(1, round(CONTRAST_SHARE * (band.stop - band.start + (band.stop < len(bins_hz)))))
        peak, valley = (part.topk(num, dim=1, largest=largest).values.mean(1) for largest in (True, False))
        found.append(10 * torch.log10(peak.clamp(min=_LEAST) / valley.clamp(min=_LEAST)))
    return torch.stack(found, dim=1)


def _octaves(bins_hz: Tensor, num_bands: int) -> list[slice]:
    """Return the bins of each band: one below the floor, octaves above it, the last up to half the sample rate.

    A band reaches one bin into the one below, and ends before the first bin of the one above.
    """
    edges = [0.0, *(CONTRAST_FLOOR_HZ * 2.0**i for i in range(num_bands))]
    bands = []
    for number in range(num_bands):
        inside = torch.nonzero((bins_hz >= edges[number]) & (bins_hz <= edges[number + 1]))[:, 0]
        first, last = int(inside[0]), int(inside[-1])
        is_last = number == num_bands - 1
        bands.append(slice(first - (number > 0), len(bins_hz) if is_last else last))
    return bands


def chroma(power: Tensor, sample_rate_hz: int) -> Tensor:
    """Return the power of each pitch class from C on, in a spectrum (T, K), (T, 12), the strongest = 1."""
    classes = power @ _chroma_filters(sample_rate_hz, 2 * (power.shape[1] - 1)).mT
    return classes / classes.amax(1, keepdim=True).clamp(min=_TINY)


@lru_cache(maxsize=4)
def _chroma_filters(sample_rate_hz: int, n_fft: int, num_classes: int = 12) -> Tensor:
    """Return the weights (P, K) of the bins, tuned to A = 440 Hz."""
    frequencies = torch.arange(1, n_fft, dtype=torch.float64) * sample_rate_hz / n_fft
    position = num_classes * torch.log2(frequencies / _A0_HZ)  # semitones over A0
    position = torch.cat([position[:1] - 1.5 * num_classes, position])  # the bin at 0 Hz, far below
    width = torch.cat([position.diff().clamp(min=1.0), torch.ones(1, dtype=torch.float64)])
    half = num_classes // 2
    distance = position - torch.arange(num_classes)[:, None]  # (P, bins)
    distance = torch.remainder(distance + half, num_classes) - half
    weights = torch.exp(-0.5 * (2 * distance / width).square())
    weights = weights / weights.norm(dim=0)
    octave = position / num_classes
    weights = weights * torch.exp(-0.5 * ((octave - _CHROMA_OCTAVE) / _CHROMA_OCTAVES).square())
    from_c: Tensor = weights.roll(-3, 0)[:, : n_fft // 2 + 1].float()
    return from_c
