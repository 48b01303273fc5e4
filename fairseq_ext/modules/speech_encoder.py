"""`SpeechEncoder`: the network that wav2vec 2.0, HuBERT and WavLM share, from waveform to contextual frames.

Its state dict is the part of fairseq's `Wav2Vec2Model` that remains after pre-training, so public checkpoints load and
stock fairseq loads ours. A clip's valid frames are the same alone and in any padded batch, for the group-norm (base)
models too; stock fairseq's are not.

Shapes: B batch, S samples, T frames, C channels of the convolutions, D width of the transformer.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv_extractor import ConvExtractor
from .conv_layers import conv_lengths, hop_samples, parse_conv_layers, receptive_field
from .products import Linear
from .transformer import TransformerConfig, TransformerEncoder


@dataclass
class SpeechEncoderConfig(TransformerConfig):
    """Keys of the encoder, named as in fairseq's `Wav2Vec2Config`; the defaults are wav2vec 2.0 base."""

    extractor_mode: str = field(
        default="default",
        metadata={"help": "default = group norm after the first convolution; layer_norm = after each"},
    )
    conv_feature_layers: str = field(
        default="[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
        metadata={"help": "(channels, kernel, stride) of each convolution, as a Python list"},
    )
    conv_bias: bool = field(default=False, metadata={"help": "whether the convolutions have a bias"})
    extractor_init: str = field(
        default="random",
        metadata={"help": "gabor = the first convolution starts as a filterbank on the mel scale; random"},
    )
    dropout_input: float = field(
        default=0.0, metadata={"help": "dropout of the transformer's input; a probability"}
    )
    dropout_features: float = field(
        default=0.0, metadata={"help": "dropout of the quantiser's input; a probability"}
    )
    feature_grad_mult: float = field(
        default=1.0, metadata={"help": "scales the gradient of the convolutions; 0 = they are frozen"}
    )


@dataclass
class EncoderOutput:
    """The output of the encoder for a batch.

    Attributes:
        frames: (B, T, D).
        lengths: (B,), valid frames.
        hidden: (B, T, D) each: input of the first layer (positions and norm applied), then each layer's output; empty
            without `return_hidden`.
    """

    frames: Tensor
    lengths: Tensor
    hidden: list[Tensor]


class SpeechEncoder(nn.Module):
    """Convolutions, projection, masks, transformer."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        layers = parse_conv_layers(config.conv_feature_layers)
        self.conv_dim, self.out_dim = layers[-1][0], config.encoder_embed_dim
        self.feature_grad_mult = config.feature_grad_mult
        self.feature_extractor = ConvExtractor(
            layers, config.extractor_mode, config.conv_bias, config.extractor_init
        )
        self.layer_norm = nn.LayerNorm(self.conv_dim)
        self.post_extract_proj = (
            Linear(self.conv_dim, self.out_dim) if self.conv_dim != self.out_dim else None
        )
        self.dropout_input = nn.Dropout(config.dropout_input)
        self.mask_emb = nn.Parameter(torch.rand(self.out_dim))
        self.encoder = TransformerEncoder(config)

    @property
    def hop_samples(self) -> int:
        """Return the number of samples from one frame to the next."""
        return hop_samples(self.feature_extractor.layers)

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """Return kernel, stride and padding of each convolution."""
        return [(kernel, stride, 0) for _, kernel, stride in self.feature_extractor.layers]

    def frame_lengths(self, num_samples: Tensor) -> Tensor:
        """Return the numbers of frames (B,) of clips of (B,) samples, 0 for a clip that is too short for one."""
        return conv_lengths(num_samples, self.feature_extractor.layers)

    def conv_frames(self, source: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run the convolutions.

        Args:
            source: (B, S) waveforms.
            padding_mask: (B, S) bool, True = padding at the end; None = no padding. A mask on a GPU is taken to hold
                padding, since reading it would wait for the GPU: pass None when there is none.

        Returns:
            (B, T, C), before the norm, and (B,) valid frames; None = all.
        """
        if padding_mask is not None and not padding_mask.is_cuda and not padding_mask.any():
            padding_mask = None
        lengths = None if padding_mask is None else (~padding_mask).sum(1)
        missing = receptive_field(self.feature_extractor.layers) - source.shape[1]
        if missing > 0:  # too short for a frame: pad to one, which no length counts
            lengths = source.new_full((len(source),), source.shape[1], dtype=torch.long)
            source = F.pad(source, (0, missing))
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.feature_grad_mult > 0):
            frames = self.feature_extractor(source, lengths)  # (B, T, C)
        if frames.requires_grad and self.feature_grad_mult != 1.0:
            frames = ScaleGradient.apply(frames, self.feature_grad_mult)  # type: ignore[no-untyped-call]
        return frames, None if lengths is None else self.frame_lengths(lengths)

    def features(self, source: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Extract what enters the projection and the quantiser: (B, T, C) normalised frames and (B,) valid ones."""
        frames, lengths = self.conv_frames(source, padding_mask)
        return self.layer_norm(frames), given_lengths(lengths, frames)

    def contextualize(
        self,
        features: Tensor,
        lengths: Tensor | None,
        time_mask: Tensor | None = None,
        channel_mask: Tensor | None = None,
        return_hidden: bool = False,
    ) -> EncoderOutput:
        """Project, mask and transform normalised frames.

        Args:
            features: (B, T, C).
            lengths: (B,), valid frames; None = all, which is faster.
            time_mask: (B, T) bool, True = replaced by the mask embedding; None = none.
            channel_mask: (B, D) bool, True = set to zero in all frames; None = none.
            return_hidden: keep what lies between the layers.
        """
        frames = features if self.post_extract_proj is None else self.post_extract_proj(features)
        frames = self.dropout_input(frames)  # (B, T, D)
        if time_mask is not None:
            frames = torch.where(time_mask[:, :, None], self.mask_emb, frames)
        if channel_mask is not None:
            frames = frames.masked_fill(channel_mask[:, None, :], 0.0)
        encoded, hidden = self.encoder(frames, lengths, return_hidden)
        return EncoderOutput(encoded, given_lengths(lengths, encoded), hidden)

    def forward(
        self,
        source: Tensor,
        padding_mask: Tensor | None = None,
        time_mask: Tensor | None = None,
        channel_mask: Tensor | None = None,
        return_hidden: bool = False,
    ) -> EncoderOutput:
        """Encode (B, S) waveforms; frames beyond a clip's length mean nothing.

        `padding_mask` as for `conv_frames`, the rest as for `contextualize`.
        """
        frames, lengths = self.conv_frames(source, padding_mask)
        return self.contextualize(self.layer_norm(frames), lengths, time_mask, channel_mask, return_hidden)


def given_lengths(lengths: Tensor | None, frames: Tensor) -> Tensor:
    """Return the numbers of valid frames (B,) of (B, T, D), where None stands for all."""
    if lengths is not None:
        return lengths
    return torch.full((len(frames),), frames.shape[1], dtype=torch.long, device=frames.device)


class ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is scaled."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, frames: Tensor, scale: float) -> Tensor:
        """Return the frames unchanged."""
        ctx.scale = scale  # type: ignore[attr-defined]
        return frames.view_as(frames)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        """Scale the gradient."""
        return gradient * ctx.scale, None  # type: ignore[attr-defined]
