"""Lower the sample rate of a recording as Praat does, several times from one Fourier transform.

Praat's formants and cepstra start from a copy of the sound at twice their highest frequency, and depend on the last few
per cent of its band: a resampler with another edge moves 6 % of the formants by more than 2 % (20 recordings of three
corpora), this one 0.02 %, and it takes a quarter of Praat's time. The rule is that of `Sound_resample` (Praat 6.1,
fon/Sound.cpp): nothing above half the new rate, cut in the spectrum of the whole sound, then interpolation by sin(x)/x
over 50 samples to either side under a raised cosine.

Shapes: S samples, K Fourier bins, M samples at the new rate.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

DEPTH = 50  # samples to either side of an interpolated one: Praat's precision for formants and cepstra
_BATCH = 1024  # periods of new samples at once
_AROUND = 1000  # zeros before and after the sound, against the turn-around of the transform


def lower_rates(waveform: Tensor, sample_rate_hz: int, rates_hz: Sequence[int]) -> Iterator[Tensor]:
    """Yield a waveform (S,) float64 at each of lower rates, (M,) float64.

    The samples are those of Praat's Sound, which are centred in its duration: sample 0 of S at rate r is at 0.5 / r s.
    """
    size = 1 << (len(waveform) + 2 * _AROUND - 1).bit_length()
    spectrum = torch.fft.rfft(pad(waveform, (_AROUND, size - len(waveform) - _AROUND)))  # (K,)
    for rate_hz in rates_hz:
        if rate_hz >= sample_rate_hz:
            yield waveform
            continue
        kept = _lowest(spectrum, int(rate_hz / sample_rate_hz * size))
        low = torch.fft.irfft(kept, n=size)[_AROUND : _AROUND + len(waveform)]
        yield _interpolate(low, sample_rate_hz, rate_hz)


def _lowest(spectrum: Tensor, num_parts: int) -> Tensor:
    """Keep the first numbers of a spectrum (K,), real and imaginary parts counted one after another, as Praat does.

    In Praat's order the real part of the last bin is the second number, so that the others are one behind; it is never
    kept. Bins that are left out count as 0 in `torch.fft.irfft`.
    """
    num_kept = max(1, num_parts - 1)
    kept = spectrum[: num_kept // 2 + 1].clone()
    kept.imag[-1] = 0
    if num_kept % 2 == 0:
        kept.real[-1] = 0
    return kept


def _interpolate(waveform: Tensor, sample_rate_hz: int, rate_hz: int) -> Tensor:
    """Return the values (M,) between the samples (S,), at the times that Praat gives the samples of the new rate."""
    num_samples = round(len(waveform) / sample_rate_hz * rate_hz)
    first_s = 0.5 * (len(waveform) / sample_rate_hz - (num_samples - 1) / rate_hz)
    kernels, start, step = _kernels(sample_rate_hz, rate_hz, round(first_s * sample_rate_hz - 0.5, 9))
    num_steps = -(-num_samples // len(kernels))
    before = max(0, -start)
    behind = max(0, (num_steps - 1) * step + start + kernels.shape[1] - len(waveform))
    padded = pad(waveform, (before, behind))[start + before :]
    windows = padded.unfold(0, kernels.shape[1], step)[:num_steps]
    # In batches, since a product copies its windows: those of an hour are gigabytes.
    found = torch.cat([(batch @ kernels.mT).flatten() for batch in windows.split(_BATCH)])
    return found[:num_samples]


@lru_cache(maxsize=64)
def _kernels(sample_rate_hz: int, rate_hz: int, first: float) -> tuple[Tensor, int, int]:
    """Return the weights of a period of new samples, (new samples, taps), the first tap's sample, and the period.

    Args:
        first: position of the first new sample, in samples of the old rate.
    """
    ratio = torch.tensor([rate_hz, sample_rate_hz])
    up, down = (ratio // torch.gcd(ratio[0], ratio[1])).tolist()
    at = first + torch.arange(up, dtype=torch.float64)[:, None] * down / up
    below = at.floor()
    start = int(below[0]) - DEPTH + 1
    taps = torch.arange(start, int(below[-1]) + DEPTH + 1, dtype=torch.float64)
    distance = at - taps
    reach = torch.where(distance > 0, at - below, below + 1 - at) + DEPTH
    window = 0.5 + 0.5 * torch.cos(torch.pi * distance / reach)
    is_near = (taps > below - DEPTH) & (taps <= below + DEPTH)
    return torch.sinc(distance) * window * is_near, start, down
