"""The criterion of CTC, attention and frames: each term against a direct computation, schedule, counts, padding."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fairseq.logging import metrics
from torch import Tensor

from fairseq_ext.criterions.ctc_attention import (
    ExtCtcAttentionCriterion,
    attention_losses,
    decoder_tokens,
    frame_losses,
)
from fairseq_ext.data.label_streams import NOT_KNOWN
from fairseq_ext.data.labels import PAD

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b", "▁c"]
TARGET = torch.tensor([[4, 5, 4], [6, PAD, PAD], [PAD, PAD, PAD]])
TARGET_LENGTHS = torch.tensor([3, 1, 0])
LENGTHS = torch.tensor([8, 5, 2])


class Model:
    """Gives what it holds, and remembers what it was asked."""

    def __init__(self, with_decoder: bool = True, training: bool = True, num_updates: int = 0) -> None:
        torch.manual_seed(1)
        self.training, self.num_updates = training, num_updates
        self.logits = torch.randn(3, 8, len(SYMBOLS), requires_grad=True)
        self.decoder_logits = torch.randn(3, 4, len(SYMBOLS), requires_grad=True)
        self.with_decoder = with_decoder

    def __call__(self, video: Tensor, prev_output_tokens: Tensor) -> dict[str, Tensor]:
        self.read = prev_output_tokens
        output = {"logits": self.logits, "frame_logits": self.logits, "lengths": LENGTHS}
        return output | ({"decoder_logits": self.decoder_logits} if self.with_decoder else {})


def frames() -> Tensor:
    targets = torch.full((3, 8), NOT_KNOWN)
    targets[0] = torch.tensor([0, 4, 4, 5, 5, 4, 0, 0])
    targets[1, :5] = torch.tensor([0, 6, 6, 0, 0])
    return targets


def sample(**changes: Any) -> dict[str, Any]:
    return {
        "net_input": {"video": torch.zeros(1)},
        "target": TARGET,
        "target_lengths": TARGET_LENGTHS,
        "frame_targets": frames(),
        "nsentences": 3,
        "ntokens": 4,
        **changes,
    }


def criterion(**keys: Any) -> ExtCtcAttentionCriterion:
    task = SimpleNamespace(symbols=SYMBOLS, has_frame_labels=True)
    defaults = {"ctc_weight": 0.3, "label_smoothing": 0.1, "frame_weight": 0.5, "sentence_avg": True}
    return ExtCtcAttentionCriterion(task, **{**defaults, **keys})


def test_each_term_is_what_it_says() -> None:
    model = Model()
    loss, count, logged = criterion()(model, sample())
    log_probs = model.logits.log_softmax(2)
    ctc = F.ctc_loss(
        log_probs.transpose(0, 1), TARGET, LENGTHS, TARGET_LENGTHS, reduction="sum", zero_infinity=True
    )
    said = torch.tensor([[4, 5, 4, 2], [6, 2, PAD, PAD], [2, PAD, PAD, PAD]])
    attention = F.cross_entropy(
        model.decoder_logits.flatten(0, 1),
        said.flatten(),
        ignore_index=PAD,
        label_smoothing=0.1,
        reduction="sum",
    )
    per_frame = -log_probs.gather(2, frames().clamp(min=0)[:, :, None])[:, :, 0]
    by_frame = per_frame[0].mean() + per_frame[1, :5].mean()
    torch.testing.assert_close(loss, 0.3 * ctc + 0.7 * attention + 0.5 * by_frame)
    assert count == 3
    for name, value in (("ctc", ctc), ("attention", attention), ("frames", by_frame)):
        assert float(logged[name]) == pytest.approx(value.item(), rel=1e-5)
    assert model.read.tolist() == [[0, 4, 5, 4], [0, 6, PAD, PAD], [0, PAD, PAD, PAD]]
    loss.backward()
    assert model.logits.grad is not None
    assert not model.logits.grad[1, 5:].any()


def test_frames_alone_come_first_and_then_all_terms() -> None:
    made = criterion(frame_updates=10)
    assert made.weights(9, True) == {"ctc": 0.0, "attention": 0.0, "frames": 1.0}
    assert made.weights(10, True) == pytest.approx({"ctc": 0.3, "attention": 0.7, "frames": 0.5})
    assert made.weights(10, False) == {"ctc": 1.0, "attention": 0.0, "frames": 0.5}
    early, late = (made(Model(num_updates=n), sample())[2] for n in (9, 10))
    assert float(early["loss"]) == pytest.approx(float(early["frames"]))
    assert float(late["loss"]) != pytest.approx(float(late["frames"]))
    # Validation of averaged weights, whose copy counts no updates, goes on with the last ones.
    valid = made(Model(training=False, num_updates=0), sample())[2]
    assert float(valid["weight_ctc"]) == pytest.approx(0.3 * 3)


def test_clips_without_frame_targets_and_batches_without_clips_cost_nothing() -> None:
    nothing = torch.full((3, 8), NOT_KNOWN)
    model = Model(with_decoder=False)
    loss, _, logged = criterion(frame_updates=10)(model, sample(frame_targets=nothing))
    assert loss.item() == 0.0
    loss.backward()
    assert float(logged["num_frames_known"]) == 0
    loss, count, logged = criterion()(Model(), sample(nsentences=0, ntokens=0))
    assert (float(loss), count, float(logged["num_infeasible"])) == (0.0, 0, 0.0)


def test_padding_changes_no_term() -> None:
    read, said = decoder_tokens(TARGET, TARGET_LENGTHS, torch.tensor([7, 8, 7]))
    assert read[:, 0].tolist() == [7, 8, 7]
    logits = torch.randn(3, 4, len(SYMBOLS))
    together = attention_losses(logits, said, 0.2)
    for row, length in enumerate(TARGET_LENGTHS.tolist()):
        part = slice(row, row + 1), slice(0, length + 1)
        alone = attention_losses(logits[part], said[part], 0.2)
        torch.testing.assert_close(alone[0], together[row])
    targets = frames()
    scores = torch.randn(3, 8, len(SYMBOLS))
    torch.testing.assert_close(
        frame_losses(scores[1:2, :5], targets[1:2, :5])[0], frame_losses(scores, targets)[1]
    )
    assert float(frame_losses(scores, targets)[2]) == 0.0


def test_error_rates_and_accuracies_are_logged() -> None:
    model = Model(training=False)
    with torch.no_grad():
        model.logits.zero_()
        for row, path in enumerate(([0, 4, 4, 5, 0, 5, 0, 0], [0, 6, 0, 0, 0, 0, 0, 0], [0] * 8)):
            for t, token in enumerate(path):
                model.logits[row, t, token] = 9.0
    _, _, logged = criterion()(model, sample())
    with metrics.aggregate() as found:
        ExtCtcAttentionCriterion.reduce_metrics([logged, logged])
    values = found.get_smoothed_values()
    assert values["wer"] == pytest.approx(25.0)  # "a b b" for "a b a", "c" for "c"
    assert values["frame_accuracy"] == pytest.approx(100 * 10 / 13, abs=0.01)
    assert values["ctc"] == pytest.approx(float(logged["ctc"]) / 3, abs=1e-3)
    assert values["loss"] == pytest.approx(float(logged["loss"]) / 3 / math.log(2), abs=1e-3)
    assert values["weight_frames"] == 0.5
    assert "token_accuracy" in values


@pytest.mark.parametrize(
    ("keys", "has_labels", "message"),
    [
        ({"ctc_weight": 1.2}, True, "criterion.ctc_weight: a value from 0 to 1 expected"),
        ({"frame_updates": 5, "frame_weight": 0.0}, False, "need classes of frames; name their stream"),
        ({"frame_weight": 0.1}, False, "need classes of frames"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], has_labels: bool, message: str) -> None:
    task = SimpleNamespace(symbols=SYMBOLS, has_frame_labels=has_labels)
    with pytest.raises(ValueError, match=message):
        ExtCtcAttentionCriterion(task, **keys)
