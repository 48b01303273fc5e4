"""What all utterance models share: front-end, encoder, classifier, projection head, averaging at test time.

A model supplies its encoder; everything else, and the output's keys, are the same for all of them.

Shapes: B batch, S samples, T frames, F features, D embedding width, C classes, P projection width.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel
from torch import Tensor, nn

from ..modules.front_end import FrontEnd, FrontEndConfig
from ..modules.pretrained import load_pretrained
from ..modules.standardize import count_batches_in_float


@dataclass
class UtteranceModelConfig(FrontEndConfig, FairseqDataclass):
    """Keys of every utterance model."""

    dropout: float = field(default=0.1, metadata={"help": "dropout before the classifier; a probability"})
    projection_dim: int = field(
        default=0,
        metadata={"help": "width of the projection head for contrastive training (SimCLR); 0 = no head"},
    )
    pretrained_path: str = field(
        default="",
        metadata={"help": "checkpoint whose weights are taken where name and shape agree; empty = none"},
    )
    freeze_encoder: bool = field(default=False, metadata={"help": "train the heads only (a linear probe)"})
    test_views: int = field(
        default=1, metadata={"help": "in evaluation, average over this many vocal tract warps; 1 = off"}
    )
    test_warp: float = field(
        default=0.08, metadata={"help": "those warps lie evenly in 1 - x to 1 + x; a ratio"}
    )


class Encoder(Protocol):
    """What a model supplies: a module from features to one vector per clip."""

    out_dim: int

    def __call__(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Map (B, T, F) features and (B,) lengths in frames to (B, out_dim)."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters, as `nn.Module` does."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switch training mode, as `nn.Module` does."""
        ...


class AudioTask(Protocol):
    """The attributes of a task that `build_model` reads."""

    num_classes: int
    sample_rate_hz: int


class UtteranceModel(BaseFairseqModel, ABC):
    """One vector, and class scores, per clip.

    Args:
        config: the model's keys.
        sample_rate_hz: sample rate of the waveforms, Hz.
        num_classes: C; 0 = no classifier.
    """

    def __init__(self, config: UtteranceModelConfig, sample_rate_hz: int, num_classes: int) -> None:
        super().__init__()
        self.test_views = config.test_views
        self.test_warp = config.test_warp
        self.front_end = FrontEnd(config, sample_rate_hz)
        self.encoder = self.make_encoder(config, self.front_end.num_features)
        dim = self.encoder.out_dim
        self.classifier = (
            nn.Sequential(nn.Dropout(config.dropout), nn.Linear(dim, num_classes)) if num_classes else None
        )
        self.projector = _projector(dim, config.projection_dim) if config.projection_dim else None
        count_batches_in_float(self)
        if config.pretrained_path:
            load_pretrained(self, config.pretrained_path)
        if config.freeze_encoder:
            for parameter in self.encoder.parameters():
                parameter.requires_grad_(False)
        self.freeze_encoder = config.freeze_encoder

    @classmethod
    @abstractmethod
    def make_encoder(cls, config: Any, num_features: int) -> Encoder:
        """Build the encoder: from features (B, T, F) and lengths (B,) to (B, out_dim).

        Args:
            config: the model's keys.
            num_features: F, width of the front-end's output.
        """

    @classmethod
    def build_model(cls, cfg: UtteranceModelConfig, task: AudioTask) -> Self:
        """Build the model for a task (called by fairseq)."""
        return cls(cfg, task.sample_rate_hz, task.num_classes)

    def train(self, mode: bool = True) -> Self:
        """Switch training mode; a frozen encoder keeps its evaluation mode."""
        super().train(mode)
        if self.freeze_encoder:  # else dropout stays on, and batch norms drift from what was pre-trained
            self.encoder.train(False)
        return self

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Map the front-end's features (B, T, F) to embeddings (B, D)."""
        return self.encoder(features, lengths)

    def forward(self, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Tensor | None]:
        """Score a batch of clips.

        Args:
            source: (B, S) waveforms.
            padding_mask: (B, S) bool, True = padding; None = no padding.

        Returns:
            "embedding" (B, D); "logits" (B, C) or None; "projection" (B, P) or None.
        """
        if self.training or self.test_views == 1:
            return self._forward_once(source, padding_mask)
        factors = torch.linspace(1.0 - self.test_warp, 1.0 + self.test_warp, self.test_views)
        views = [
            self._forward_once(
                source, padding_mask, torch.full((len(source),), float(factor), device=source.device)
            )
            for factor in factors
        ]
        return {name: _mean_over_views([view[name] for view in views], name) for name in views[0]}

    def _forward_once(
        self, source: Tensor, padding_mask: Tensor | None, warp: Tensor | None = None
    ) -> dict[str, Tensor | None]:
        features, lengths = self.front_end(source, padding_mask, warp)
        embedding = self.encode(features, lengths)
        return {
            "logits": None if self.classifier is None else self.classifier(embedding),
            "embedding": embedding,
            "projection": None if self.projector is None else self.projector(embedding),
        }

    def get_normalized_probs(
        self, net_output: Mapping[str, Tensor | None], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Return the (logarithms of the) probabilities of the classes, (B, C) (called by fairseq).

        Raises:
            ValueError: the model has no classifier.
        """
        logits = net_output["logits"]
        if logits is None:
            raise ValueError("class probabilities: the model has no classes; train it on a task with labels")
        return logits.float().log_softmax(1) if log_probs else logits.float().softmax(1)


def _projector(dim: int, projection_dim: int) -> nn.Module:
    """Two layers; what lies before them is the better feature (Chen et al. 2020, section 4.2)."""
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, projection_dim))


def _mean_over_views(values: list[Tensor | None], name: str) -> Tensor | None:
    """Average log-probabilities (a geometric mean of the views' probabilities) or vectors."""
    tensors = [value for value in values if value is not None]
    if not tensors:
        return None
    stacked = torch.stack(tensors)
    return stacked.log_softmax(2).mean(0) if name == "logits" else stacked.mean(0)
