"""`ext_wav2vec2`: wav2vec 2.0 pre-training.

Baevski et al. 2020, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations". The state dict
is that of fairseq's `Wav2Vec2Model` with quantised targets: public pre-training checkpoints load, and stock fairseq
loads ours. What is random beside dropout (masks, noise of the quantiser, negatives) follows from the clips' seeds, so
that a batch gives the same on any rank and after resuming.

Shapes: B clips, S samples, T frames, C channels of the convolutions, D width of the transformer, M masked frames per
clip, P width of the projections, N negatives per frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from torch import Generator, Tensor, nn

from ..modules.contrast import contrastive_logits, draw_negatives
from ..modules.masking import channel_masks, equalize_mask_counts, masks_at, time_masks
from ..modules.padding import mean_square
from ..modules.quantizer import GumbelQuantizer
from ..modules.speech_encoder import SpeechEncoder, SpeechEncoderConfig

# fairseq, too, draws at least two spans per clip.
MIN_MASKS = 2


@dataclass
class Wav2Vec2Config(SpeechEncoderConfig, FairseqDataclass):
    """Keys of the model, named as in fairseq's `Wav2Vec2Config`; the defaults are wav2vec 2.0 base."""

    final_dim: int = field(
        default=256, metadata={"help": "P, width in which predictions and targets are compared; 0 = D"}
    )
    latent_vars: int = field(default=320, metadata={"help": "V, codes per group of the quantiser"})
    latent_groups: int = field(default=2, metadata={"help": "G, groups of the quantiser"})
    latent_dim: int = field(
        default=0, metadata={"help": "width of the quantised frames; 0 = that of the comparison"}
    )
    latent_temp: tuple[float, float, float] = field(
        default=(2.0, 0.5, 0.999995),
        metadata={"help": "temperature of the quantiser: at the start, at the end, factor per update"},
    )
    logit_temp: float = field(default=0.1, metadata={"help": "temperature that divides the cosines"})
    num_negatives: int = field(default=100, metadata={"help": "negatives per frame from the same clip"})
    cross_sample_negatives: int = field(
        default=0, metadata={"help": "negatives per frame from all clips of the batch"}
    )
    mask_prob: float = field(
        default=0.65,
        metadata={"help": "share of frames under a mask if no masks overlapped; 0.65 masks about 0.48"},
    )
    mask_length: int = field(default=10, metadata={"help": "length of a mask, frames"})
    mask_channel_prob: float = field(
        default=0.0, metadata={"help": "share of channels under a mask if no masks overlapped; 0 = off"}
    )
    mask_channel_length: int = field(default=10, metadata={"help": "width of a channel mask, channels"})


@dataclass(frozen=True)
class ClipMasks:
    """The masks of a batch."""

    positions: Tensor  # (B, M), masked frames, rising
    time: Tensor  # (B, T) bool, the same as a mask
    channels: Tensor | None  # (B, D) bool, or None


@register_model("ext_wav2vec2", dataclass=Wav2Vec2Config)
class ExtWav2Vec2(SpeechEncoder, BaseFairseqModel):
    """The encoder, with what pre-training adds: quantiser and two projections."""

    # Mask counts and negatives depend on the whole batch: only `encode` gives the same for a clip alone.
    forward_mixes_clips = True

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        self.config = config
        final_dim = config.final_dim or config.encoder_embed_dim
        quantized_dim = config.latent_dim or final_dim
        self.dropout_features = nn.Dropout(config.dropout_features)
        start, end, factor = config.latent_temp
        self.quantizer = GumbelQuantizer(
            self.conv_dim, config.latent_vars, config.latent_groups, quantized_dim, (start, end, factor)
        )
        self.project_q = nn.Linear(quantized_dim, final_dim)
        self.final_proj = nn.Linear(config.encoder_embed_dim, final_dim)

    @classmethod
    def build_model(cls, cfg: Wav2Vec2Config, task: Any = None) -> Self:
        """Build the model (called by fairseq)."""
        return cls(cfg)

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        """Run the encoder alone, without masks: see `SpeechEncoder.forward`."""
        return SpeechEncoder.forward(self, *args, **kwargs)

    def forward(  # type: ignore[override]
        self, source: Tensor, padding_mask: Tensor | None = None, seeds: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Predict the masked frames.

        Args:
            source: (B, S) waveforms.
            padding_mask: (B, S) bool, True = padding; None = none, which is faster. With padding the lengths are read
                from the device, and every clip has as many targets as the one with the fewest.
            seeds: seed of each clip's masks, on the host; all together give noise and negatives. None = drawn.

        Returns:
            "logits" (B, M, 1 + N), float32, the target first; "prob_perplexity", "code_perplexity",
            "features_pen", scalars; "num_vars", "num_groups" and "temp", numbers.
        """
        frames, lengths = self.conv_frames(source, padding_mask)
        clip_seeds = torch.randint(2**62, (len(source),)) if seeds is None else torch.tensor(seeds)
        masks = self.draw_masks(lengths, len(frames), frames.shape[1], clip_seeds)
        # The sum of 63-bit seeds may overflow and be negative: keep 62 bits, which any generator takes.
        generator = torch.Generator(source.device).manual_seed(int(clip_seeds.sum()) & (2**62 - 1))
        positions = masks.positions.to(source.device, non_blocking=True)
        features = self.layer_norm(frames)
        output = self.contextualize(features, lengths, masks.time, masks.channels)
        targets = self.dropout_features(_rows(features, positions))  # (B M, C)
        quantized = self.quantizer(targets, generator)
        return {
            "logits": self.contrast(
                self.final_proj(_rows(output.frames, positions)).unflatten(0, positions.shape),
                self.project_q(quantized.vectors).unflatten(0, positions.shape),
                quantized.codes.unflatten(0, positions.shape),
                generator,
            ),
            "features_pen": mean_square(frames, lengths),
            "prob_perplexity": quantized.prob_perplexity,
            "code_perplexity": quantized.code_perplexity,
            "num_vars": self.quantizer.num_vars,
            "num_groups": self.quantizer.num_groups,
            "temp": self.quantizer.temperature,
        }

    def draw_masks(self, lengths: Tensor | None, num_clips: int, num_frames: int, seeds: Tensor) -> ClipMasks:
        """Draw the masks of a batch of clips with `seeds` (B,), on the host, where their positions stay.

        `lengths` (B,) are in frames; None = all T.
        """
        config, device = self.config, self.mask_emb.device
        sizes = torch.full((num_clips,), num_frames) if lengths is None else lengths.cpu()
        masked = time_masks(
            sizes,
            config.mask_prob,
            config.mask_length,
            seeds,
            num_frames=num_frames,
            min_masks=MIN_MASKS,
        )
        positions = equalize_mask_counts(masked, seeds)
        channels = None
        if config.mask_channel_prob > 0:
            channels = channel_masks(
                config.encoder_embed_dim, config.mask_channel_prob, config.mask_channel_length, seeds
            ).to(device, non_blocking=True)
        time = masks_at(positions, num_frames).to(device, non_blocking=True)
        return ClipMasks(positions, time, channels)

    def contrast(self, predicted: Tensor, targets: Tensor, codes: Tensor, generator: Generator) -> Tensor:
        """Compare predictions with targets: (B, M, 1 + N) logits, float32, the target first.

        Args:
            predicted: (B, M, P).
            targets: (B, M, P).
            codes: (B, M, G).
            generator: random generator of the negatives, on the device.
        """
        config = self.config
        negatives = self.draw_negatives(len(codes), codes.shape[1], generator)
        # The codes of all groups as the digits of one number: equal numbers are equal targets.
        weights = self.quantizer.num_codes ** torch.arange(codes.shape[2], device=codes.device)
        return contrastive_logits(
            predicted,
            targets,
            (codes * weights).sum(2),
            negatives,
            config.logit_temp,
            from_all=config.cross_sample_negatives > 0,
        )

    def draw_negatives(self, num_clips: int, num_frames: int, generator: Generator) -> Tensor:
        """Draw the negatives of a batch, on the device; see `contrast.draw_negatives`.

        Args:
            num_clips: B.
            num_frames: M.
            generator: random generator on the device.

        Returns:
            (B, M, N).
        """
        return draw_negatives(
            num_clips,
            num_frames,
            self.config.num_negatives,
            self.config.cross_sample_negatives,
            generator=generator,
            device=self.mask_emb.device,
        )


def _rows(frames: Tensor, positions: Tensor) -> Tensor:
    """Return the frames at positions (B, M): (B M, width)."""
    # Whole rows are copied; `gather` would copy number by number.
    first = torch.arange(len(frames), device=frames.device)[:, None] * frames.shape[1]
    return frames.flatten(0, 1).index_select(0, (positions + first).flatten())
