"""`WhisperEncoder`: the encoder of Whisper, from the waveform to contextual frames, used as `SpeechEncoder` is.

Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.2: a log-mel spectrogram,
two convolutions, sinusoidal positions, a transformer with the norm before each part. Whisper was trained on windows
padded to 30 s with silence; here a clip has as many positions as it is long, padding is masked in the attention, and a
clip gives the same alone and in any padded batch. What follows a clip counts as silence, as in those windows.

Shapes: B batch, S samples at 16 kHz, M mel bands, F spectral frames (100 Hz), T frames (50 Hz), D width.
"""

import functools
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from ..file_errors import FileError
from .padding import strided_lengths, valid_mask
from .speech_encoder import EncoderOutput, ScaleGradient, given_lengths
from .transformer import TransformerConfig, TransformerLayer

SAMPLE_RATE_HZ = 16_000
MAX_FRAMES = 1500  # 30 s, as many as there are positions
_WINDOW, _HOP = 400, 160  # of the spectrum, samples
_HOP_SAMPLES = 2 * _HOP  # the second convolution has stride 2
# Values are kept within 8 (80 dB) of the loudest of the clip, then brought to about -1 to 1; as in openai-whisper.
_RANGE, _SHIFT, _SCALE = 8.0, 4.0, 4.0
_LEAST_POWER = 1e-10


@functools.cache
def _mel_filters(num_mels: int, device: torch.device) -> Tensor:
    """Return the filters (W, M); no buffer, since a model in half precision would round them."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        _WINDOW // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, num_mels, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    return filters.to(device)


def log_mel(source: Tensor, num_frames: int, num_mels: int) -> Tensor:
    """Return the first frames (B, F, M), float32, of clips (B, S) that are 0 beyond each one's end."""
    half = _WINDOW // 2
    source = F.pad(source.float(), (0, (num_frames - 1) * _HOP + half - source.shape[1]))
    # The first frame is centred on the first sample, and sees what follows mirrored.
    source = F.pad(source[:, None], (half, 0), mode="reflect")[:, 0]
    window = torch.hann_window(_WINDOW, device=source.device)
    with torch.autocast(source.device.type, enabled=False):
        spectrum = torch.stft(source, _WINDOW, _HOP, window=window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()  # (B, W, F)
        mel = power.transpose(1, 2) @ _mel_filters(num_mels, source.device)  # (B, F, M)
    levels = mel.clamp(min=_LEAST_POWER).log10()
    levels = levels.maximum(levels.amax((1, 2), keepdim=True) - _RANGE)
    return (levels + _SHIFT) / _SCALE


class MelConvolutions(nn.Module):
    """Log-mel spectrogram and the two convolutions over it."""

    def __init__(self, num_mels: int, dim: int) -> None:
        super().__init__()
        self.num_mels = num_mels
        self.conv1 = nn.Conv1d(num_mels, dim, 3, padding=1)
        self.conv2 = nn.Conv1d(dim, dim, 3, stride=2, padding=1)

    def forward(self, source: Tensor) -> Tensor:
        """Return (B, T, D) of waveforms (B, S) that are 0 beyond each clip's end."""
        num_frames = max(1, -(-source.shape[1] // _HOP_SAMPLES))
        # Two more than are kept: the last frame that is kept sees the silence after the clip, not the zeros that pad
        # a convolution. At 30 s Whisper's own end there.
        mel = log_mel(source, min(2 * num_frames + 2, 2 * MAX_FRAMES), self.num_mels).to(self.conv1.weight)
        found = F.gelu(self.conv1(mel.transpose(1, 2)))  # (B, D, F)
        result: Tensor = F.gelu(self.conv2(found)).transpose(1, 2)[:, :num_frames]
        return result


class PositionedTransformer(nn.Module):
    """Positions, layers, norm; the state dict names layers as `TransformerEncoder` does."""

    positions: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        # Kept with the weights, not computed: published files round them to half precision.
        self.register_buffer("positions", sinusoids(MAX_FRAMES, config.encoder_embed_dim))
        self.layerdrop, self.dropout = config.encoder_layerdrop, nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.encoder_embed_dim)

    def forward(
        self, frames: Tensor, lengths: Tensor | None = None, return_hidden: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Encode (B, T, D); arguments and result as of `TransformerEncoder.forward`."""
        # A clip without a frame still needs a key, or its softmax is 0 / 0.
        keys = None if lengths is None else valid_mask(lengths.clamp(min=1), frames.shape[1])
        frames = self.dropout(frames + self.positions[: frames.shape[1]].to(frames))
        hidden = [frames]
        for layer in self.layers:
            if not (self.training and self.layerdrop > 0 and float(torch.rand(())) < self.layerdrop):
                frames = layer(frames, keys)
            hidden.append(frames)
        return self.layer_norm(frames), hidden if return_hidden else []


class WhisperEncoder(nn.Module):
    """The encoder, with the methods of `SpeechEncoder`.

    Args:
        config: keys of the transformer; positions, activation and place of the norm are Whisper's whatever they say.
        num_mels: M, 80; 128 in Whisper large-v3.
    """

    def __init__(self, config: TransformerConfig, num_mels: int) -> None:
        super().__init__()
        given = {field.name: getattr(config, field.name) for field in fields(TransformerConfig)}
        given |= {"layer_norm_first": True, "activation_fn": "gelu", "relative_position_embedding": False}
        self.out_dim = config.encoder_embed_dim
        self.feature_grad_mult = float(getattr(config, "feature_grad_mult", 1.0))
        self.feature_extractor = MelConvolutions(num_mels, self.out_dim)
        self.layer_norm = nn.Identity()  # where `SpeechEncoder` has one
        # Whisper has no masks; zeros are what SpecAugment puts there.
        self.mask_emb = nn.Parameter(torch.zeros(self.out_dim))
        self.encoder = PositionedTransformer(TransformerConfig(**given))

    @property
    def hop_samples(self) -> int:
        """Return the number of samples from one frame to the next."""
        return _HOP_SAMPLES

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """Return kernel, stride and padding of what makes frames of samples: the spectrum and the convolutions."""
        return [(_WINDOW, _HOP, _WINDOW // 2), (3, 1, 1), (3, 2, 1)]

    def frame_lengths(self, num_samples: Tensor) -> Tensor:
        """Return the numbers of frames (B,) that cover clips of (B,) samples."""
        return strided_lengths(num_samples, _HOP_SAMPLES)

    def conv_frames(self, source: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run spectrum and convolutions; arguments and result as of `SpeechEncoder.conv_frames`.

        Raises:
            FileError: the batch is longer than 30 s.
        """
        if source.shape[1] > MAX_FRAMES * _HOP_SAMPLES:
            raise FileError(
                f"Whisper's encoder has positions for {MAX_FRAMES * _HOP_SAMPLES / SAMPLE_RATE_HZ:g} s, found "
                f"{source.shape[1] / SAMPLE_RATE_HZ:.2f} s; set task.max_duration_s, or cut the recording"
            )
        lengths = None
        if padding_mask is not None and (padding_mask.is_cuda or bool(padding_mask.any())):
            lengths = self.frame_lengths((~padding_mask).sum(1))
            source = source.masked_fill(padding_mask, 0.0)
        elif source.shape[1] == 0:
            lengths = torch.zeros(len(source), dtype=torch.long, device=source.device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.feature_grad_mult > 0):
            frames = self.feature_extractor(source)
        if frames.requires_grad and self.feature_grad_mult != 1.0:
            frames = ScaleGradient.apply(frames, self.feature_grad_mult)  # type: ignore[no-untyped-call]
        return frames, lengths

    def contextualize(
        self,
        features: Tensor,
        lengths: Tensor | None,
        time_mask: Tensor | None = None,
        channel_mask: Tensor | None = None,
        return_hidden: bool = False,
    ) -> EncoderOutput:
        """Mask and transform frames (B, T, D); arguments as of `SpeechEncoder.contextualize`."""
        if time_mask is not None:
            features = torch.where(time_mask[:, :, None], self.mask_emb.to(features), features)
        if channel_mask is not None:
            features = features.masked_fill(channel_mask[:, None, :], 0.0)
        encoded, hidden = self.encoder(features, lengths, return_hidden)
        return EncoderOutput(encoded, given_lengths(lengths, encoded), hidden)

    def forward(self, source: Tensor, padding_mask: Tensor | None = None, **options: Any) -> EncoderOutput:
        """Encode (B, S) waveforms; `options` as of `contextualize`."""
        frames, lengths = self.conv_frames(source, padding_mask)
        return self.contextualize(frames, lengths, **options)


def sinusoids(num_frames: int, dim: int) -> Tensor:
    """Return the positions (T, D): sines, then cosines, of wavelengths from 2 pi to 20,000 pi frames."""
    rates = torch.exp(-torch.arange(dim // 2) * (torch.log(torch.tensor(10_000.0)) / max(dim // 2 - 1, 1)))
    angles = torch.arange(num_frames)[:, None] * rates[None]
    return F.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, dim % 2))
