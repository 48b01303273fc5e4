"""`ext_ctc`: connectionist temporal classification, and word and character error rates in validation.

Graves et al. 2006, "Connectionist Temporal Classification". The loss is that of fairseq's `ctc`; a transcript that no
path spells costs nothing and is counted, where fairseq's default makes the loss infinite.

Shapes: B batch, T frames, V symbols, L tokens of the longest transcript.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import editdistance
import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II
from torch import Tensor

from ..data.labels import BLANK
from ..decoding.ctc import greedy, text_of

ERRORS = ("word_errors", "num_words", "character_errors", "num_characters")


@dataclass
class CtcCriterionConfig(FairseqDataclass):
    """Keys of the criterion."""

    zero_infinity: bool = field(
        default=True, metadata={"help": "let transcripts that no path spells cost nothing, not infinity"}
    )
    sentence_avg: bool = field(
        default=II("optimization.sentence_avg"), metadata={"help": "average over recordings, not tokens"}
    )


def ctc_losses(
    log_probs: Tensor, lengths: Tensor, target: Tensor, target_lengths: Tensor, zero_infinity: bool
) -> Tensor:
    """Return the CTC loss of each transcript, (B,), in nats.

    Args:
        log_probs: (B, T, V), float32.
        lengths: (B,), frames.
        target: (B, L), tokens; what lies beyond a transcript's length does not count.
        target_lengths: (B,), tokens.
        zero_infinity: 0, not infinity, where no path spells the transcript; gradients too.
    """
    frames_first = log_probs.transpose(0, 1)
    return F.ctc_loss(frames_first, target, lengths, target_lengths, BLANK, "none", zero_infinity)


def infeasible(lengths: Tensor, target: Tensor, target_lengths: Tensor) -> Tensor:
    """Find transcripts that no path spells, (B,) bool, without reading anything from the device.

    Arguments as of `ctc_losses`.
    """
    follows = torch.arange(target.shape[1], device=target.device)[1:] < target_lengths[:, None]
    # A path needs a blank, hence a frame more, between equal neighbours (Graves et al. 2006, section 3.1).
    repeats = ((target[:, 1:] == target[:, :-1]) & follows).sum(1)
    return lengths < target_lengths + repeats


@torch.no_grad()
def count_errors(
    log_probs: Tensor, lengths: Tensor, target: Tensor, target_lengths: Tensor, symbols: Sequence[str]
) -> dict[str, int]:
    """Count the errors of greedy decoding and the lengths of the references, `ERRORS`, in words and in characters.

    Arguments as of `ctc_losses`.
    """
    counts = dict.fromkeys(ERRORS, 0)
    rows = zip(target.tolist(), target_lengths.tolist(), greedy(log_probs, lengths, symbols), strict=True)
    for tokens, size, hypothesis in rows:
        text = text_of(tokens[:size], symbols)  # words with single spaces, like the hypothesis
        for errors, total, split in ((*ERRORS[:2], str.split), (*ERRORS[2:], list)):
            reference = split(text)
            counts[errors] += editdistance.eval(reference, split(hypothesis.text))
            counts[total] += len(reference)
    return counts


def log_error_rates(total: Mapping[str, float]) -> None:
    """Log "wer" and "cer" (%) of summed counts; each name of `ERRORS` has one."""
    for name, (errors, size) in {"wer": ERRORS[:2], "cer": ERRORS[2:]}.items():
        metrics.log_scalar(name, 100.0 * total[errors] / max(total[size], 1), total[size], round=3)


@register_criterion("ext_ctc", dataclass=CtcCriterionConfig)
class ExtCtcCriterion(FairseqCriterion):
    """Sum of the batch's CTC losses, in nats; in validation, errors of greedy decoding beside it."""

    def __init__(self, task: Any, zero_infinity: bool, sentence_avg: bool) -> None:
        super().__init__(task)
        self.zero_infinity, self.sentence_avg = zero_infinity, sentence_avg

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Score a batch (called by fairseq): loss, number of tokens (or recordings) it sums over, and what is logged.

        Args:
            model: gives "logits" (B, T, V) and "lengths" (B,).
            sample: a batch of `TranscribedDataset`.
            reduce: not used; the loss is always summed.
        """
        output = model(**sample["net_input"])
        log_probs = output["logits"].float().log_softmax(2)  # (B, T, V)
        lengths, target, target_lengths = output["lengths"], sample["target"], sample["target_lengths"]
        losses = ctc_losses(log_probs, lengths, target, target_lengths, self.zero_infinity)
        weight = 1 if sample["nsentences"] else 0  # a batch of which nothing could be read counts nowhere
        loss = weight * losses.sum()
        count = int(sample["nsentences"] if self.sentence_avg else sample["ntokens"])
        logged = {
            "loss": loss.detach(),
            "num_infeasible": weight * infeasible(lengths, target, target_lengths).sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": count,
        }
        if not model.training:
            errors = count_errors(log_probs, lengths, target, target_lengths, self.task.symbols)
            logged |= {name: weight * value for name, value in errors.items()}
        return loss, count, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Add up the ranks' outputs; log loss per token (or recording) in bits, and error rates (%) in validation."""
        names = ("loss", "num_infeasible", "ntokens", "sample_size", *ERRORS)
        total = {name: sum(float(output.get(name, 0)) for output in logging_outputs) for name in names}
        count = total["sample_size"]
        # Logged with weight 0 when there was nothing: fairseq would put a loss of -1 in its place.
        metrics.log_scalar("loss", total["loss"] / max(count, 1) / math.log(2), count, round=4)
        tokens = total["ntokens"]
        metrics.log_scalar("nll_loss", total["loss"] / max(tokens, 1) / math.log(2), tokens, round=4)
        metrics.log_scalar_sum("num_infeasible", total["num_infeasible"], round=0)
        if any("num_words" in output for output in logging_outputs):
            log_error_rates(total)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True: the logged values are sums and counts."""
        return True
