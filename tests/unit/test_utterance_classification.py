"""The classification criterion against torch, and its logs."""

import math
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from fairseq.logging import metrics

from fairseq_ext.criterions.utterance_classification import UtteranceClassificationCriterion

LOGITS = torch.randn(20, 7, generator=torch.Generator().manual_seed(1))
TARGET = torch.randint(7, (20,), generator=torch.Generator().manual_seed(2))


def score(
    criterion: Any, rows: slice, logits: torch.Tensor = LOGITS
) -> tuple[torch.Tensor, int, dict[str, Any]]:
    """Score some rows of the batch."""
    part = logits[rows]
    batch = {
        "net_input": {},
        "target": TARGET[rows],
        "nsentences": len(part),
        "ntokens": 10 * len(part),
    }
    result: tuple[torch.Tensor, int, dict[str, Any]] = criterion(lambda **_: {"logits": part}, batch)
    return result


def logged_values(criterion: Any, outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Return what fairseq's log would show."""
    with metrics.aggregate(new_root=True) as meters:
        criterion.reduce_metrics(outputs)
    return {key: float(value) for key, value in meters.get_smoothed_values().items()}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_that_of_torch_smoothed_in_training_only(smoothing: float) -> None:
    criterion = UtteranceClassificationCriterion(None, smoothing)
    for training, share in ((True, smoothing), (False, 0.0)):
        loss, size, _ = score(criterion.train(training), slice(None))
        expected = F.cross_entropy(LOGITS, TARGET, label_smoothing=share, reduction="sum")
        assert float(loss) == pytest.approx(float(expected))
        assert size == 20


def test_log_shows_bits_and_percent() -> None:
    criterion = UtteranceClassificationCriterion(None, 0.0)
    _, _, logged = score(criterion, slice(None))
    values = logged_values(criterion, [logged])
    assert values["loss"] == pytest.approx(float(F.cross_entropy(LOGITS, TARGET)) / math.log(2), abs=1e-4)
    right = (LOGITS.argmax(1) == TARGET).float().mean()
    assert values["accuracy"] == pytest.approx(100 * float(right), abs=1e-3)


def test_logs_of_parts_add_up_to_those_of_the_whole() -> None:
    criterion = UtteranceClassificationCriterion(None, 0.1)
    whole = score(criterion, slice(None))
    parts = [score(criterion, slice(*ends)) for ends in ((0, 3), (3, 11), (11, 20))]
    assert sum(float(part[0]) for part in parts) == pytest.approx(float(whole[0]))
    for key in whole[2]:
        assert sum(float(part[2][key]) for part in parts) == pytest.approx(float(whole[2][key]))
    expected = logged_values(criterion, [whole[2]])
    assert logged_values(criterion, [part[2] for part in parts]) == pytest.approx(expected)
    assert criterion.logging_outputs_can_be_summed()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_batch_that_could_not_be_read_has_no_weight(smoothing: float) -> None:
    criterion = UtteranceClassificationCriterion(None, smoothing)
    logits = torch.randn(2, 7, requires_grad=True)
    batch = {"net_input": {}, "target": torch.tensor([-100, -100]), "nsentences": 0, "ntokens": 0}
    loss, size, logged = criterion(lambda **_: {"logits": logits}, batch)
    loss.backward()
    assert (float(loss.detach()), size) == (0.0, 0)
    assert logits.grad is not None
    assert not logits.grad.any()
    full = score(criterion, slice(None))[2]
    assert logged.keys() == full.keys()
    assert logged_values(criterion, [full, logged]) == logged_values(criterion, [full])
    assert logged_values(criterion, [logged]) == {"loss": 0.0, "accuracy": 0.0}


def test_update_of_unread_batches_leaves_the_averages_alone() -> None:
    criterion = UtteranceClassificationCriterion(None, 0.0)
    full = score(criterion, slice(None))[2]
    nothing = dict.fromkeys(full, 0.0)
    with metrics.aggregate(new_root=True) as meters:
        for output in (full, nothing):
            criterion.reduce_metrics([output])
    assert dict(meters.get_smoothed_values()) == logged_values(criterion, [full])


def test_gradient_is_that_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    criterion = UtteranceClassificationCriterion(None, 0.1)
    logits = LOGITS[:4].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: score(criterion, slice(0, 4), x)[0], logits)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_is_a_share(smoothing: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        UtteranceClassificationCriterion(None, smoothing)


class TwoStreams:
    """A task of two label streams, of uneven classes."""

    streams: ClassVar = {"accent": ["balear", "central", "valencià"], "gender": ["female", "male"]}

    def class_counts(self) -> dict[str, list[int]]:
        """Rows of each class."""
        return {"accent": [1, 6, 3], "gender": [8, 2]}


HEADS = [LOGITS[:6, :3], LOGITS[:6, 3:5]]
BOTH = torch.tensor([[0, 1], [1, -100], [2, 0], [1, 0], [-100, -100], [1, 1]])


def score_both(criterion: Any, targets: torch.Tensor = BOTH) -> tuple[torch.Tensor, int, dict[str, Any]]:
    """Score a batch of two streams with gaps."""
    batch = {"net_input": {}, "target": targets, "nsentences": len(targets), "ntokens": 9}
    output = {"logits": HEADS[0], "all_logits": HEADS}
    result: tuple[torch.Tensor, int, dict[str, Any]] = criterion(lambda **_: output, batch)
    return result


def test_labels_that_are_not_known_count_nowhere() -> None:
    loss, size, logged = score_both(UtteranceClassificationCriterion(TwoStreams(), 0.0))
    accent, gender = [0, 1, 2, 3, 5], [0, 2, 3, 5]
    expected = F.cross_entropy(HEADS[0][accent], BOTH[accent, 0], reduction="sum") + F.cross_entropy(
        HEADS[1][gender], BOTH[gender, 1], reduction="sum"
    )
    assert float(loss) == pytest.approx(float(expected))
    assert (size, logged["nsentences"]) == (9, 6)


def test_each_stream_has_its_accuracy() -> None:
    criterion = UtteranceClassificationCriterion(TwoStreams(), 0.0)
    values = logged_values(criterion, [score_both(criterion)[2]] * 2)
    right = [HEADS[i].argmax(1) == BOTH[:, i] for i in (0, 1)]
    assert values["accuracy_accent"] == pytest.approx(100 * int(right[0].sum()) / 5, abs=1e-3)
    assert values["accuracy_gender"] == pytest.approx(100 * int(right[1].sum()) / 4, abs=1e-3)
    assert values["accuracy"] == pytest.approx(100 * int(right[0].sum() + right[1].sum()) / 9, abs=1e-3)


def test_unread_batch_of_two_streams_has_no_weight_and_the_same_keys() -> None:
    criterion = UtteranceClassificationCriterion(TwoStreams(), 0.1)
    batch = {"net_input": {}, "target": torch.tensor([-100, -100]), "nsentences": 0, "ntokens": 0}
    heads = [torch.randn(2, size, requires_grad=True) for size in (3, 2)]
    loss, size, logged = criterion(lambda **_: {"logits": heads[0], "all_logits": heads}, batch)
    loss.backward()
    assert (float(loss.detach()), size) == (0.0, 0)
    # every head has a gradient, or the ranks would wait for each other
    assert all(logits.grad is not None and not logits.grad.any() for logits in heads)
    assert logged.keys() == score_both(criterion)[2].keys()


def test_balanced_loss_is_that_computed_by_hand() -> None:
    criterion = UtteranceClassificationCriterion(TwoStreams(), 0.0, "balanced")
    weights = ([10 / 3, 10 / 18, 10 / 9], [10 / 16, 10 / 4])  # rows / (classes x rows of the class)
    expected = 0.0
    for stream, of_class in enumerate(weights):
        for logits, target in zip(HEADS[stream], BOTH[:, stream].tolist(), strict=True):
            if target >= 0:
                expected -= of_class[target] * float(logits.log_softmax(0)[target])
    assert float(score_both(criterion)[0]) == pytest.approx(expected, rel=1e-5)
    plain = UtteranceClassificationCriterion(TwoStreams(), 0.0)
    assert float(score_both(criterion.eval())[0]) == pytest.approx(float(score_both(plain)[0]))


def test_unknown_class_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class_weights: one of none, balanced expected, found 'some'"):
        UtteranceClassificationCriterion(TwoStreams(), 0.0, "some")
