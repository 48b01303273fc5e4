"""`ext_nt_xent`: normalised temperature-scaled cross entropy between two views of each recording (SimCLR).

Chen, Kornblith, Norouzi and Hinton 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
section 2.1, equation 1. Shapes: B recordings, 2 B views, P width of the projection.
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


@dataclass
class NtXentConfig(FairseqDataclass):
    """Keys of the criterion."""

    temperature: float = field(
        default=0.1, metadata={"help": "divides the cosines; Chen et al. 2020, table 5: 0.1"}
    )


def nt_xent(projection: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the loss of each view: find the other view of the same recording among all other views.

    Args:
        projection: (2 B, P); rows i and i + B are views of one recording.
        temperature: number that divides the cosines.

    Returns:
        Losses (2 B,) in nats, and whether the right view was the nearest, (2 B,) bool.

    Raises:
        ValueError: an odd number of rows, or fewer than two recordings, which gives no negatives.
    """
    num_views = len(projection)
    if num_views % 2 or num_views < 4:
        raise ValueError(
            f"nt_xent: needs two views of each of 2 recordings or more, found {num_views} views; enlarge the batch"
        )
    unit = F.normalize(projection.float(), dim=1)
    logits = unit @ unit.T / temperature  # (2 B, 2 B)
    itself = torch.eye(num_views, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(itself, float("-inf"))
    other = torch.arange(num_views, device=logits.device).roll(num_views // 2)
    return F.cross_entropy(logits, other, reduction="none"), logits.argmax(1) == other


@register_criterion("ext_nt_xent", dataclass=NtXentConfig)
class NtXentCriterion(FairseqCriterion):
    """Sum of the losses of all views.

    Negatives come from the rank's own batch, so the batch size per rank is part of the method.

    Raises:
        ValueError: a temperature that is not positive.
    """

    def __init__(self, task: Any, temperature: float) -> None:
        super().__init__(task)
        if temperature <= 0:
            raise ValueError(f"criterion.temperature: x > 0 expected, found {temperature}; change it")
        self.temperature = temperature

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of views it sums over, and what is logged.

        Args:
            model: gives "projection" (2 B, P).
            sample: a batch of `AudioDataset` with two views.
            reduce: not used; the loss is always summed.
        """
        projection = model(**sample["net_input"])["projection"]
        # The last batch of an epoch may hold one recording, or none that can be read: nothing to contrast.
        weight = 1 if sample["nsentences"] > 1 else 0
        losses, correct = nt_xent(projection if weight else projection.repeat(2, 1), self.temperature)
        unit = F.normalize(projection.detach().float(), dim=1)
        loss, count = weight * losses.sum(), weight * len(losses)
        # The same entries whatever the weight: the ranks' outputs are added entry by entry.
        logged = {
            "loss": loss.detach(),
            "num_correct": weight * correct.sum(),
            # 0 when all recordings are projected to one point, about 1 / sqrt(P) when they fill the sphere.
            "spread": count * unit.std(dim=0).mean(),
            "nsentences": weight * sample["nsentences"],
            "ntokens": weight * sample["ntokens"],
            "sample_size": count,
        }
        return loss, count, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs; log loss (bits), contrastive accuracy (%) and the spread of the projections."""
        count = sum(float(output.get("sample_size", 0)) for output in logging_outputs)
        total = {
            name: sum(float(output.get(name, 0)) for output in logging_outputs)
            for name in ("loss", "num_correct", "spread")
        }
        # Logged with weight 0 when there was nothing: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", total["loss"] / max(count, 1) / math.log(2), count, round=4)
        metrics.log_scalar(
            "contrastive_accuracy", 100.0 * total["num_correct"] / max(count, 1), count, round=3
        )
        metrics.log_scalar("spread", total["spread"] / max(count, 1), count, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True
