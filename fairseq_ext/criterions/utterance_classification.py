"""`ext_utterance_classification`: cross entropy with label smoothing over one label per recording.

Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7, for the smoothing.
Shapes: B batch, C classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor


@dataclass
class UtteranceClassificationConfig(FairseqDataclass):
    """Keys of the criterion."""

    label_smoothing: float = field(
        default=0.0, metadata={"help": "share of the target spread over all classes, 0 to 1"}
    )


@register_criterion("ext_utterance_classification", dataclass=UtteranceClassificationConfig)
class UtteranceClassificationCriterion(FairseqCriterion):
    """Sum of the batch's cross entropies, in nats; accuracy beside it.

    Args:
        task: the task; not used.
        label_smoothing: share of the target spread over all classes.

    Raises:
        ValueError: a smoothing outside 0 to 1.
    """

    def __init__(self, task: Any, label_smoothing: float) -> None:
        super().__init__(task)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"criterion.label_smoothing: 0 <= x < 1 expected, found {label_smoothing}; change it"
            )
        self.label_smoothing = label_smoothing

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq).

        Args:
            model: gives "logits" (B, C).
            sample: a batch of `AudioDataset`.
            reduce: not used; the loss is always summed.

        Returns:
            Loss, number of recordings it sums over, and what is logged.
        """
        logits = model(**sample["net_input"])["logits"].float()  # (B, C)
        target = sample["target"]  # (B,)
        smoothing = self.label_smoothing if self.training else 0.0
        loss = F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="sum")
        count = int(sample["nsentences"])  # 0 for a batch that could not be read: its targets are ignored
        logged = {
            "loss": loss.detach(),
            "num_correct": (logits.argmax(1) == target).sum(),
            "nsentences": count,
            "ntokens": sample["ntokens"],
            "sample_size": count,
        }
        return loss, count, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs and log loss (bits) and accuracy (%).

        Args:
            logging_outputs: what `forward` logged, a mapping per rank.
        """
        count = sum(float(output.get("sample_size", 0)) for output in logging_outputs)
        loss = sum(float(output.get("loss", 0)) for output in logging_outputs)
        correct = sum(float(output.get("num_correct", 0)) for output in logging_outputs)
        # Logged with weight 0 when nothing was read: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", loss / max(count, 1) / math.log(2), count, round=4)
        metrics.log_scalar("accuracy", 100.0 * correct / max(count, 1), count, round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Yes: sums and counts."""
        return True
