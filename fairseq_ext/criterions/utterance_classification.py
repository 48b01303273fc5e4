"""`ext_utterance_classification`: cross entropy with label smoothing over the classes of a recording.

A recording has a label in one or several streams, or in none of them. Szegedy et al. 2016, "Rethinking the Inception
Architecture", section 7, for the smoothing.

Shapes: B batch, H label streams, C classes of a stream.
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

from ..data.label_streams import NOT_KNOWN, balanced_weights

CLASS_WEIGHTS = ("none", "balanced")


@dataclass
class UtteranceClassificationConfig(FairseqDataclass):
    """Keys of the criterion."""

    label_smoothing: float = field(
        default=0.0, metadata={"help": "share of the target spread over all classes, 0 to 1"}
    )
    class_weights: str = field(
        default="none",
        metadata={"help": "none; balanced = in training, each class counts as much as any other"},
    )


@register_criterion("ext_utterance_classification", dataclass=UtteranceClassificationConfig)
class UtteranceClassificationCriterion(FairseqCriterion):
    """Sum of the batch's cross entropies, in nats; accuracy beside it.

    Args:
        task: gives `streams`, and `class_counts` for balanced weights; None = one stream without a name.
        label_smoothing: share of the target spread over all classes.
        class_weights: one of `CLASS_WEIGHTS`.

    Raises:
        ValueError: a smoothing outside 0 to 1, or other class weights.
    """

    def __init__(self, task: Any, label_smoothing: float, class_weights: str = "none") -> None:
        super().__init__(task)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"criterion.label_smoothing: 0 <= x < 1 expected, found {label_smoothing}; change it"
            )
        if class_weights not in CLASS_WEIGHTS:
            raise ValueError(
                f"criterion.class_weights: one of {', '.join(CLASS_WEIGHTS)} expected, found {class_weights!r}; "
                "change it"
            )
        self.label_smoothing = label_smoothing
        self.streams = [""] if task is None else list(task.streams)
        self.weights: list[Tensor | None] = [None] * len(self.streams)
        if class_weights == "balanced":
            self.weights = [torch.tensor(balanced_weights(counts)) for counts in task.class_counts().values()]

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of labels it sums over, and what is logged.

        Args:
            model: gives "logits" (B, C), and with several streams "all_logits", those of each.
            sample: a batch of `AudioDataset`; a target of `NOT_KNOWN` counts nowhere.
            reduce: not used; the loss is always summed.
        """
        targets = self._targets(sample["target"])  # (B, H)
        # Before the network runs: on a GPU nothing is waited for.
        known = (targets != NOT_KNOWN).sum(0).tolist()
        output = model(**sample["net_input"])
        scores = output.get("all_logits") or [output["logits"]]
        losses = [
            self._cross_entropy(logits.float(), target, weights)
            for logits, target, weights in zip(scores, targets.unbind(1), self.weights, strict=True)
        ]
        loss, count = sum(losses[1:], losses[0]), sum(known)
        correct = [(s.argmax(1) == target).sum() for s, target in zip(scores, targets.unbind(1), strict=True)]
        logged = {
            "loss": loss.detach(),
            "num_correct": sum(correct[1:], correct[0]),
            "nsentences": sample["nsentences"],
            "ntokens": sample["ntokens"],
            "sample_size": count,
        }
        if len(self.streams) > 1:
            for name, hits, size in zip(self.streams, correct, known, strict=True):
                logged |= {f"num_correct:{name}": hits, f"num_labels:{name}": size}
        return loss, count, logged

    def _targets(self, target: Tensor) -> Tensor:
        """Return (B, H); a batch that could not be read has one column, which counts for all streams."""
        return target if target.dim() == 2 else target[:, None].expand(-1, len(self.streams))

    def _cross_entropy(self, logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        smoothing = self.label_smoothing if self.training else 0.0
        weights = weights.to(logits) if weights is not None and self.training else None
        return F.cross_entropy(
            logits, target, weights, ignore_index=NOT_KNOWN, label_smoothing=smoothing, reduction="sum"
        )

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs and log loss (bits per label) and accuracy (%), of each stream too."""
        total = {
            key: sum(float(output.get(key, 0)) for output in logging_outputs)
            for key in dict.fromkeys(key for output in logging_outputs for key in output)
        }
        count = total.get("sample_size", 0.0)
        # Logged with weight 0 when nothing was read: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", total.get("loss", 0.0) / max(count, 1) / math.log(2), count, round=4)
        _log_accuracy("accuracy", total.get("num_correct", 0.0), count)
        for key in total:
            if key.startswith("num_labels:"):
                name = key.removeprefix("num_labels:")
                _log_accuracy(f"accuracy_{name}", total[f"num_correct:{name}"], total[key])

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True


def _log_accuracy(name: str, correct: float, count: float) -> None:
    metrics.log_scalar(name, 100.0 * correct / max(count, 1), count, round=3)
