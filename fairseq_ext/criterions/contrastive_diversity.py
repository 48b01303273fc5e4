"""`ext_contrastive_diversity`: the objective of wav2vec 2.0, and a warning when training collapses.

Baevski et al. 2020, "wav2vec 2.0", section 3.2: contrastive loss (equation 3) plus diversity (equation 4), and the L2
penalty on the convolutions' output of its appendix. Nothing is read from the device in a step.

Shapes: B clips, M masked frames per clip, N negatives per frame.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

logger = logging.getLogger(__name__)

# What is logged beside the loss: a mean over masked frames each, in this order in the log.
MEANS = ("contrastive", "diversity", "feature_penalty", "code_perplexity", "prob_perplexity", "temperature")
# With a mean perplexity below this per group, a code carries next to no information about its frame.
MIN_CODES_PER_GROUP = 1.5
# Among 100 negatives no network is always right about speech, unless the targets are trivial.
TRIVIAL_ACCURACY = 0.999
ADVICE = (
    "try a lower learning rate or a longer warm-up, a larger criterion.diversity_weight or criterion.penalty_weight, "
    "a higher model.latent_temp, a smaller model.feature_grad_mult, or larger batches"
)


@dataclass
class ContrastiveDiversityConfig(FairseqDataclass):
    """Keys of the criterion."""

    diversity_weight: float = field(
        default=0.1, metadata={"help": "weight of the share of codes not in use (Baevski et al. 2020: 0.1)"}
    )
    penalty_weight: float = field(
        default=10.0,
        metadata={"help": "weight of the mean square of the convolutions' output (base models: 10)"},
    )
    alarm_after: int = field(
        default=200, metadata={"help": "number of trivial updates in a row before a warning; 0 = never warn"}
    )


class CollapseAlarm:
    """Warning when training is trivial for long: next to no codes in use, or every prediction right.

    Args:
        patience: updates in a row; 0 = never warn.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._trivial_for = 0

    def watch(self, codes_per_group: float, accuracy: float) -> bool:
        """Check an update; return whether it warned: when the patience ends, and at each doubling of that time.

        Args:
            codes_per_group: perplexity of the choices, mean of the groups; 1 = always the same code.
            accuracy: share of right predictions.
        """
        few = codes_per_group < MIN_CODES_PER_GROUP
        self._trivial_for = self._trivial_for + 1 if few or accuracy > TRIVIAL_ACCURACY else 0
        if not self.patience or not self._trivial_for or self._trivial_for % self.patience:
            return False
        if (periods := self._trivial_for // self.patience) & (periods - 1):
            return False
        why = (
            f"{codes_per_group:.2f} codes in use per group"
            if few
            else f"{100 * accuracy:.1f}% of predictions right"
        )
        logger.warning(f"wav2vec 2.0 has collapsed: {why} for {self._trivial_for} updates; {ADVICE}")
        return True


@register_criterion("ext_contrastive_diversity", dataclass=ContrastiveDiversityConfig)
class ContrastiveDiversityCriterion(FairseqCriterion):
    """Sum over masked frames; the other terms count once per masked frame.

    Raises:
        ValueError: a weight below 0.
    """

    def __init__(self, task: Any, diversity_weight: float, penalty_weight: float, alarm_after: int) -> None:
        super().__init__(task)
        for name, weight in (("diversity_weight", diversity_weight), ("penalty_weight", penalty_weight)):
            if weight < 0:
                raise ValueError(f"criterion.{name}: 0 or more expected, found {weight}; change it")
        self.diversity_weight, self.penalty_weight = diversity_weight, penalty_weight
        self.alarm = CollapseAlarm(alarm_after)

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of masked frames it sums over, and what is logged.

        Args:
            model: `ext_wav2vec2`.
            sample: a batch of `PretrainingDataset`.
            reduce: not used; the loss is always summed.
        """
        output = model(**sample["net_input"])
        logits = output["logits"].flatten(0, 1)  # (B M, 1 + N)
        # A batch of which nothing could be read holds noise and counts nowhere.
        count = len(logits) if sample["nsentences"] else 0
        contrastive = (logits.logsumexp(1) - logits[:, 0]).sum() * (1 if count else 0)
        diversity = 1.0 - output["prob_perplexity"] / output["num_vars"]
        penalty = output["features_pen"]
        loss = contrastive + count * (self.diversity_weight * diversity + self.penalty_weight * penalty)
        right = (logits[:, :1] > logits[:, 1:]).all(1)
        logged = {
            "loss": loss.detach(),
            "contrastive": contrastive.detach(),
            "diversity": count * diversity.detach(),
            "feature_penalty": count * penalty.detach(),
            "code_perplexity": count * output["code_perplexity"],
            "prob_perplexity": count * output["prob_perplexity"].detach(),
            # The temperature belongs to the noise, which only training has.
            "temperature": count * output["temp"] if self.training else 0.0,
            "num_groups": count * output["num_groups"],
            "num_correct": right.sum() * (1 if count else 0),
            "nsentences": sample["nsentences"],
            "ntokens": sample["ntokens"],
            "sample_size": count,
        }
        return loss, count, logged

    def watch(self, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Look for a collapse in the ranks' outputs of `forward`; called by the task once per update."""
        total = totals(logging_outputs)
        if total["sample_size"] and self.training:
            self.alarm.watch(
                total["code_perplexity"] / total["num_groups"], total["num_correct"] / total["sample_size"]
            )

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs; log loss and contrastive loss (bits), accuracy (%), and the other means."""
        total = totals(logging_outputs)
        count = total["sample_size"]
        mean = {name: total[name] / max(count, 1) for name in ("loss", "num_correct", *MEANS)}
        # Logged with weight 0 when there was nothing: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", mean["loss"] / math.log(2), count, round=4)
        mean["contrastive"] /= math.log(2)
        for name in MEANS:
            if name != "temperature" or total[name]:
                metrics.log_scalar(name, mean[name], count, round=4)
        metrics.log_scalar("accuracy", 100.0 * mean["num_correct"], count, round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True


def totals(logging_outputs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums over the ranks' outputs, read from the device in one piece."""
    names = list(logging_outputs[0])
    numbers = [output[name] for output in logging_outputs for name in names]
    device = next((number.device for number in numbers if torch.is_tensor(number)), torch.device("cpu"))
    table = torch.stack([torch.as_tensor(number, dtype=torch.float64, device=device) for number in numbers])
    return dict(zip(names, table.view(-1, len(names)).sum(0).tolist(), strict=True))
