"""From padded waveforms to normalised log-mel features, with SpecAugment-like distortions in training.

What helps with unseen speakers (measured on spoken digits): the range is cut below the clip's own
peak, so that a recording's noise floor does not become a feature; quiet ends are trimmed; one scalar mean per
clip is subtracted, which removes the level and keeps the spectral shape.

All randomness comes from torch's global generator, which fairseq seeds at each update, so that a resumed run
draws the same.
Shapes: B batch, S samples, T frames, F mel bands.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .padding import valid_mask
from .spectral import MelSpectrogram, power_to_db

NORMALIZATIONS = ("none", "clip", "clip_std", "band", "band_std")
# Features are in units of 10 dB, so that they are of order 1 for the first layer.
DB_PER_UNIT = 10.0
# Vocal tract factors are drawn from a grid, so that the filter banks are built once; over +-16%, 1% apart.
NUM_WARPS = 33
# Batches come in few sizes: convolutions are prepared anew for every size, which costs time and memory.
FRAME_MULTIPLE = 8


@dataclass
class FrontEndConfig:
    """Keys of the front-end; model configs inherit them. Distortions act in training only; 0 = off."""

    n_mels: int = field(default=40, metadata={"help": "number of mel bands"})
    window_ms: float = field(default=25.0, metadata={"help": "length of the analysis window, ms"})
    hop_ms: float = field(default=10.0, metadata={"help": "step between frames, ms"})
    f_min_hz: float = field(default=60.0, metadata={"help": "lower edge of the lowest mel band, Hz"})
    f_max_hz: float = field(
        default=0.0, metadata={"help": "upper edge of the highest mel band, Hz; 0 = Nyquist"}
    )
    floor_db: float = field(
        default=35.0, metadata={"help": "dynamic range kept below the clip's loudest band, dB; 0 = all"}
    )
    trim_db: float = field(
        default=30.0,
        metadata={"help": "frames at the ends this far below the clip's loudest are cut, dB; 0 = none"},
    )
    normalize: str = field(
        default="clip",
        metadata={
            "help": "none; clip = subtract one mean per clip; band = one mean per band; *_std = divide too"
        },
    )
    delta: bool = field(
        default=False, metadata={"help": "append the change over time of each band (F becomes 2 F)"}
    )
    vtlp: float = field(
        default=0.0,
        metadata={"help": "vocal tract length drawn from 1 - x to 1 + x (Jaitly & Hinton 2013); a ratio"},
    )
    stretch: float = field(
        default=0.0, metadata={"help": "duration scaled by 1 - x to 1 + x without pitch; a ratio"}
    )
    time_warp: float = field(
        default=0.0,
        metadata={"help": "the clip's middle is moved by up to this share of its length; a ratio"},
    )
    trim_jitter_db: float = field(default=0.0, metadata={"help": "trimming level moved by up to +- this, dB"})
    eq_db: float = field(
        default=0.0, metadata={"help": "random smooth equaliser: standard deviation of its gains, dB"}
    )
    noise_snr_db: float = field(
        default=0.0, metadata={"help": "noise in the spectrum at this SNR or up to 30 dB better, dB; 0 = off"}
    )
    time_masks: int = field(
        default=0, metadata={"help": "number of time masks (SpecAugment, Park et al. 2019)"}
    )
    time_mask_share: float = field(
        default=0.15, metadata={"help": "largest width of a time mask, share of the clip"}
    )
    frequency_masks: int = field(default=0, metadata={"help": "number of frequency masks (SpecAugment)"})
    frequency_mask_bands: int = field(
        default=6, metadata={"help": "largest width of a frequency mask, mel bands"}
    )


class FrontEnd(nn.Module):
    """Normalised log-mel features of a padded batch.

    Args:
        config: see `FrontEndConfig`.
        sample_rate_hz: sample rate of the waveforms, Hz.

    Raises:
        ValueError: an unknown normalisation, or sizes that cannot work.
    """

    def __init__(self, config: FrontEndConfig, sample_rate_hz: int) -> None:
        super().__init__()
        if config.normalize not in NORMALIZATIONS:
            raise ValueError(
                f"normalize: one of {', '.join(NORMALIZATIONS)} expected, found {config.normalize!r}; change it"
            )
        self.config = config
        self.mel = MelSpectrogram(
            sample_rate_hz, config.n_mels, config.window_ms, config.hop_ms, config.f_min_hz, config.f_max_hz
        )
        if config.vtlp > 0:
            grid = torch.linspace(1.0 - config.vtlp, 1.0 + config.vtlp, NUM_WARPS)
            self.register_buffer(
                "warped_banks", self.mel.warped_filters(grid), persistent=False
            )  # (33, K, F)
        self.num_features = config.n_mels * (2 if config.delta else 1)

    def forward(
        self, waveform: Tensor, padding_mask: Tensor | None = None, warp: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the features; distorted in training mode, the same at every call otherwise.

        Args:
            waveform: (B, S) float.
            padding_mask: (B, S) bool, True = padding; None = no padding.
            warp: (B,) vocal tract factors to apply; None = none (in training: drawn when `vtlp` is on).

        Returns:
            (B, T, F) features in units of 10 dB, 0 beyond each clip's end, and (B,) the numbers of frames.
        """
        cfg = self.config
        power, lengths = self.mel(waveform, padding_mask, self._filters(waveform, warp))
        if self.training:
            power = self._distort_power(power, lengths)
        start, lengths = self._trim(power, lengths)
        positions, lengths = self._positions(start, lengths)
        features = gather_frames(self._level(power), positions)
        features = self._normalize(features, lengths)
        if self.training:
            features = self._mask(features, lengths)
        if cfg.delta:
            features = torch.cat([features, time_difference(features, lengths)], dim=2)
        return features * valid_mask(lengths, features.shape[1])[:, :, None], lengths

    def _filters(self, waveform: Tensor, warp: Tensor | None) -> Tensor | None:
        """Return each clip's filter bank (B, K, F); None = the plain one for all."""
        if warp is not None:
            return self.mel.warped_filters(warp)
        if not (self.training and self.config.vtlp > 0):
            return None
        index = torch.randint(NUM_WARPS, (waveform.shape[0],), device=waveform.device)
        return self.get_buffer("warped_banks")[index]

    def _distort_power(self, power: Tensor, lengths: Tensor) -> Tensor:
        """Add noise and equalise power; the floor and the trimming come after, as with a real room."""
        cfg = self.config
        if cfg.noise_snr_db > 0:
            power = add_noise(power, lengths, cfg.noise_snr_db, cfg.noise_snr_db + 30.0)
        if cfg.eq_db > 0:
            power = power * 10.0 ** (random_curve(power, cfg.eq_db) / 10.0)
        return power

    def _trim(self, power: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) the first frame kept and (B,) the number kept."""
        cfg = self.config
        if cfg.trim_db <= 0:
            return torch.zeros_like(lengths), lengths
        trim_db = torch.full_like(power[:, :1, 0], cfg.trim_db)
        if self.training and cfg.trim_jitter_db > 0:
            trim_db = (
                trim_db + _uniform(power, power.shape[0], -cfg.trim_jitter_db, cfg.trim_jitter_db)[:, None]
            )
        energy = power.sum(2)  # (B, T)
        loud = energy >= energy.amax(1, keepdim=True) * 10.0 ** (-trim_db / 10.0)
        loud = loud & valid_mask(lengths, power.shape[1])
        first = loud.to(torch.uint8).argmax(1)  # torch has no argmax of booleans
        last = power.shape[1] - 1 - loud.flip(1).to(torch.uint8).argmax(1)
        return first, torch.where(lengths > 0, last - first + 1, lengths)

    def _positions(self, start: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T') where each output frame reads, in input frames, and (B,) the new lengths."""
        cfg = self.config
        new_lengths = lengths
        if self.training and cfg.stretch > 0:
            rate = _uniform(lengths, len(lengths), 1.0 - cfg.stretch, 1.0 + cfg.stretch)
            new_lengths = torch.where(lengths > 0, (lengths * rate).round().long().clamp(min=1), lengths)
        size = -(-int(new_lengths.max().clamp(min=1)) // FRAME_MULTIPLE) * FRAME_MULTIPLE
        share = torch.arange(size, device=lengths.device)[None, :] / (new_lengths - 1).clamp(min=1)[:, None]
        if self.training and cfg.time_warp > 0:
            share = bend(share, _uniform(lengths, len(lengths), -cfg.time_warp, cfg.time_warp))
        positions = start[:, None] + share * (lengths - 1).clamp(min=0)[:, None]
        return positions, new_lengths

    def _level(self, power: Tensor) -> Tensor:
        """Return the level in units of 10 dB, cut `floor_db` below the clip's loudest band."""
        level = power_to_db(power)
        if self.config.floor_db > 0:
            level = torch.maximum(level, level.amax((1, 2), keepdim=True) - self.config.floor_db)
        return level / DB_PER_UNIT

    def _normalize(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Subtract the mean and divide by the deviation over the valid frames, as `normalize` says."""
        method = self.config.normalize
        if method == "none":
            return features
        valid = valid_mask(lengths, features.shape[1])[:, :, None].to(features.dtype)
        dims = (1,) if method.startswith("band") else (1, 2)
        count = (valid.sum((1, 2)) * (1 if method.startswith("band") else features.shape[2])).clamp(min=1)[
            :, None, None
        ]
        centred = (features - (features * valid).sum(dims, keepdim=True) / count) * valid
        if method.endswith("_std"):
            # The constant is the square of 0.3 dB: it keeps a constant band from 0 / 0, and matters little elsewhere.
            centred = centred / ((centred.square().sum(dims, keepdim=True) / count) + 1e-3).sqrt()
        return centred

    def _mask(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Apply SpecAugment's masks (Park et al. 2019, section 2), filled with 0, the mean after normalisation."""
        cfg = self.config
        _, num_frames, num_bands = features.shape
        for _ in range(cfg.time_masks):
            hidden = _random_span(lengths, num_frames, lengths * cfg.time_mask_share)
            features = features.masked_fill(hidden[:, :, None], 0.0)
        for _ in range(cfg.frequency_masks):
            bands = torch.full_like(lengths, num_bands)
            hidden = _random_span(bands, num_bands, torch.full_like(lengths, cfg.frequency_mask_bands))
            features = features.masked_fill(hidden[:, None, :], 0.0)
        return features


def gather_frames(features: Tensor, positions: Tensor) -> Tensor:
    """Read (B, T, F) features at fractional frame positions (B, T'), by linear interpolation: (B, T', F).

    Positions are clipped to 0 .. T - 1.
    """
    positions = positions.clamp(0, features.shape[1] - 1)
    low = positions.long()
    share = (positions - low)[:, :, None].to(features.dtype)
    rows = torch.arange(features.shape[0], device=features.device)[:, None]
    high = (low + 1).clamp(max=features.shape[1] - 1)
    return features[rows, low] * (1.0 - share) + features[rows, high] * share


def bend(share: Tensor, shift: Tensor) -> Tensor:
    """Move the middle of the unit interval and stretch the two halves after it (SpecAugment's time warp).

    Args:
        share: (B, T), positions as shares of the clip.
        shift: (B,), by how much the middle moves, within (-0.5, 0.5).

    Returns:
        (B, T), shares; 0 and 1 stay.
    """
    middle = 0.5 + shift[:, None]
    first = share * (middle / 0.5)
    second = middle + (share - 0.5) * ((1.0 - middle) / 0.5)
    return torch.where(share < 0.5, first, second)


def add_noise(power: Tensor, lengths: Tensor, low_snr_db: float, high_snr_db: float) -> Tensor:
    """Add the power spectrum of coloured Gaussian noise to (B, T, F) power, at a ratio drawn between the two, in dB.

    The power of Gaussian noise in a bin is exponentially distributed; the colour is a random tilt.
    """
    num_clips, _, num_bands = power.shape
    snr_db = _uniform(power, num_clips, low_snr_db, high_snr_db)
    mean = power.sum((1, 2)) / (lengths.clamp(min=1) * num_bands)
    tilt_db = _uniform(power, num_clips, -10.0, 10.0)[:, None] * torch.linspace(
        -1, 1, num_bands, device=power.device
    )
    level = (mean * 10.0 ** (-snr_db / 10.0))[:, None] * 10.0 ** (tilt_db / 10.0)  # (B, F)
    exponential = -torch.log1p(-torch.rand_like(power))  # finite: `rand` is below 1
    return power + exponential * level[:, None, :] * valid_mask(lengths, power.shape[1])[:, :, None]


def random_curve(power: Tensor, deviation_db: float, num_points: int = 5) -> Tensor:
    """Draw one smooth gain curve over the bands per clip: (B, 1, F), dB.

    Args:
        power: (B, T, F), for shape and device.
        deviation_db: standard deviation of the gain at the curve's support points, dB.
        num_points: support points, evenly spaced over the bands and joined by straight lines.
    """
    points = torch.randn(power.shape[0], 1, num_points, device=power.device) * deviation_db
    return nn.functional.interpolate(points, size=power.shape[2], mode="linear", align_corners=True)


def time_difference(features: Tensor, lengths: Tensor) -> Tensor:
    """Return half the difference between the next and the previous frame; the ends repeat their edge frame."""
    index = torch.arange(features.shape[1], device=features.device)[None, :]
    last = (lengths - 1).clamp(min=0)[:, None]
    rows = torch.arange(features.shape[0], device=features.device)[:, None]
    following = features[rows, torch.minimum(index + 1, last)]
    previous = features[rows, torch.minimum((index - 1).clamp(min=0), last)]
    return 0.5 * (following - previous)


def _uniform(like: Tensor, num: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(num, device=like.device)


def _random_span(lengths: Tensor, size: int, widest: Tensor) -> Tensor:
    """Return (B, size), True on one random span per row, at most `widest` long, inside the row's length."""
    width = torch.rand(len(lengths), device=lengths.device) * (widest + 1)
    width = torch.minimum(width.floor(), lengths)
    start = (torch.rand(len(lengths), device=lengths.device) * (lengths - width + 1)).floor()
    index = torch.arange(size, device=lengths.device)[None, :]
    return (index >= start[:, None]) & (index < (start + width)[:, None])
