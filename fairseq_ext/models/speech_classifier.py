"""`ext_speech_classifier`: classes of a recording, in one or several label streams, from a speech encoder's layers.

A softmax-weighted sum over the layers as in Yang et al. 2021, "SUPERB: Speech processing Universal PERformance
Benchmark", section 3; pooled over time; a linear layer per label stream. All streams share encoder, sum and pooling.

Shapes: B batch, S samples, T frames, D width of the encoder, L its layers, P pooled width, C classes of a stream.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from omegaconf import OmegaConf
from torch import Tensor, nn

from ..modules.encoders import EncoderConfig, build_encoder
from ..modules.frozen_layers import freeze, keep_frozen
from ..modules.layer_sum import LAYERS, LayerSum
from ..modules.learning_rates import mark_lr_scale
from ..modules.padding import normalize_clips
from ..modules.pooling import AttentiveStatisticsPooling, MeanPooling, StatisticsPooling
from ..modules.pretrained_encoder import (
    EncoderCheckpoint,
    encoder_keys,
    load_encoder,
    read_encoder,
    warn_of_another_rate,
)
from ..modules.speech_encoder import EncoderOutput
from ..modules.standardize import Standardize

logger = logging.getLogger(__name__)

# The attention of 12 heads over so long a recording holds 11 GB.
MAX_ATTENTION_S = 300.0
POOLINGS = ("mean", "mean_std", "statistics", "attention")


@dataclass
class SpeechClassifierConfig(EncoderConfig, FairseqDataclass):
    """Keys of the model; with `pretrained_path`, the keys of the encoder's shape are read from that file."""

    pretrained_path: str = field(
        default="",
        metadata={
            "help": "checkpoint of fairseq or ours, pre-trained or fine-tuned, or folder of a Whisper, that the "
            "encoder is taken from; empty = random weights"
        },
    )
    normalize: bool = field(
        default=False,
        metadata={
            "help": "bring each clip to mean 0 and variance 1; with pretrained_path as that checkpoint says"
        },
    )
    pretrained_layers: int = field(
        default=0,
        metadata={"help": "take only so many layers of pretrained_path, from the first one; 0 = all"},
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "train layer weights, pooling and output layers only"}
    )
    frozen_layers: int = field(
        default=0,
        metadata={
            "help": "never train so many layers, from the first one, and what lies before them; 0 = train everything"
        },
    )
    freeze_finetune_updates: int = field(
        default=0, metadata={"help": "number of first updates that do not train the encoder"}
    )
    encoder_lr_scale: float = field(
        default=1.0,
        metadata={"help": "learning rate of the encoder as a share of that of the rest"},
    )
    layers: str = field(
        default="weighted",
        metadata={"help": "weighted = sum of all layers with trained weights; last = the encoder's output"},
    )
    normalize_layers: bool = field(
        default=False,
        metadata={"help": "bring each frame of each layer to mean 0 and variance 1 before the sum"},
    )
    pooling: str = field(
        default="statistics",
        metadata={
            "help": "mean; mean_std = mean, deviation; statistics = mean, deviation, maximum; attention = statistics "
            "weighted by attention"
        },
    )
    standardize: bool = field(
        default=False,
        metadata={
            "help": "bring each value of the pooled vector to mean 0 and variance 1, by averages that training keeps"
        },
    )
    final_dropout: float = field(
        default=0.0, metadata={"help": "dropout between pooling and output layers; a probability"}
    )


class ClassificationTask(Protocol):
    """The attributes of a task that `build_model` reads."""

    streams: Mapping[str, Sequence[str]]
    sample_rate_hz: int


@register_model("ext_speech_classifier", dataclass=SpeechClassifierConfig)
class SpeechClassifier(BaseFairseqModel):
    """One vector per clip, and scores of the classes of every label stream, whose numbers `num_classes` gives.

    Raises:
        ValueError: an unknown choice of layers or pooling.
    """

    def __init__(self, config: SpeechClassifierConfig, num_classes: Sequence[int]) -> None:
        super().__init__()
        _check(config)
        self.config = config
        # Number of the stream whose scores are under "logits"; `checkpoints.load` sets it.
        self.head = 0
        self.encoder = build_encoder(config)
        dim = self.encoder.out_dim
        weighted = config.layers == "weighted"
        self.layer_sum = LayerSum(config.encoder_layers + 1, config.normalize_layers) if weighted else None
        self.pooling = _pooling(config.pooling, dim)
        self.num_updates = 0
        width = self.pooling.out_dim(dim)
        self.standardize = Standardize(width) if config.standardize else None
        self.final_dropout = nn.Dropout(config.final_dropout)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in num_classes)
        self._mark_parameters()

    @classmethod
    def build_model(cls, cfg: SpeechClassifierConfig, task: ClassificationTask) -> Self:
        """Build the model for a task (called by fairseq).

        Its `config` has the shape of the encoder in `pretrained_path`, if there is one.
        """
        sizes = [len(names) for names in task.streams.values()]
        if not cfg.pretrained_path:
            return cls(cfg, sizes)
        source = read_encoder(cfg.pretrained_path)
        num_layers = _num_layers(cfg.pretrained_layers, source)
        shape = {**source.shape, "encoder_layers": num_layers, "normalize": source.normalize}
        config = OmegaConf.merge(cfg, shape)
        model = cls(cast(SpeechClassifierConfig, config), sizes)
        load_encoder(model.encoder, source)
        logger.info(
            f"{source.path}: {num_layers} of {source.shape['encoder_layers']} layers of the encoder loaded"
        )
        warn_of_another_rate(source, task.sample_rate_hz)
        return model

    @property
    def longest_s(self) -> float:
        """Return the length of the longest recordings that can be scored in one piece, s."""
        return 30.0 if self.config.encoder_type == "whisper" else MAX_ATTENTION_S

    def encoder_keys(self) -> dict[str, Any]:
        """Return the keys that build the model without `pretrained_path`."""
        return encoder_keys(self.config)

    def _mark_parameters(self) -> None:
        """Freeze parameters without gradient, so that no rank waits for it; mark those with another learning rate."""
        self.encoder.mask_emb.requires_grad_(False)  # nothing is masked
        if self.layer_sum is not None and self.config.layer_norm_first:
            self.encoder.encoder.layer_norm.requires_grad_(False)  # it comes after the last layer
        if self.config.freeze_encoder:
            self.encoder.requires_grad_(False)
        else:
            freeze(self.encoder, self.config.frozen_layers, self.config.layer_norm_first)
        if not self.config.freeze_encoder and self.config.encoder_lr_scale != 1.0:
            for parameter in self.encoder.parameters():
                mark_lr_scale(parameter, self.config.encoder_lr_scale)

    def set_num_updates(self, num_updates: int) -> None:
        """Set the number of updates so far (called by fairseq)."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def train(self, mode: bool = True) -> Self:
        """Switch training mode; what is frozen keeps its evaluation mode."""
        super().train(mode)
        if self.config.freeze_encoder:
            self.encoder.train(False)
        else:
            keep_frozen(self.encoder, self.config.frozen_layers, self.config.layer_norm_first)
        return self

    def encode(
        self, source: Tensor, padding_mask: Tensor | None = None, return_hidden: bool = False
    ) -> EncoderOutput:
        """Run the encoder, without a graph if it is frozen; `return_hidden` keeps what lies between the layers."""
        waits = self.training and self.num_updates < self.config.freeze_finetune_updates
        is_frozen = self.config.freeze_encoder or waits
        with torch.set_grad_enabled(torch.is_grad_enabled() and not is_frozen):
            if self.config.normalize:
                source = normalize_clips(source, padding_mask).to(source)
            result: EncoderOutput = self.encoder(source, padding_mask, return_hidden=return_hidden)
            return result

    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
        """Score a batch of clips.

        Args:
            source: (B, S) waveforms.
            padding_mask: (B, S) bool, True = padding; None = none, which is faster.

        Returns:
            "embedding" (B, P); "all_logits", (B, C) of each stream; "logits" (B, C), those of stream `head`;
            "projection", which is None: the model has no contrastive head.
        """
        encoded = self.encode(source, padding_mask, return_hidden=self.layer_sum is not None)
        frames = encoded.frames if self.layer_sum is None else self.layer_sum(encoded.hidden)  # (B, T, D)
        embedding = self.pooling(frames, encoded.lengths)  # (B, P)
        if self.standardize is not None:
            embedding = self.standardize(embedding)
        pooled = self.final_dropout(embedding)
        scores = [head(pooled) for head in self.heads]
        return {
            "logits": scores[self.head],
            "all_logits": scores,
            "embedding": embedding,
            "projection": None,
        }

    def get_normalized_probs(
        self, net_output: Mapping[str, Any], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Return the probabilities (B, C) of the classes of stream `head` (called by fairseq)."""
        logits = net_output["logits"].float()
        result: Tensor = logits.log_softmax(1) if log_probs else logits.softmax(1)
        return result


def _check(config: SpeechClassifierConfig) -> None:
    for key, known in (("layers", LAYERS), ("pooling", POOLINGS)):
        found = getattr(config, key)
        if found not in known:
            raise ValueError(f"model.{key}: one of {', '.join(known)} expected, found {found!r}; change it")


def _num_layers(wanted: int, source: EncoderCheckpoint) -> int:
    """Return how many layers of an encoder to take; 0 = all."""
    every = int(source.shape["encoder_layers"])
    if not 0 <= wanted <= every:
        raise ValueError(
            f"model.pretrained_layers: 0 to {every} expected, the layers of {source.path}, found {wanted}; change it"
        )
    return wanted or every


def _pooling(name: str, dim: int) -> MeanPooling | StatisticsPooling | AttentiveStatisticsPooling:
    if name == "attention":
        return AttentiveStatisticsPooling(dim)
    return MeanPooling() if name == "mean" else StatisticsPooling(has_max=name == "statistics")
