"""Resample stretches of a recording, so that each equals the same stretch of the resampled whole.

Both ways below compute windowed-sinc interpolation as torchaudio.functional.resample does at its defaults
(Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/): 6 zero crossings, squared-cosine
window, cut at 0.99 of the lower band edge.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ZEROS = 6
_ROLLOFF = 0.99
_BLOCK = 1 << 20  # output samples at once; torchaudio computes lengths in float32, exact below 2**24
# Largest up * down for the filter bank of torchaudio, which takes some 10 bytes per unit. 11025 -> 16000 has 282,240.
_MAX_KERNEL = 1 << 19


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of sample rates: `up` output samples for `down` input samples, without common divisor."""

    up: int
    down: int

    @classmethod
    def of(cls, own_rate_hz: int, sample_rate_hz: int) -> "Ratio":
        """Return the ratio from the rate of a file to the requested rate."""
        divisor = gcd(own_rate_hz, sample_rate_hz)
        return cls(sample_rate_hz // divisor, own_rate_hz // divisor)

    def output_length(self, num_samples: int) -> int:
        """Return the output length for an input of `num_samples`."""
        return -(-num_samples * self.up // self.down)

    @property
    def half_width(self) -> int:
        """Number of input samples on either side that an output sample depends on."""
        return ceil(_ZEROS * self.down / (min(self.up, self.down) * _ROLLOFF))

    def input_range(self, start: int, stop: int | None) -> tuple[int, int | None]:
        """Return the input samples that output samples `start` to `stop` depend on.

        They begin at a multiple of `down`: there input and output samples coincide, so a stretch is filtered
        with the same phases as the whole.
        """
        if self.up == self.down:
            return start, stop
        margin = -(-self.half_width // self.down) + 1
        first = max(0, start // self.up - margin) * self.down
        return first, None if stop is None else (-(-stop // self.up) + margin) * self.down


def resample(
    native: NDArray[np.float32], offset: int, start: int, stop: int, ratio: Ratio
) -> NDArray[np.float32]:
    """Compute output samples `start` to `stop`, (stop - start,) float32.

    `native` are input samples from `offset` on, all of `ratio.input_range(start, stop)` that the file has.
    """
    if ratio.up == ratio.down:
        return native[start - offset : stop - offset]
    blocks: list[NDArray[np.float32]] = []
    for begin in range(start, stop, _BLOCK):
        end = min(begin + _BLOCK, stop)
        first, last = ratio.input_range(begin, end)
        assert last is not None
        skip = first // ratio.down * ratio.up  # output sample at the time of input sample `first`
        piece = native[first - offset : last - offset]
        interpolate = _by_filter_bank if ratio.up * ratio.down <= _MAX_KERNEL else _by_position
        blocks.append(interpolate(piece, begin - skip, end - skip, ratio))
    return np.concatenate(blocks)


def resample_pieces(pieces: Iterable[NDArray[np.float32]], ratio: Ratio) -> Iterator[NDArray[np.float32]]:
    """Resample a whole recording that comes in pieces (S,), with the samples of `resample` in blocks."""
    if ratio.up == ratio.down:
        yield from pieces
        return
    kept, offset, begin, last = np.zeros(0, np.float32), 0, 0, _last_needed(0, ratio)
    waiting: list[NDArray[np.float32]] = []
    num_samples = 0
    for piece in pieces:
        waiting.append(piece)
        num_samples += len(piece)
        while num_samples >= last:
            kept, waiting = np.concatenate([kept, *waiting]), []
            yield resample(kept, offset, begin, begin + _BLOCK, ratio)
            begin += _BLOCK
            first, _ = ratio.input_range(begin, None)
            kept, offset, last = kept[first - offset :], first, _last_needed(begin, ratio)
    kept, stop = np.concatenate([kept, *waiting]), ratio.output_length(num_samples)
    if begin < stop:
        yield resample(kept, offset, begin, stop, ratio)


def _last_needed(begin: int, ratio: Ratio) -> int:
    """Return the end of the input samples that the block of output samples from `begin` on depends on."""
    last = ratio.input_range(begin, begin + _BLOCK)[1]
    assert last is not None
    return last


def _by_filter_bank(native: NDArray[np.float32], start: int, stop: int, ratio: Ratio) -> NDArray[np.float32]:
    import torch

    output: NDArray[np.float32] = _resampler(ratio)(torch.from_numpy(native)).numpy()
    return output[start:stop]


@cache
def _resampler(ratio: Ratio) -> Any:
    """Return a resampler; cached, as torchaudio.functional.resample would compute its filters for every file."""
    import torchaudio

    return torchaudio.transforms.Resample(ratio.down, ratio.up, lowpass_filter_width=_ZEROS, rolloff=_ROLLOFF)


def _by_position(native: NDArray[np.float32], start: int, stop: int, ratio: Ratio) -> NDArray[np.float32]:
    """Resample where the rates have no useful common divisor (16,001 Hz): a filter bank would take gigabytes."""
    width = ratio.half_width
    padded = np.pad(native, width + 1)
    taps = np.arange(-width, width + 2)
    bandwidth = min(ratio.up, ratio.down) * _ROLLOFF / ratio.down  # relative to that of the input
    step = max(1, (1 << 20) // len(taps))
    pieces = []
    for begin in range(start, stop, step):
        whole, part = np.divmod(np.arange(begin, min(begin + step, stop)) * ratio.down, ratio.up)
        distance = np.clip((taps - (part / ratio.up)[:, None]) * bandwidth, -_ZEROS, _ZEROS)
        # The kernel of torchaudio's sinc_interp_hann, at the distances of each output sample.
        weights = np.sinc(distance) * np.cos(distance * np.pi / _ZEROS / 2) ** 2 * bandwidth
        rows = np.minimum(whole[:, None] + taps + width + 1, len(padded) - 1)
        pieces.append(np.einsum("nk,nk->n", weights, padded[rows]).astype(np.float32))
    return np.concatenate(pieces)
