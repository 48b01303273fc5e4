"""`ext_av_hubert`: masked prediction of clusters from pictures of a mouth, sound, or both.

Shi et al. 2022, "Learning audio-visual speech representation by masked multimodal cluster prediction" (AV-HuBERT);
Hsu et al. 2021, "HuBERT", section III. Masks cover fused frames (iterations 1 to 4 of the paper), or the input:
pictures are then replaced by others of the same clip, sound by silence (iteration 5). What is random beside dropout
follows from the clips' seeds. Public checkpoints load by `modules/av_hubert_keys.py`.

Shapes: B clips, T frames at 25 Hz, H W crop, A audio features of a frame, D width, P width of the comparison, K
codebooks, V clusters of a codebook.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, cast

import torch
import torch.nn.functional as F
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from omegaconf import OmegaConf
from torch import Tensor, nn

from ..modules.av_encoder_input import AvFrontEnd, AvFrontEndConfig
from ..modules.av_hubert_keys import read_av_checkpoint
from ..modules.checkpoint_file import checkpoint_weights
from ..modules.input_masks import InputMaskConfig, mask_input
from ..modules.masking import channel_masks, time_masks
from ..modules.padding import mean_square
from ..modules.products import Linear
from ..modules.speech_encoder import EncoderOutput, ScaleGradient, given_lengths
from ..modules.transformer import TransformerConfig, TransformerEncoder

logger = logging.getLogger(__name__)

MASKINGS = ("feature", "input")
# Keys that training may choose anew; all others are the network's shape.
_FREE = {
    *("dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop"),
    *("modality_dropout", "audio_dropout", "front_end_dropout"),
}


@dataclass
class AvHubertConfig(TransformerConfig, AvFrontEndConfig, InputMaskConfig, FairseqDataclass):
    """Keys of the model; the defaults are AV-HuBERT base."""

    pretrained_path: str = field(
        default="",
        metadata={
            "help": "checkpoint of this model or public AV-HuBERT that training starts from; empty = random weights"
        },
    )
    modality_dropout: float = field(
        default=0.5, metadata={"help": "probability that training leaves out a stream of a clip"}
    )
    masking_type: str = field(
        default="feature", metadata={"help": "what masks cover: feature = fused frames; input = each stream"}
    )
    mask_prob: float = field(
        default=0.8, metadata={"help": "feature: share of frames under a mask if no masks overlapped"}
    )
    mask_length: int = field(default=10, metadata={"help": "feature: length of a mask, frames"})
    mask_channel_prob: float = field(
        default=0.0, metadata={"help": "share of channels under a mask if no masks overlapped; 0 = off"}
    )
    mask_channel_length: int = field(default=64, metadata={"help": "width of a channel mask, channels"})
    final_dim: int = field(
        default=256, metadata={"help": "P, width in which frames and clusters are compared; 0 = D"}
    )
    logit_temp: float = field(default=0.1, metadata={"help": "temperature that divides the cosines"})
    untie_final_proj: bool = field(
        default=False, metadata={"help": "a projection for each codebook, where there are several"}
    )
    feature_grad_mult: float = field(
        default=1.0, metadata={"help": "scales the gradient of the front end; 0.1 = published, 0 = frozen"}
    )


SHAPE_KEYS = tuple(
    sorted(
        {item.name for kind in (TransformerConfig, AvFrontEndConfig) for item in fields(kind)} - _FREE
        | {"final_dim", "untie_final_proj"}
    )
)


class UnitTask(Protocol):
    """The attributes of a task that `build_model` reads: V of each codebook."""

    num_units: Sequence[int]


@register_model("ext_av_hubert", dataclass=AvHubertConfig)
class ExtAvHubert(BaseFairseqModel):
    """Front end, masks, transformer, and clusters to compare its frames with.

    Args:
        config: the keys.
        num_units: V of each codebook.

    Raises:
        ValueError: an unknown kind of masks, or no codebook.
    """

    # Masks follow from seeds that are drawn for the batch where none are given: only `encode` gives the same alone.
    forward_mixes_clips = True

    def __init__(self, config: AvHubertConfig, num_units: Sequence[int]) -> None:
        super().__init__()
        if config.masking_type not in MASKINGS:
            raise ValueError(
                f"model.masking_type: one of {', '.join(MASKINGS)} expected, found {config.masking_type!r}; change it"
            )
        if not num_units or min(num_units) < 1:
            raise ValueError(f"codebooks with clusters expected, found {list(num_units)}; check dict.*.txt")
        self.config, self.num_units = config, list(num_units)
        width, final = config.encoder_embed_dim, config.final_dim or config.encoder_embed_dim
        self.front_end = AvFrontEnd(config)
        self.mask_emb = nn.Parameter(torch.rand(width))
        self.encoder = TransformerEncoder(config)
        self.final_proj = Linear(width, final * (len(num_units) if config.untie_final_proj else 1))
        self.label_embs_concat = nn.Parameter(torch.rand(sum(num_units), final))
        if config.masking_type == "input":
            self.mask_emb.requires_grad_(False)  # kept, as public checkpoints hold it

    @classmethod
    def build_model(cls, cfg: AvHubertConfig, task: UnitTask) -> Self:
        """Build the model for a task (called by fairseq)."""
        if not cfg.pretrained_path:
            return cls(cfg, task.num_units)
        state = read_av_checkpoint(cfg.pretrained_path)
        shape = {key: value for key, value in state["cfg"]["model"].items() if key in SHAPE_KEYS}
        model = cls(cast(AvHubertConfig, OmegaConf.merge(cfg, shape)), task.num_units)
        model.load(checkpoint_weights(state), cfg.pretrained_path)
        return model

    def encoder_keys(self) -> dict[str, Any]:
        """Return the keys that build the network without `pretrained_path`."""
        return {key: getattr(self.config, key) for key in SHAPE_KEYS}

    def load(self, weights: Mapping[str, Tensor], path: str) -> None:
        """Load the weights of a file; clusters of another number stay at random values, which is logged.

        Args:
            weights: tensors by their names here.
            path: the file, for messages.

        Raises:
            ValueError: the weights of the encoder are not all there.
        """
        own = self.state_dict()
        of_units = ("final_proj.", "label_embs_concat")
        others = [
            name
            for name, value in own.items()
            if name.startswith(of_units) and (name not in weights or weights[name].shape != value.shape)
        ]
        given = {name: value for name, value in weights.items() if name not in others}
        missing, surplus = self.load_state_dict(given, strict=False)
        lost = sorted(set(missing) - set(others))
        if lost or surplus:
            raise ValueError(
                f"{path}: {len(lost)} tensors are missing {lost[:3]}, {len(surplus)} have no place {surplus[:3]}; the "
                "file is incomplete, or of another version"
            )
        left = f"; at random values, since the clusters are others: {', '.join(others)}" if others else ""
        logger.info(f"{path}: {len(given)} tensors loaded{left}")

    def forward(
        self,
        video: Tensor | None = None,
        audio: Tensor | None = None,
        padding_mask: Tensor | None = None,
        seeds: Tensor | None = None,
    ) -> dict[str, Any]:
        """Predict the clusters of frames, masked in validation too.

        Args:
            video: (B, 1, T, H, W); None = there is none.
            audio: (B, A, T); None = there is none.
            padding_mask: (B, T) bool, True = padding; None = none.
            seeds: (B,) int64, seeds of masks and modality dropout; None = drawn.

        Returns:
            "logits": K tensors (B, T, V); "masked": (B, T) bool; "features_pen": mean square of the fused frames.
        """
        given = video if video is not None else audio
        assert given is not None, "a batch holds video or audio"
        if seeds is None:
            seeds = torch.randint(2**62, (len(given),), device=given.device)
        num_frames = given.shape[2]
        lengths = None if padding_mask is None else (~padding_mask).sum(1)
        whole = torch.full((len(given),), num_frames, device=given.device) if lengths is None else lengths
        masked = None
        if self.config.masking_type == "input":
            video, audio, masked = mask_input(video, audio, whole, seeds, self.config)
        frames = self._fused(video, audio, padding_mask, seeds)
        penalty = mean_square(frames, lengths)
        if masked is None:
            masked = time_masks(
                whole,
                self.config.mask_prob,
                self.config.mask_length,
                seeds,
                num_frames=num_frames,
                min_masks=1,
            )
            frames = torch.where(masked[:, :, None], self.mask_emb.to(frames), frames)
        frames = self._mask_channels(frames, seeds)
        encoded, _ = self.encoder(frames, lengths)
        return {"logits": self.compare(encoded), "masked": masked, "features_pen": penalty}

    def _fused(
        self, video: Tensor | None, audio: Tensor | None, padding_mask: Tensor | None, seeds: Tensor | None
    ) -> Tensor:
        scale = self.config.feature_grad_mult
        with torch.set_grad_enabled(torch.is_grad_enabled() and scale > 0):
            frames: Tensor = self.front_end(video, audio, padding_mask, seeds)
        if frames.requires_grad and scale != 1.0:
            frames = ScaleGradient.apply(frames, scale)  # type: ignore[no-untyped-call]
        return frames

    def _mask_channels(self, frames: Tensor, seeds: Tensor) -> Tensor:
        if not self.config.mask_channel_prob:
            return frames
        masked = channel_masks(
            frames.shape[2], self.config.mask_channel_prob, self.config.mask_channel_length, seeds
        )
        return frames.masked_fill(masked[:, None, :], 0.0)

    def compare(self, encoded: Tensor) -> list[Tensor]:
        """Compare frames (B, T, D) with the clusters of each codebook: cosine / temperature, (B, T, V) each."""
        projected = self.final_proj(encoded)
        parts = (
            projected.chunk(len(self.num_units), dim=2)
            if self.config.untie_final_proj
            else [projected] * len(self.num_units)
        )
        units = self.label_embs_concat.split(self.num_units)
        return [
            F.linear(F.normalize(part.float(), dim=2), F.normalize(unit.float(), dim=1))
            / self.config.logit_temp
            for part, unit in zip(parts, units, strict=True)
        ]

    def encode(
        self,
        video: Tensor | None = None,
        audio: Tensor | None = None,
        padding_mask: Tensor | None = None,
        return_hidden: bool = False,
    ) -> EncoderOutput:
        """Encode clips without masks; arguments as for `forward`, `return_hidden` as for `TransformerEncoder`."""
        lengths = None if padding_mask is None else (~padding_mask).sum(1)
        encoded, hidden = self.encoder(self._fused(video, audio, padding_mask, None), lengths, return_hidden)
        return EncoderOutput(encoded, given_lengths(lengths, encoded), hidden)
