"""`ext_accent_triplet`: triplets, supervised contrast, decorrelation, classification, reconstruction, an adversary.

Each term is a mean over what it counts (triplets, anchors, recordings, frames) times the recordings of the batch, so
that weights mean the same for every batch and ranks add up. Triplets and contrast are mined in the rank's own batch of
P classes x K recordings; nothing is gathered: the batch is part of the method, and its size is set by the task.

Shapes: B recordings, C classes, T frames, D columns of a group.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from ..data.label_streams import NOT_KNOWN
from ..modules.metric_losses import (
    MININGS,
    Triplets,
    additive_margin,
    decorrelation,
    effective_rank,
    spread,
    supervised_contrast,
    triplets,
)
from ..modules.padding import valid_mask
from ._collapse import CollapseAlarm
from .contrastive_diversity import totals

TERMS = ("triplet", "contrast", "decorrelation", "class", "group_class", "reconstruction", "adversary")
MEANS = ("spread", "effective_rank", "positive_distance", "negative_distance", "active_triplets")


@dataclass
class AccentTripletConfig(FairseqDataclass):
    """Keys of the criterion; a term of weight 0 takes no part."""

    triplet_weight: float = field(default=1.0, metadata={"help": "weight of the triplets"})
    margin: float = field(
        default=0.3, metadata={"help": "distance by which negatives shall be farther; distances are 0 to 2"}
    )
    mining: str = field(
        default="semi_hard",
        metadata={
            "help": "semi_hard = nearest negative beyond each positive; batch_hard = farthest positive and nearest "
            "negative of each anchor"
        },
    )
    contrast_weight: float = field(default=0.1, metadata={"help": "weight of the supervised contrast"})
    contrast_temperature: float = field(
        default=0.07, metadata={"help": "divides its cosines (Khosla et al. 2020: 0.07)"}
    )
    decorrelation_weight: float = field(
        default=0.0,
        metadata={
            "help": "weight of variance 1 and no covariance of the vector before its norm is 1, near within a class"
        },
    )
    class_weight: float = field(
        default=0.0, metadata={"help": "weight of the classification with an additive margin"}
    )
    group_class_weight: float = field(
        default=0.0,
        metadata={
            "help": "weight of the same for each group alone, with model.fusion=embeddings: beside better groups only, "
            "one learns little"
        },
    )
    class_margin: float = field(
        default=0.2, metadata={"help": "margin of the cosine with the own class (Wang et al. 2018: 0.35)"}
    )
    reconstruction_weight: float = field(
        default=0.1, metadata={"help": "weight of the squared error of the normalised features"}
    )
    adversary_weight: float = field(
        default=0.0, metadata={"help": "weight of the classes that the embedding shall not tell"}
    )
    alarm_after: int = field(
        default=200, metadata={"help": "updates in a row with a sign of collapse before a warning; 0 = never"}
    )


@register_criterion("ext_accent_triplet", dataclass=AccentTripletConfig)
class AccentTripletCriterion(FairseqCriterion):
    """Weighted sum of the terms.

    Attributes:
        last_embedding: embeddings of the batch scored last, (B, E), detached.

    Raises:
        ValueError: a weight below 0, no weight at all, a margin or temperature that is not positive, another mining.
    """

    def __init__(self, task: Any, **keys: Any) -> None:
        super().__init__(task)
        self.config = AccentTripletConfig(**keys)
        _check(self.config)
        self.weights = {name: float(getattr(self.config, f"{name}_weight")) for name in TERMS}
        self.alarm = CollapseAlarm(self.config.alarm_after, self.config.margin)
        self.last_embedding = torch.zeros(0)
        # In a tuple: torch would take a model for a part of the criterion.
        self._model: tuple[Any, ...] = ()

    @classmethod
    def build_criterion(cls, cfg: AccentTripletConfig, task: Any) -> "AccentTripletCriterion":
        """Build the criterion (called by fairseq)."""
        names = AccentTripletConfig.__dataclass_fields__
        return cls(task, **{name: cfg[name] for name in names if name != "_name"})

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of recordings, and what is logged.

        Args:
            model: `ext_accent_encoder`.
            sample: a batch of `MetricDataset`.
            reduce: not used; the loss is always summed.
        """
        output = model(**sample["net_input"])
        embedding = output["embedding"].float()
        self.last_embedding = embedding.detach()
        self._model = (model,)
        size = int(sample["nsentences"])
        loss = embedding.sum() * 0.0
        logged: dict[str, Any] = {}
        mined = triplets(embedding, sample["label"], self.config.margin, self.config.mining)
        for name, values in self._terms(output, sample, mined).items():
            # Of a batch that could not be read nothing counts; a term without members costs nothing.
            count = size if len(values) and size else 0
            term = count * values.mean() if len(values) else values.sum()
            loss = loss + self.weights[name] * term * (1 if size else 0)
            # A tensor in any case: fairseq adds numbers and tensors of the ranks up apart.
            logged |= {name: term.detach() if count else loss.detach() * 0.0, f"{name}_count": count}
        logged["loss"] = loss.detach()
        logged |= _hits(output["logits"], sample["target"][:, 0])
        return loss, size, {**logged, **self._signs(embedding.detach(), mined, sample, size)}

    def _terms(
        self, output: Mapping[str, Any], sample: Mapping[str, Any], mined: Triplets
    ) -> dict[str, Tensor]:
        """Return the members of each term whose head the model has, (members,)."""
        cfg, embedding, labels = self.config, output["embedding"].float(), sample["label"]
        targets = sample["target"]
        found = {
            "triplet": mined.losses,
            "contrast": supervised_contrast(embedding, labels, cfg.contrast_temperature),
            "decorrelation": decorrelation(output["projection"].float(), labels)[None],
        }
        if output["logits"] is not None:
            found["class"] = self._class_losses(output["logits"], output, targets)
        if output["group_logits"]:
            losses = [self._class_losses(logits, output, targets) for logits in output["group_logits"]]
            found["group_class"] = torch.stack(losses).mean(0)
        if output["adversary"] is not None:
            known = targets[:, 1] != NOT_KNOWN
            logits = output["adversary"].float()[known]
            found["adversary"] = F.cross_entropy(logits, targets[known, 1], reduction="none")
        if output["reconstruction"]:
            found["reconstruction"] = _reconstruction(output)
        missing = [name for name in TERMS if self.weights[name] and name not in found]
        if missing:
            raise ValueError(
                f"criterion.{missing[0]}_weight: {self.weights[missing[0]]:g}, but the model has no such head; set "
                f"model.{HEADS[missing[0]]} or the weight to 0"
            )
        return found

    def _class_losses(self, logits: Tensor, output: Mapping[str, Any], targets: Tensor) -> Tensor:
        """Return the loss of each recording whose class is known."""
        margin, scale = self.config.class_margin, output["class_scale"]
        return additive_margin(logits.float(), targets[:, 0], margin, scale, NOT_KNOWN)

    def _signs(
        self, embedding: Tensor, mined: Triplets, sample: Mapping[str, Any], size: int
    ) -> dict[str, Any]:
        """Return what shows a collapse, and counts; means are times the recordings."""
        mined = Triplets(*(values.detach() for values in mined))
        some, zero = len(mined.losses) > 0, embedding.new_zeros(())
        values = {
            "spread": spread(embedding),
            "effective_rank": effective_rank(embedding),
            "positive_distance": mined.positive.mean() if some else zero,
            "negative_distance": mined.negative.mean() if some else zero,
            "active_triplets": (mined.losses > 0).float().mean() if some else zero,
        }
        return {
            **{name: size * value for name, value in values.items()},
            "nsentences": size,
            "ntokens": sample["ntokens"],
            "sample_size": size,
            "num_rows": sample["num_rows"],
            "split_rows": sample["split_rows"],
            "num_ranks": 1,
        }

    def watch(self, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Look for a collapse in the ranks' outputs of `forward`; called by the task once per update."""
        if not (self.training and logging_outputs):
            return
        total = totals(logging_outputs)
        size, count = total["sample_size"], total["triplet_count"]
        if size:
            loss = total["triplet"] / count if count else None
            self.alarm.watch(loss, total["spread"] / size, total["effective_rank"] / size)
        for name, weight in self.weights.items():
            metrics.log_scalar(f"weight_{name}", weight, 0, round=4)
        for name, share in self._model[0].group_weights().items() if self._model else ():
            metrics.log_scalar(f"share_{name}", share, 0, round=4)

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs; log the loss (bits), each term as it is, accuracy (%), signs of a collapse."""
        total = totals(logging_outputs)
        size = total["sample_size"]
        # Logged with weight 0 when there was nothing: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", total["loss"] / max(size, 1) / math.log(2), size, round=4)
        for name in TERMS:
            if count := total.get(f"{name}_count", 0.0):
                metrics.log_scalar(name, total[name] / count, count, round=4)
        if known := total["num_known"]:
            metrics.log_scalar("accuracy", 100 * total["hits"] / known, known, round=2)
        for name in MEANS:
            metrics.log_scalar(name, total[name] / max(size, 1), size, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True


HEADS = {
    "class": "class_head=true",
    "group_class": "fusion=embeddings",
    "adversary": "adversary=true",
    "reconstruction": "reconstruct=true",
}


def _hits(logits: Tensor | None, own: Tensor) -> dict[str, Any]:
    """Return how many recordings of known classes the class head recognises, and how many there are."""
    known = own != NOT_KNOWN
    if logits is None:
        return {"hits": own.new_zeros((), dtype=torch.float), "num_known": 0}
    return {"hits": (logits.argmax(1) == own)[known].sum().float(), "num_known": int(known.sum())}


def _reconstruction(output: Mapping[str, Any]) -> Tensor:
    """Return the squared error of each valid frame, mean of its group's columns, then of the groups."""
    lengths = output["lengths"]
    errors = [
        (found.float() - output["targets"][name].detach().float()).square().mean(2)
        for name, found in output["reconstruction"].items()
    ]
    per_frame = torch.stack(errors).mean(0)  # (B, T)
    return per_frame[valid_mask(lengths, per_frame.shape[1])]


def _check(cfg: AccentTripletConfig) -> None:
    for name in TERMS:
        if getattr(cfg, f"{name}_weight") < 0:
            raise ValueError(
                f"criterion.{name}_weight: 0 or more expected, found {getattr(cfg, f'{name}_weight')}"
            )
    if not any(getattr(cfg, f"{name}_weight") for name in TERMS):
        raise ValueError("criterion: all weights are 0, so that nothing would be learnt; set one")
    if cfg.mining not in MININGS:
        raise ValueError(
            f"criterion.mining: one of {', '.join(MININGS)} expected, found {cfg.mining!r}; change it"
        )
    for name in ("margin", "contrast_temperature"):
        if getattr(cfg, name) <= 0:
            raise ValueError(f"criterion.{name}: x > 0 expected, found {getattr(cfg, name)}; change it")
