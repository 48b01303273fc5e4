"""`ext_accent_encoder`: an embedding of a voice from groups of measured features, for metric learning.

A residual CNN per group, fusion by learned weights, a transformer, attentive statistics pooling; heads reconstruct the
features, tell the classes, and, behind a reversed gradient, the classes that the embedding shall not tell. Mel spectrum
and MFCC are computed from waveforms in the network; other groups (`features.voice_groups`) come with the batch, or are
measured on the waveforms where it has none. The group `encoder` stands for the layers of a pre-trained encoder.

Shapes: B batch, S samples, T frames at 100 Hz, T' steps, D columns of a group, E embedding, C classes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
import torch.nn.functional as F
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor, nn

from ..features.voice_groups import FRAME_RATE_HZ, GROUPS
from ..modules.encoder_layers import WEIGHTED, EncoderLayers
from ..modules.encoders import EncoderConfig, build_encoder
from ..modules.feature_groups import COMPUTED, FrameNorm, SpectralGroups, span_mask
from ..modules.front_end import gather_frames
from ..modules.group_encoder import GroupEncoder, GroupEncoderConfig, Reconstruction, reverse_gradient
from ..modules.layer_sum import LayerSum
from ..modules.padding import clip_lengths, strided_lengths, valid_mask
from ..modules.pretrained_encoder import load_encoder, read_encoder, warn_of_another_rate
from ..modules.spectral import frame_counts
from ..modules.standardize import count_batches_in_float

logger = logging.getLogger(__name__)

ENCODER = "encoder"
KNOWN = (*GROUPS, ENCODER)


@dataclass
class AccentEncoderConfig(GroupEncoderConfig, FairseqDataclass):
    """Keys of the model."""

    groups: str = field(
        default="mel,mfcc",
        metadata={
            "help": "groups of features with commas between them: mel, mfcc, chroma, spectral, prosody, formants, "
            "quality; encoder = the layers of the encoder in pretrained_path"
        },
    )
    per_clip_mean: bool = field(
        default=False,
        metadata={
            "help": "subtract the mean of each clip from its features: without level and microphone; and without "
            "what a voice has of its own on average"
        },
    )
    mask_spans: int = field(
        default=2, metadata={"help": "spans of each clip that training hides from the network"}
    )
    mask_frames: int = field(default=20, metadata={"help": "frames of the longest hidden span, 10 ms each"})
    class_head: bool = field(
        default=True, metadata={"help": "have a head for the classes of the task's label"}
    )
    class_scale: float = field(
        default=30.0,
        metadata={"help": "cosines with the classes are multiplied by this (Wang et al. 2018: 30)"},
    )
    adversary: bool = field(
        default=False,
        metadata={"help": "have a head for the task's adversary_label, behind a reversed gradient"},
    )
    adversary_hidden: int = field(default=64, metadata={"help": "width of that head's hidden layer"})
    reconstruct: bool = field(default=True, metadata={"help": "have heads that reconstruct the features"})
    pretrained_path: str = field(
        default="",
        metadata={
            "help": "checkpoint or folder of the encoder of the group encoder; its weights stay as they are"
        },
    )
    encoder_shape: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "shape of that encoder; written into checkpoints, empty in a configuration"},
    )


class MetricTask(Protocol):
    """The attributes of a task that `build_model` reads; the first stream is learnt, the second is the adversary's."""

    streams: Mapping[str, Sequence[str]]
    sample_rate_hz: int


@register_model("ext_accent_encoder", dataclass=AccentEncoderConfig)
class AccentEncoder(BaseFairseqModel):
    """One vector of norm 1 per clip.

    Args:
        config: the keys.
        sample_rate_hz: sample rate of the waveforms, Hz.
        num_classes: number of classes of each label stream.

    Raises:
        ValueError: unknown groups, or heads and an encoder that nothing is given for.
    """

    # For those who embed recordings of any length in pieces: the mean of the pieces is brought back to norm 1.
    unit_norm = True

    def __init__(self, config: AccentEncoderConfig, sample_rate_hz: int, num_classes: Sequence[int]) -> None:
        super().__init__()
        self.config, self.sample_rate_hz, self.groups = config, sample_rate_hz, _parse(config)
        self.hop = sample_rate_hz // FRAME_RATE_HZ
        self.spectral = SpectralGroups(self.groups, sample_rate_hz)
        # In the order of `groups`; those of the encoder are no targets of a reconstruction.
        dims = {name: len(GROUPS[name]) for name in self.groups if name != ENCODER}
        self.norms = nn.ModuleDict({name: FrameNorm(dim, config.per_clip_mean) for name, dim in dims.items()})
        self.speech = _speech(config) if ENCODER in self.groups else None
        fine = {} if self.speech is None else {ENCODER: self.speech.encoder.out_dim}
        self.encoder = GroupEncoder({**dims, **fine}, config, tuple(fine))
        width, embedding = config.width, self.embedding_dim
        self.decoder = Reconstruction(dims, width, config.stride) if config.reconstruct and dims else None
        self.classes = _class_weights(num_classes, embedding) if config.class_head else None
        self.adversary = (
            _adversary(num_classes, embedding, config.adversary_hidden) if config.adversary else None
        )
        count_batches_in_float(self)

    @classmethod
    def build_model(cls, cfg: AccentEncoderConfig, task: MetricTask) -> Self:
        """Build the model for a task (called by fairseq), with the encoder of `pretrained_path`, if there is one."""
        sizes = [len(names) for names in task.streams.values()]
        if not cfg.pretrained_path:
            return cls(cfg, task.sample_rate_hz, sizes)
        source = read_encoder(cfg.pretrained_path)
        cfg.encoder_shape = {**source.shape, "normalize": source.normalize}
        model = cls(cfg, task.sample_rate_hz, sizes)
        if model.speech is None:
            raise ValueError(
                f"model.pretrained_path: {cfg.pretrained_path} is not used, since model.groups ({cfg.groups}) has no "
                f"{ENCODER}; add it or leave the path empty"
            )
        load_encoder(model.speech.encoder, source)
        warn_of_another_rate(source, task.sample_rate_hz)
        return model

    def encoder_keys(self) -> dict[str, Any]:
        """Return the keys that build the model without `pretrained_path`."""
        return {"encoder_shape": dict(self.config.encoder_shape)}

    def upgrade_state_dict_named(self, state_dict: dict[str, Any], name: str) -> None:
        """Bring the names of earlier checkpoints, with one head only, to today's (called by fairseq)."""
        for old, new in (("pooled_norm", "heads.0.norm"), ("projection", "heads.0.projection")):
            for key in [key for key in state_dict if key.startswith(f"encoder.{old}.")]:
                state_dict[f"encoder.{new}.{key.rpartition('.')[2]}"] = state_dict.pop(key)
        super().upgrade_state_dict_named(state_dict, name)

    @property
    def embedding_dim(self) -> int:
        """E, width of the embedding."""
        return self.encoder.out_dim

    @property
    def measured_groups(self) -> tuple[str, ...]:
        """Groups that the network does not compute from waveforms."""
        return tuple(name for name in self.groups if name not in (*COMPUTED, ENCODER))

    @property
    def needs_waveforms(self) -> bool:
        """Whether a batch with all measured and computed groups needs waveforms all the same."""
        return self.speech is not None

    def group_weights(self) -> dict[str, float]:
        """Return the share of each group in the fusion."""
        return self.encoder.shares()

    def train(self, mode: bool = True) -> Self:
        """Switch training mode; the pre-trained encoder keeps its evaluation mode."""
        super().train(mode)
        if self.speech is not None:
            self.speech.encoder.train(False)
        return self

    def forward(
        self,
        source: Tensor | None = None,
        padding_mask: Tensor | None = None,
        features: Mapping[str, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> dict[str, Any]:
        """Embed a batch of clips.

        Args:
            source: (B, S) waveforms; None = all groups are in `features`.
            padding_mask: (B, S) bool, True = padding; None = no padding.
            features: group -> (B, T, D), of the measured groups at least; None = they are measured here, which takes
                long.
            lengths: (B,), frames of the features.

        Returns:
            "embedding" (B, E), norm 1; "logits" (B, C), cosines with the classes times "class_scale", or None;
            "group_logits", those (B, C) of each group that has an embedding of its own;
            "adversary" (B, C') or None; "reconstruction" and "targets", group -> (B, T, D), and their "lengths" (B,);
            "projection" (B, E), the embedding before its norm is 1.
        """
        frames, lengths = self._frames(source, padding_mask, features or {}, lengths)
        targets = {name: self.norms[name](frames[name], lengths) for name in self.norms}
        heard = self._masked(targets, lengths)
        if self.speech is not None:
            assert source is not None
            heard[ENCODER] = self._speech_steps(source, padding_mask, lengths)
        vectors, steps = self.encoder({name: heard[name] for name in self.groups}, lengths, targets)
        embedding = F.normalize(vectors, dim=1)
        output: dict[str, Any] = {
            "embedding": embedding,
            "logits": self._logits(embedding),
            "group_logits": self._group_logits(embedding),
            "projection": vectors,
        }
        output["class_scale"] = self.config.class_scale
        output["adversary"] = None if self.adversary is None else self.adversary(reverse_gradient(embedding))
        return output | self._reconstructed(steps, targets, lengths)

    def get_normalized_probs(
        self, net_output: Mapping[str, Any], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Return the probabilities (B, C) of the classes (called by fairseq).

        Raises:
            ValueError: the model has no class head.
        """
        if net_output["logits"] is None:
            raise ValueError(
                "class probabilities: the model has no classes; train it with model.class_head=true"
            )
        logits = net_output["logits"].float()
        result: Tensor = logits.log_softmax(1) if log_probs else logits.softmax(1)
        return result

    def _frames(
        self,
        source: Tensor | None,
        padding_mask: Tensor | None,
        features: Mapping[str, Tensor],
        lengths: Tensor | None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the frames of all groups but the encoder's, and their numbers; what the batch lacks is computed."""
        found = dict(features)
        if all(name in found for name in self.norms) and found:
            assert lengths is not None
            return found, lengths
        if source is None:
            missing = [name for name in self.norms if name not in found]
            raise ValueError(
                f"ext_accent_encoder: neither waveforms nor the groups {missing} are in the batch"
            )
        computed, own = self.spectral(source, padding_mask)
        found = {**computed, **found}
        if missing := [name for name in self.measured_groups if name not in found]:
            measured, own = self._measured(source, padding_mask, missing)
            found |= measured
        if own is None:  # the encoder is the only group
            own = frame_counts(clip_lengths(source, padding_mask), self.hop)
        return _fitted({name: found[name] for name in self.norms}, own), own

    def _measured(
        self, source: Tensor, padding_mask: Tensor | None, groups: Sequence[str]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Measure groups on each clip."""
        from ..features.voice import voice_features

        sizes = clip_lengths(source, padding_mask)
        clips = [
            voice_features(clip[:size].cpu(), self.sample_rate_hz, tuple(groups))
            for clip, size in zip(source, sizes.tolist(), strict=True)
        ]
        stacked = {
            name: nn.utils.rnn.pad_sequence([torch.as_tensor(clip[name]) for clip in clips], batch_first=True)
            for name in groups
        }
        return {name: value.to(source) for name, value in stacked.items()}, frame_counts(sizes, self.hop)

    def _masked(self, targets: Mapping[str, Tensor], lengths: Tensor) -> dict[str, Tensor]:
        if not (self.training and self.config.mask_spans and targets):
            return dict(targets)
        size = next(iter(targets.values())).shape[1]
        hidden = span_mask(lengths, size, self.config.mask_spans, self.config.mask_frames)
        return {name: frames.masked_fill(hidden[:, :, None], 0.0) for name, frames in targets.items()}

    def _speech_steps(self, source: Tensor, padding_mask: Tensor | None, lengths: Tensor) -> Tensor:
        """Return the encoder's layers at the middle of each step, (B, T', W), 0 on padding."""
        assert self.speech is not None
        (frames,), own = self.speech(source, padding_mask)
        counts = strided_lengths(lengths, self.config.stride)
        hop = self.speech.encoder.hop_samples
        step = torch.arange(int(counts.max()), device=frames.device)[None, :]
        # Frame k of an encoder lies half a hop after k hops.
        positions = (
            (step * self.config.stride * self.hop / hop - 0.5).minimum((own - 1)[:, None]).clamp(min=0)
        )
        steps = gather_frames(
            frames.masked_fill(~valid_mask(own, frames.shape[1])[:, :, None], 0.0), positions
        )
        return F.layer_norm(steps, steps.shape[2:]) * valid_mask(counts, steps.shape[1])[:, :, None]

    def _logits(self, embedding: Tensor) -> Tensor | None:
        if self.classes is None:
            return None
        return self.config.class_scale * embedding @ F.normalize(self.classes, dim=1).T

    def _group_logits(self, embedding: Tensor) -> list[Tensor]:
        """Return each group's own cosines with its part of the classes, times their scale."""
        if self.classes is None or not self.encoder.late:
            return []
        sides = (embedding, self.classes)
        parts = [F.normalize(side.unflatten(1, (len(self.groups), -1)), dim=2) for side in sides]
        return [self.config.class_scale * parts[0][:, i] @ parts[1][:, i].T for i in range(len(self.groups))]

    def _reconstructed(self, steps: Tensor, targets: Mapping[str, Tensor], lengths: Tensor) -> dict[str, Any]:
        if self.decoder is None:
            return {"reconstruction": {}, "targets": {}, "lengths": lengths}
        size = next(iter(targets.values())).shape[1]
        valid = valid_mask(lengths, size)[:, :, None]
        found = {name: frames[:, :size] * valid for name, frames in self.decoder(steps).items()}
        return {"reconstruction": found, "targets": dict(targets), "lengths": lengths}


def _parse(config: AccentEncoderConfig) -> tuple[str, ...]:
    names = tuple(name.strip() for name in config.groups.split(","))
    wrong = [name for name in names if name not in KNOWN]
    if wrong or len(set(names)) < len(names):
        raise ValueError(
            f"model.groups: each of {', '.join(KNOWN)} at most once expected, found {config.groups!r}; change it"
        )
    return names


def _speech(config: AccentEncoderConfig) -> EncoderLayers:
    """Build the pre-trained encoder with a trained sum over its layers; its own weights are not trained."""
    if not config.encoder_shape:
        raise ValueError(
            "model.groups: encoder needs model.pretrained_path, a checkpoint or a folder of Hugging Face; give it"
        )
    keys = dict(config.encoder_shape)
    normalize = bool(keys.pop("normalize"))
    shape = EncoderConfig(**keys)
    encoder = build_encoder(shape).requires_grad_(False)
    return EncoderLayers(encoder, (WEIGHTED,), normalize, LayerSum(shape.encoder_layers + 1, normalize=True))


def _class_weights(num_classes: Sequence[int], dim: int) -> nn.Parameter:
    if not num_classes:
        raise ValueError("model.class_head: the task has no classes; set it to false")
    return nn.Parameter(torch.randn(num_classes[0], dim) * dim**-0.5)


def _adversary(num_classes: Sequence[int], dim: int, hidden: int) -> nn.Module:
    if len(num_classes) < 2:
        raise ValueError(
            "model.adversary: the task has no second label; set task.adversary_label, such as speaker"
        )
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, num_classes[1]))


def _fitted(frames: dict[str, Tensor], lengths: Tensor) -> dict[str, Tensor]:
    """Bring groups to the same number of frames: at rates that 16 kHz is no multiple of, they differ by one."""
    size = int(lengths.max())
    return {
        name: F.pad(value, (0, 0, 0, max(0, size - value.shape[1])))[:, :size]
        for name, value in frames.items()
    }
