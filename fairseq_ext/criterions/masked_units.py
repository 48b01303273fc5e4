"""`ext_masked_units`: cross-entropy of the clusters of masked frames, and, weighted, of the others.

Hsu et al. 2021, "HuBERT", section III-B, equation for L = alpha L_m + (1 - alpha) L_u, here with a weight for each. A
frame without a label counts nowhere. Nothing is read from the device in a step.

Shapes: B clips, T frames, K codebooks, V clusters.
"""

import logging
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
from .contrastive_diversity import totals

logger = logging.getLogger(__name__)

# With a perplexity of the predictions below this, the network names (nearly) one cluster whatever it sees.
MIN_PERPLEXITY = 1.5
ADVICE = "try a lower learning rate or a longer warm-up, or a smaller model.feature_grad_mult"
_KINDS = ("masked", "unmasked")


@dataclass
class MaskedUnitsConfig(FairseqDataclass):
    """Keys of the criterion."""

    pred_masked_weight: float = field(default=1.0, metadata={"help": "weight of the loss of masked frames"})
    pred_nomask_weight: float = field(
        default=0.0,
        metadata={"help": "weight of the loss of the other frames (AV-HuBERT: 1 with masks of the input)"},
    )
    penalty_weight: float = field(
        default=0.0, metadata={"help": "weight of the mean square of the fused frames (HuBERT: 10)"}
    )
    alarm_after: int = field(
        default=200,
        metadata={"help": "number of updates in a row with one cluster before a warning; 0 = never"},
    )


@register_criterion("ext_masked_units", dataclass=MaskedUnitsConfig)
class MaskedUnitsCriterion(FairseqCriterion):
    """Sum over labelled frames in nats; the gradient is divided by the number of masked ones.

    Raises:
        ValueError: a weight below 0, or none above.
    """

    def __init__(
        self,
        task: Any,
        pred_masked_weight: float,
        pred_nomask_weight: float,
        penalty_weight: float,
        alarm_after: int,
    ) -> None:
        super().__init__(task)
        self.weights = {"masked": pred_masked_weight, "unmasked": pred_nomask_weight}
        if min(*self.weights.values(), penalty_weight) < 0 or not any(self.weights.values()):
            raise ValueError(
                "criterion.pred_masked_weight, pred_nomask_weight, penalty_weight: 0 or more, and one of the first two "
                f"above 0 expected, found {pred_masked_weight}, {pred_nomask_weight}, {penalty_weight}; change them"
            )
        self.penalty_weight, self.alarm_after, self._alike_for = penalty_weight, alarm_after, 0

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, Tensor | int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of frames it is divided by, and what is logged.

        Args:
            model: `ext_av_hubert`.
            sample: a batch of `AvDataset` with "frame_targets" (B, T), or (B, T, K) for several codebooks.
            reduce: not used; the loss is always summed.
        """
        output = model(**sample["net_input"])
        targets = sample["frame_targets"]
        targets = targets[:, :, None] if targets.ndim == 2 else targets  # (B, T, K)
        weight = 1 if sample["nsentences"] else 0  # a batch of which nothing could be read counts nowhere
        logged: dict[str, Any] = {"nsentences": sample["nsentences"], "ntokens": sample["ntokens"]}
        loss = torch.zeros((), device=targets.device)
        counts = dict.fromkeys(_KINDS, torch.zeros((), device=targets.device))
        for number, logits in enumerate(output["logits"]):
            target = targets[:, :, number]
            losses = F.cross_entropy(
                logits.flatten(0, 1), target.flatten(), ignore_index=NOT_KNOWN, reduction="none"
            ).view_as(target)
            right = (logits.argmax(2) == target) & (target != NOT_KNOWN)
            for kind, chosen in zip(_KINDS, (output["masked"], ~output["masked"]), strict=True):
                known = chosen & (target != NOT_KNOWN)
                part = weight * (losses * known).sum()
                loss = loss + self.weights[kind] * part
                counts[kind] = counts[kind] + weight * known.sum()
                logged[f"{kind}_loss_{number}"] = part.detach()
                logged[f"{kind}_right_{number}"] = weight * (right & known).sum()
                logged[f"{kind}_count_{number}"] = weight * known.sum()
            logged[f"entropy_{number}"] = weight * _spread(logits, target != NOT_KNOWN).detach()
        # The frames of one codebook; with no weight on masked frames, the others.
        kind = "masked" if self.weights["masked"] else "unmasked"
        size = counts[kind] / len(output["logits"])
        loss = loss + self.penalty_weight * size * output["features_pen"]
        logged |= {"loss": loss.detach(), "sample_size": size.detach(), "num_batches": weight}
        return loss, size.detach(), logged

    def watch(self, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Look for a collapse in the ranks' outputs of `forward`; called by the task once per update."""
        total = totals(logging_outputs)
        if not (self.training and self.alarm_after and total["num_batches"]):
            return
        perplexity = math.exp(total["entropy_0"] / total["num_batches"])
        self._alike_for = self._alike_for + 1 if perplexity < MIN_PERPLEXITY else 0
        if self._alike_for == self.alarm_after:
            logger.warning(
                f"masked prediction has collapsed: {perplexity:.2f} clusters predicted for {self._alike_for} updates; "
                f"{ADVICE}"
            )

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs; log losses in bits, accuracies (%) per codebook, perplexity of the predictions."""
        total = totals(logging_outputs)
        size = total["sample_size"]
        # Logged with weight 0 when there was nothing: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", total["loss"] / max(size, 1) / math.log(2), size, round=4)
        for number in range(sum(name.startswith("entropy_") for name in total)):
            for kind in _KINDS:
                count = total[f"{kind}_count_{number}"]
                bits = total[f"{kind}_loss_{number}"] / max(count, 1) / math.log(2)
                share = 100.0 * total[f"{kind}_right_{number}"] / max(count, 1)
                metrics.log_scalar(f"{kind}_loss_{number}", bits, count, round=4)
                metrics.log_scalar(f"{kind}_accuracy_{number}", share, count, round=3)
            batches = total["num_batches"]
            perplexity = math.exp(total[f"entropy_{number}"] / max(batches, 1))
            metrics.log_scalar(f"perplexity_{number}", perplexity, batches, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True


@torch.no_grad()
def _spread(logits: Tensor, known: Tensor) -> Tensor:
    """Return the entropy, in nats, of the mean prediction over known frames (B, T) of logits (B, T, V)."""
    mean = (logits.softmax(2) * known[:, :, None]).sum((0, 1)) / known.sum().clamp(min=1)
    return -(mean * mean.clamp(min=1e-12).log()).sum()
