"""Mel spectra and MFCC of padded batches.

A clip's features are the same alone and inside any batch: the waveform is taken as zero outside the clip,
so neither padding nor the lengths of other clips affect a valid frame.

Shapes: B batch, S samples, T frames, K Fourier bins, F mel bands, C cepstral coefficients.
Frames are centred: frame t of a clip covers the samples around t * hop, and a clip of S samples has
1 + S // hop frames.
"""

import math

import torch
from torch import Tensor, nn

from .padding import clip_lengths, valid_mask

# Lowest power of a band, for digital silence; -100 dB under a full-scale sine is under 16-bit noise.
MIN_POWER = 1e-10
# Jaitly & Hinton 2013, section 3: formants lie below this share of Nyquist; only they are scaled.
WARP_BOUNDARY = 0.85


def hz_to_mel(frequency_hz: Tensor) -> Tensor:
    """Map Hz to mel, 2595 log10(1 + f / 700) (O'Shaughnessy 1987, as in HTK)."""
    return 2595.0 * torch.log10(1.0 + frequency_hz / 700.0)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Map mel to Hz."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def warp_frequency(frequency_hz: Tensor, factor: Tensor, nyquist_hz: float) -> Tensor:
    """Scale frequencies as a vocal tract of another length would, keeping 0 and Nyquist in place.

    Piecewise linear, equation (1) of Jaitly & Hinton 2013, "Vocal tract length perturbation (VTLP) improves
    speech recognition".

    Args:
        frequency_hz: (N,), Hz.
        factor: (B,), 1 = unchanged, above 1 = shorter vocal tract.
        nyquist_hz: half the sample rate, Hz.

    Returns:
        (B, N), Hz.
    """
    factor = factor[:, None]
    edge = WARP_BOUNDARY * nyquist_hz * factor.clamp(max=1.0)
    slope = (nyquist_hz - edge) / (nyquist_hz - edge / factor)
    low = frequency_hz * factor
    high = nyquist_hz - slope * (nyquist_hz - frequency_hz)
    return torch.where(frequency_hz <= edge / factor, low, high)


def _triangular_filters(edges_hz: Tensor, bins_hz: Tensor) -> Tensor:
    """Return triangular filters of height 1 between consecutive edges: (..., K, F) weights.

    Args:
        edges_hz: (..., F + 2), rising, Hz.
        bins_hz: (K,), Hz.
    """
    left, centre, right = (edges_hz[..., None, i : edges_hz.shape[-1] - 2 + i] for i in range(3))
    frequency = bins_hz[:, None]  # (K, 1)
    rising = (frequency - left) / (centre - left)
    falling = (right - frequency) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0)


def frame_counts(num_samples: Tensor, hop: int) -> Tensor:
    """Return the numbers of centred frames of clips, (B,); none for a clip without samples."""
    return torch.where(num_samples > 0, 1 + num_samples // hop, torch.zeros_like(num_samples))


class MelSpectrogram(nn.Module):
    """Mel spectrogram: power in mel bands.

    Args:
        sample_rate_hz: sample rate of the waveform, Hz.
        n_mels: number of bands.
        window_ms: length of the Hann window, ms.
        hop_ms: step between frames, ms.
        f_min_hz: lower edge of the lowest band, Hz.
        f_max_hz: upper edge of the highest band, Hz; 0 = half the sample rate.

    Raises:
        ValueError: for invalid sizes, with what to change.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        n_mels: int = 40,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        f_min_hz: float = 20.0,
        f_max_hz: float = 0.0,
    ) -> None:
        super().__init__()
        self.nyquist_hz = sample_rate_hz / 2
        f_max_hz = f_max_hz or self.nyquist_hz
        if not 0 <= f_min_hz < f_max_hz <= self.nyquist_hz:
            raise ValueError(
                f"mel bands: expected 0 <= f_min_hz < f_max_hz <= {self.nyquist_hz:g} = half the rate, "
                f"found {f_min_hz:g} and {f_max_hz:g}; change f_min_hz or f_max_hz"
            )
        self.window = round(window_ms * sample_rate_hz / 1000)
        self.hop = round(hop_ms * sample_rate_hz / 1000)
        if self.window < 2 or self.hop < 1 or n_mels < 1:
            raise ValueError(
                f"mel spectrum: expected n_mels >= 1, window >= 2 and hop >= 1 samples, found {n_mels}, "
                f"{self.window} and {self.hop} at {sample_rate_hz} Hz; raise n_mels, window_ms or hop_ms"
            )
        # Twice the window: the low bands of a fine filter bank are narrower than the bins of a single window.
        self.n_fft = 2 * self.window
        mels = hz_to_mel(torch.tensor([f_min_hz, f_max_hz]))
        edges_hz = mel_to_hz(torch.linspace(float(mels[0]), float(mels[1]), n_mels + 2)).clamp(max=f_max_hz)
        bins_hz = torch.linspace(0.0, self.nyquist_hz, self.n_fft // 2 + 1)
        filters = _triangular_filters(edges_hz, bins_hz)  # (K, F)
        if bool((filters.sum(0) == 0).any()):
            raise ValueError(
                f"mel bands: {int((filters.sum(0) == 0).sum())} of {n_mels} contain no frequency bin at "
                f"{sample_rate_hz} Hz and {window_ms:g} ms; lower n_mels or raise window_ms"
            )
        # With weights that sum to 1, a sine of amplitude 1 has power 0.25 in its bin at any window length.
        window = torch.hann_window(self.window)
        self.register_buffer("hann", window / window.sum(), persistent=False)
        self.register_buffer("edges_hz", edges_hz, persistent=False)
        self.register_buffer("bins_hz", bins_hz, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(
        self, waveform: Tensor, padding_mask: Tensor | None = None, filters: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the mel power of a batch.

        Args:
            waveform: (B, S) float, full scale = 1.
            padding_mask: (B, S) bool, True = padding, at the end of each row; None = no padding.
            filters: (B, K, F) filter bank of each clip, from `warped_filters`; None = the plain one.

        Returns:
            (B, T, F) power, 0 beyond the end of each clip, and (B,) the number of frames.
        """
        num_samples, waveform = _clip_lengths(waveform, padding_mask)
        mel = self.power_spectrum(waveform) @ (
            self.get_buffer("filters") if filters is None else filters
        )  # (B, T, F)
        lengths = frame_counts(num_samples, self.hop)
        return mel * valid_mask(lengths, mel.shape[1])[:, :, None], lengths

    def power_spectrum(self, waveform: Tensor) -> Tensor:
        """Compute the short-time power spectrum of (B, S) waveforms: (B, 1 + S // hop, K)."""
        left = self.window // 2
        padded = nn.functional.pad(waveform, (left, self.window))
        frames = padded.unfold(1, self.window, self.hop)[
            :, : 1 + waveform.shape[1] // self.hop
        ]  # (B, T, window)
        spectrum = torch.fft.rfft(frames * self.get_buffer("hann"), n=self.n_fft)
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power

    def warped_filters(self, factors: Tensor) -> Tensor:
        """Return filter banks (N, K, F) for vocal tracts of other lengths; factors (N,) as for `warp_frequency`."""
        edges_hz = warp_frequency(self.get_buffer("edges_hz"), factors, self.nyquist_hz)  # (N, F + 2)
        return _triangular_filters(edges_hz, self.get_buffer("bins_hz"))


class Mfcc(nn.Module):
    """Mel-frequency cepstral coefficients: DCT-II of the log-mel spectrum in dB (Davis & Mermelstein 1980).

    Args:
        sample_rate_hz: sample rate of the waveform, Hz.
        n_mfcc: number of coefficients C, the 0th (level) included; at most n_mels.
        n_mels: number of mel bands.
        window_ms: length of the Hann window, ms.
        hop_ms: step between frames, ms.

    Raises:
        ValueError: for more coefficients than bands.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        n_mfcc: int = 13,
        n_mels: int = 40,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
    ) -> None:
        super().__init__()
        if not 1 <= n_mfcc <= n_mels:
            raise ValueError(
                f"MFCC: expected 1 <= n_mfcc <= n_mels = {n_mels}, found {n_mfcc}; change n_mfcc"
            )
        self.mel = MelSpectrogram(sample_rate_hz, n_mels, window_ms, hop_ms)
        self.register_buffer("dct", dct_matrix(n_mels, n_mfcc), persistent=False)

    def forward(self, waveform: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute the coefficients of a batch.

        Args:
            waveform: (B, S) float, full scale = 1.
            padding_mask: (B, S) bool, True = padding; None = no padding.

        Returns:
            (B, T, C) coefficients, 0 beyond the end of each clip, and (B,) the number of frames.
        """
        power, lengths = self.mel(waveform, padding_mask)
        coefficients = self.from_power(power)  # (B, T, C)
        return coefficients * valid_mask(lengths, coefficients.shape[1])[:, :, None], lengths

    def from_power(self, power: Tensor) -> Tensor:
        """Return the coefficients (..., C) of the power in mel bands (..., F)."""
        coefficients: Tensor = power_to_db(power) @ self.get_buffer("dct")
        return coefficients


def power_to_db(power: Tensor) -> Tensor:
    """Convert power to decibels, at least those of `MIN_POWER`."""
    return 10.0 * torch.log10(power.clamp(min=MIN_POWER))


def dct_matrix(n_in: int, n_out: int) -> Tensor:
    """Return the orthonormal DCT-II as a matrix (n_in, n_out), the lowest coefficients first."""
    position = (torch.arange(n_in) + 0.5) * math.pi / n_in
    matrix = torch.cos(position[:, None] * torch.arange(n_out)[None, :]) * math.sqrt(2.0 / n_in)
    matrix[:, 0] /= math.sqrt(2.0)
    return matrix


def _clip_lengths(waveform: Tensor, padding_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the length of each row in samples, and the rows with their padding set to zero."""
    if waveform.ndim != 2:
        raise ValueError(
            f"spectral features: expected a waveform (B, S), found shape {tuple(waveform.shape)}"
        )
    if padding_mask is None:
        return clip_lengths(waveform, None), waveform
    if padding_mask.shape != waveform.shape:
        raise ValueError(
            f"spectral features: expected a padding mask of shape {tuple(waveform.shape)}, found "
            f"{tuple(padding_mask.shape)}; give one value per sample, True = padding"
        )
    return clip_lengths(waveform, padding_mask), waveform.masked_fill(padding_mask, 0.0)
