"""Groups of frame features: mel spectrum and MFCC of a padded batch, their normalisation, masks over time.

The two groups that a network computes from waveforms equal those of `features.voice_groups`, to rounding: 100 frames
per second, levels in dB under a full-scale sine's. All others are measured outside of it.

Shapes: B batch, S samples, T frames at 100 Hz, D columns of a group.
"""

import torch
from torch import Tensor, nn

from .padding import clip_lengths, valid_mask
from .spectral import MelSpectrogram, Mfcc, frame_counts, power_to_db

# What a network computes by itself; their numbers of columns are those of `features.voice_groups`.
COMPUTED = ("mel", "mfcc")
NUM_MELS = 80
# Kaldi's usual window for differences: two frames to either side, as in `features.dump`.
DELTA_REACH = 2
# Running statistics of the features settle within the first hundred updates.
MOMENTUM = 0.05


class SpectralGroups(nn.Module):
    """Mel spectrum (B, T, 80) and MFCC with first and second differences (B, T, 39), dB.

    Args:
        groups: those to compute, of `COMPUTED`.
        sample_rate_hz: sample rate of the waveforms, Hz.
    """

    def __init__(self, groups: tuple[str, ...], sample_rate_hz: int) -> None:
        super().__init__()
        self.mel = MelSpectrogram(sample_rate_hz, NUM_MELS) if "mel" in groups else None
        self.mfcc = Mfcc(sample_rate_hz) if "mfcc" in groups else None

    @property
    def _front(self) -> MelSpectrogram:
        found = self.mel if self.mfcc is None else self.mfcc.mel
        assert found is not None
        return found

    def forward(self, source: Tensor, padding_mask: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return group -> features (B, T, D), 0 on padding, and the numbers of frames (B,); None without a group."""
        if self.mel is None and self.mfcc is None:
            return {}, None
        if padding_mask is not None:
            source = source.masked_fill(padding_mask, 0.0)
        front = self._front
        lengths = frame_counts(clip_lengths(source, padding_mask), front.hop)
        # Both groups have the same windows: one spectrum, which takes most of the time, for both.
        spectrum = front.power_spectrum(source)
        valid = valid_mask(lengths, spectrum.shape[1])[:, :, None]
        found: dict[str, Tensor] = {}
        if self.mel is not None:
            found["mel"] = power_to_db(spectrum @ self.mel.get_buffer("filters")) * valid
        if self.mfcc is not None:
            coefficients = self.mfcc.from_power(spectrum @ self.mfcc.mel.get_buffer("filters")) * valid
            first = slopes(coefficients, lengths)
            found["mfcc"] = torch.cat([coefficients, first, slopes(first, lengths)], 2)
        return found, lengths


def slopes(features: Tensor, lengths: Tensor) -> Tensor:
    """Return the slope of (B, T, D) features per frame, by least squares over five frames; 0 on padding.

    The first and the last frame of a clip are repeated beyond its ends, as in `features.dump.differences`.
    """
    index = torch.arange(features.shape[1], device=features.device)[None, :]
    last = (lengths - 1).clamp(min=0)[:, None]
    rows = torch.arange(features.shape[0], device=features.device)[:, None]
    total = torch.zeros_like(features)
    for reach in range(1, DELTA_REACH + 1):
        ahead, behind = torch.minimum(index + reach, last), torch.minimum((index - reach).clamp(min=0), last)
        total = total + reach * (features[rows, ahead] - features[rows, behind])
    total = total / (2 * sum(reach**2 for reach in range(1, DELTA_REACH + 1)))
    return total * valid_mask(lengths, features.shape[1])[:, :, None]


class FrameNorm(nn.Module):
    """Bring each column to mean 0 and variance 1 over the valid frames of a batch; in evaluation, over the training's.

    Args:
        dim: D.
        per_clip: subtract the mean of each clip before, which removes its level and its microphone's response.
    """

    def __init__(self, dim: int, per_clip: bool) -> None:
        super().__init__()
        self.per_clip = per_clip
        self.norm = nn.BatchNorm1d(dim, momentum=MOMENTUM, affine=False)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Normalise (B, T, D) frames; 0 on padding."""
        valid = valid_mask(lengths, frames.shape[1])
        if self.per_clip:
            sums = frames.masked_fill(~valid[:, :, None], 0.0).sum(1, keepdim=True)
            frames = frames - sums / lengths.clamp(min=1)[:, None, None]
        normalized = torch.zeros_like(frames)
        chosen = frames[valid]
        # A single frame has no variance to train on.
        normalized[valid] = self.norm(chosen) if len(chosen) > 1 or not self.training else chosen * 0.0
        return normalized


def span_mask(lengths: Tensor, size: int, count: int, longest: int) -> Tensor:
    """Draw spans that a network must not see, (B, T) True inside; from torch's global generator.

    Args:
        lengths: (B,) frames of the clips.
        size: T.
        count: number of spans of each clip.
        longest: frames of the longest; each is drawn from 0 to this, and at most half a clip.
    """
    index = torch.arange(size, device=lengths.device)[None, :]
    hidden = torch.zeros(len(lengths), size, dtype=torch.bool, device=lengths.device)
    for _ in range(count):
        width = torch.rand(len(lengths), device=lengths.device) * (longest + 1)
        width = torch.minimum(width.floor(), lengths / 2).floor()
        start = (torch.rand(len(lengths), device=lengths.device) * (lengths - width + 1)).floor()
        hidden |= (index >= start[:, None]) & (index < (start + width)[:, None])
    return hidden
