"""Waveform augmentation: distortions of one waveform, each with a probability and a range.

The caller passes a generator seeded from (seed, epoch, index), so an utterance's distortion in an epoch never
depends on the order in which workers read. All distortions take and return a float tensor of shape (S,) on
the CPU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

# Window of the phase vocoder: long enough for two periods of a low voice (80 Hz), with 4-fold overlap.
VOCODER_WINDOW_S = 0.032
VOCODER_OVERLAP = 4


@dataclass
class WaveformAugmentConfig:
    """Settings of the distortions. Each acts with its probability; the default of all is 0 = off."""

    speed_prob: float = field(
        default=0.0, metadata={"help": "probability of resampling (pitch and duration change)"}
    )
    speed_range: float = field(default=0.1, metadata={"help": "speed drawn from 1 - x to 1 + x; a ratio"})
    pitch_prob: float = field(
        default=0.0, metadata={"help": "probability of a pitch shift (duration is kept)"}
    )
    pitch_semitones: float = field(default=2.0, metadata={"help": "shift drawn from -x to +x, semitones"})
    stretch_prob: float = field(
        default=0.0, metadata={"help": "probability of a time stretch (pitch is kept)"}
    )
    stretch_range: float = field(default=0.1, metadata={"help": "duration scaled by 1 - x to 1 + x; a ratio"})
    equalizer_prob: float = field(default=0.0, metadata={"help": "probability of a random smooth equaliser"})
    equalizer_db: float = field(
        default=6.0, metadata={"help": "gains of the equaliser drawn from -x to +x, dB"}
    )
    reverb_prob: float = field(default=0.0, metadata={"help": "probability of a random reverberation"})
    reverb_time_s: float = field(
        default=0.3, metadata={"help": "longest reverberation time (decay by 60 dB), s"}
    )
    noise_prob: float = field(default=0.0, metadata={"help": "probability of added Gaussian noise (jitter)"})
    noise_snr_low_db: float = field(default=10.0, metadata={"help": "worst signal-to-noise ratio, dB"})
    noise_snr_high_db: float = field(default=40.0, metadata={"help": "best signal-to-noise ratio, dB"})
    shift_prob: float = field(
        default=0.0, metadata={"help": "probability of a time shift (silence moves in)"}
    )
    shift_s: float = field(default=0.1, metadata={"help": "shift drawn from -x to +x, s"})
    gain_prob: float = field(default=0.0, metadata={"help": "probability of a change of level (scaling)"})
    gain_db: float = field(default=6.0, metadata={"help": "gain drawn from -x to +x, dB"})


class WaveformAugment:
    """A chain of the distortions that are switched on, in the order in which they affect a real recording.

    First the voice (speed, pitch, stretch), then the room and the microphone (equaliser, reverberation,
    noise), then the recording (shift, gain).

    Raises:
        ValueError: for a probability outside 0 to 1, or an invalid range.
    """

    def __init__(self, config: WaveformAugmentConfig) -> None:
        _check(config)
        self.config = config

    @property
    def is_identity(self) -> bool:
        """Whether no distortion is switched on."""
        return not any(value for name, value in vars(self.config).items() if name.endswith("_prob"))

    def __call__(self, waveform: Tensor, sample_rate_hz: int, generator: Generator) -> Tensor:
        """Distort one waveform (S,); its length changes with a change of speed or a stretch.

        Args:
            waveform: (S,) float.
            sample_rate_hz: sample rate of the waveform, Hz.
            generator: source of all randomness; the same state gives the same result.

        Raises:
            ValueError: for a waveform that is not a vector.
        """
        if waveform.ndim != 1:
            raise ValueError(
                f"waveform augmentation: expected shape (S,), found {tuple(waveform.shape)}; take one channel"
            )
        for probability, distort in self._steps(sample_rate_hz, generator):
            if (
                probability > 0
                and float(torch.rand((), generator=generator)) < probability
                and len(waveform) > 1
            ):
                waveform = distort(waveform)
        return waveform

    def _steps(self, rate_hz: int, g: Generator) -> list[tuple[float, Callable[[Tensor], Tensor]]]:
        cfg = self.config
        return [
            (cfg.speed_prob, lambda x: change_speed(x, 1.0 + _symmetric(cfg.speed_range, g))),
            (cfg.pitch_prob, lambda x: shift_pitch(x, _symmetric(cfg.pitch_semitones, g), rate_hz)),
            (cfg.stretch_prob, lambda x: stretch(x, 1.0 + _symmetric(cfg.stretch_range, g), rate_hz)),
            (cfg.equalizer_prob, lambda x: equalize(x, cfg.equalizer_db, g)),
            (cfg.reverb_prob, lambda x: reverberate(x, cfg.reverb_time_s, rate_hz, g)),
            (
                cfg.noise_prob,
                lambda x: add_noise(x, _between(cfg.noise_snr_low_db, cfg.noise_snr_high_db, g), g),
            ),
            (cfg.shift_prob, lambda x: shift_time(x, round(_symmetric(cfg.shift_s, g) * rate_hz))),
            (cfg.gain_prob, lambda x: x * 10.0 ** (_symmetric(cfg.gain_db, g) / 20.0)),
        ]


def change_speed(waveform: Tensor, speed: float) -> Tensor:
    """Speed up or slow down by resampling: pitch, formants and duration change together, to round(S / speed) samples.

    Band-limited, by cutting or padding the spectrum; what would fold back is removed.
    """
    num_out = max(1, round(len(waveform) / speed))
    # Silence at the end keeps the clip's end from leaking into its start: the transform is circular.
    size = _fast_size(len(waveform) + 64)
    size_out = max(2, round(size * num_out / len(waveform)))
    spectrum = torch.fft.rfft(waveform, n=size)
    resampled: Tensor = torch.fft.irfft(spectrum, n=size_out)[:num_out] * (size_out / size)
    return resampled


def stretch(waveform: Tensor, factor: float, sample_rate_hz: int) -> Tensor:
    """Change the duration to round(S * factor) samples and keep pitch and formants.

    A phase vocoder (Flanagan & Golden 1966; Dolson 1986).
    """
    window, hop = _vocoder_sizes(sample_rate_hz)
    taper = torch.hann_window(window)
    spectrum = torch.stft(
        waveform, window, hop, window=taper, pad_mode="constant", return_complex=True
    )  # (K, T)
    size = max(1, round(len(waveform) * factor))
    num_frames = 1 + size // hop
    position = (torch.arange(num_frames) / factor).clamp(max=spectrum.shape[1] - 1)
    low = position.long()
    high = (low + 1).clamp(max=spectrum.shape[1] - 1)
    share = position - low
    magnitude = spectrum.abs()
    magnitude = magnitude[:, low] * (1 - share) + magnitude[:, high] * share
    # Phase: each output step advances as the input does over one hop at that place; a frame's own advance is not yet
    # part of its phase.
    advance = torch.angle(spectrum[:, high] * spectrum[:, low].conj())
    phase = torch.angle(spectrum[:, :1]) + torch.cumsum(advance, dim=1) - advance
    return torch.istft(torch.polar(magnitude, phase), window, hop, window=taper, length=size)


def shift_pitch(waveform: Tensor, semitones: float, sample_rate_hz: int) -> Tensor:
    """Raise (semitones above 0) or lower the voice, formants included, and keep the duration."""
    ratio = 2.0 ** (semitones / 12.0)
    shifted = change_speed(stretch(waveform, ratio, sample_rate_hz), ratio)
    return _fit(shifted, len(waveform))


def equalize(waveform: Tensor, range_db: float, generator: Generator, num_points: int = 6) -> Tensor:
    """Apply a random smooth gain over frequency, as another microphone or mouth position would.

    Args:
        waveform: (S,).
        range_db: gains at the curve's support points are drawn from -x to +x, dB.
        generator: source of the randomness.
        num_points: support points, evenly spaced from 0 Hz to half the sample rate, joined by lines in dB.
    """
    # Silence at the end, into which the filter's response dies out: the transform is circular.
    size = _fast_size(len(waveform) + 256)
    points_db = (2.0 * torch.rand(1, 1, num_points, generator=generator) - 1.0) * range_db
    gain_db = torch.nn.functional.interpolate(
        points_db, size=size // 2 + 1, mode="linear", align_corners=True
    )
    spectrum = torch.fft.rfft(waveform, n=size) * 10.0 ** (gain_db[0, 0] / 20.0)
    filtered: Tensor = torch.fft.irfft(spectrum, n=size)[: len(waveform)]
    return filtered


def reverberate(waveform: Tensor, longest_s: float, sample_rate_hz: int, generator: Generator) -> Tensor:
    """Add a room: the direct sound, then exponentially decaying noise (Polack 1988).

    The time of decay by 60 dB is drawn from a fifth of `longest_s` to all of it.
    """
    decay_s = _between(0.2 * longest_s, longest_s, generator)
    num_taps = max(2, round(decay_s * sample_rate_hz))
    envelope = 10.0 ** (-3.0 * torch.arange(num_taps) / num_taps)  # 60 dB are a factor of 1000 in amplitude
    response = torch.randn(num_taps, generator=generator) * envelope
    # Late energy -20 to -5 dB of the direct sound: from a dry booth to an office.
    late_db = _between(-20.0, -5.0, generator)
    response = response * (10.0 ** (late_db / 20.0) / response.norm().clamp(min=1e-9))
    response[0] = 1.0
    size = _fast_size(len(waveform) + num_taps)
    spectrum = torch.fft.rfft(waveform, n=size) * torch.fft.rfft(response, n=size)
    filtered: Tensor = torch.fft.irfft(spectrum, n=size)[: len(waveform)]
    return filtered


def add_noise(waveform: Tensor, snr_db: float, generator: Generator) -> Tensor:
    """Add white Gaussian noise at a ratio of the powers in dB; digital silence stays silent."""
    level = waveform.square().mean().sqrt() * 10.0 ** (-snr_db / 20.0)
    noisy: Tensor = waveform + torch.randn(len(waveform), generator=generator) * level
    return noisy


def shift_time(waveform: Tensor, num_samples: int) -> Tensor:
    """Shift the clip later (above 0) or earlier within its length; zeros are shifted in, the rest is cut off.

    By at most a quarter of the clip, so that speech remains.
    """
    limit = len(waveform) // 4
    num_samples = max(-limit, min(limit, num_samples))
    silence = waveform.new_zeros(abs(num_samples))
    if num_samples >= 0:
        return torch.cat([silence, waveform[: len(waveform) - num_samples]])
    return torch.cat([waveform[-num_samples:], silence])


def _check(config: WaveformAugmentConfig) -> None:
    for name, value in vars(config).items():
        if name.endswith("_prob") and not 0.0 <= value <= 1.0:
            raise ValueError(
                f"augment.{name}: expected a probability from 0 to 1, found {value}; change the config"
            )
        if name.endswith("_range") and not 0.0 <= value < 1.0:
            raise ValueError(f"augment.{name}: expected 0 <= x < 1, found {value}; change the config")


def _between(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _symmetric(limit: float, generator: Generator) -> float:
    return _between(-limit, limit, generator)


def _vocoder_sizes(sample_rate_hz: int) -> tuple[int, int]:
    window = 2 ** round(math.log2(VOCODER_WINDOW_S * sample_rate_hz))
    return window, window // VOCODER_OVERLAP


def _fast_size(minimum: int) -> int:
    """Return the next size that is fast to transform: a multiple of 256."""
    return -(-minimum // 256) * 256


def _fit(waveform: Tensor, num_samples: int) -> Tensor:
    return torch.nn.functional.pad(waveform, (0, max(0, num_samples - len(waveform))))[:num_samples]
