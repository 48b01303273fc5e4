"""The criterion: what is summed, what is logged, when it warns."""

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fairseq.logging import metrics

from fairseq_ext.criterions.contrastive_diversity import (
    CollapseAlarm,
    ContrastiveDiversityCriterion,
    totals,
)


def model_of(logits: torch.Tensor, perplexity: float = 3.0) -> Callable[..., dict[str, Any]]:
    """Return a model that gives these logits (B, M, 1 + N)."""
    return lambda **_: {
        "logits": logits,
        "features_pen": torch.tensor(0.5),
        "prob_perplexity": torch.tensor(perplexity),
        "code_perplexity": torch.tensor(perplexity),
        "num_vars": 10,
        "num_groups": 2,
        "temp": 1.5,
    }


def score(
    logits: torch.Tensor, nsentences: int = 2, perplexity: float = 3.0
) -> tuple[Any, int, dict[str, Any]]:
    """Pass a batch through the criterion."""
    criterion = ContrastiveDiversityCriterion(None, 0.1, 10.0, 0)
    return criterion(
        model_of(logits, perplexity), {"net_input": {}, "nsentences": nsentences, "ntokens": 100 * nsentences}
    )


def logged_values(outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Return what fairseq's log would show."""
    with metrics.aggregate(new_root=True) as meters:
        ContrastiveDiversityCriterion.reduce_metrics(outputs)
    return {key: float(value) for key, value in meters.get_smoothed_values().items()}


def test_terms_add_up_with_their_weights() -> None:
    logits = torch.randn(2, 5, 4)
    loss, count, logged = score(logits)
    contrastive = -logits.log_softmax(2)[:, :, 0].sum()
    assert count == logged["sample_size"] == 10
    assert float(loss) == pytest.approx(float(contrastive) + 10 * (0.1 * 0.7 + 10.0 * 0.5), rel=1e-5)
    assert int(logged["num_correct"]) == int((logits.argmax(2) == 0).sum())


def test_equal_logits_are_not_right() -> None:
    assert int(score(torch.zeros(2, 5, 4))[2]["num_correct"]) == 0


def test_nothing_is_read_from_the_device() -> None:
    with torch.device("meta"):  # where reading a number raises
        logits = torch.randn(2, 5, 4, requires_grad=True)
        criterion = ContrastiveDiversityCriterion(None, 0.1, 10.0, 200)
        sample = {"net_input": {}, "nsentences": 2, "ntokens": 100}
        loss, count, logged = criterion(model_of(logits), sample)
        loss.backward()
    assert count == 10
    assert logged["loss"].is_meta


def test_batch_that_could_not_be_read_has_no_weight_and_no_gradient() -> None:
    logits = torch.randn(2, 5, 4, requires_grad=True)
    loss, count, logged = score(logits, nsentences=0)
    loss.backward()
    assert (float(loss.detach()), count) == (0.0, 0)
    assert not logits.grad.any()
    assert logged.keys() == score(torch.randn(1, 2, 3))[2].keys()
    assert not any(totals([logged]).values())
    assert not any(logged_values([logged]).values())


def test_logs_of_ranks_add_up() -> None:
    outputs = [score(torch.randn(2, 5, 4), 2, 3.0)[2], score(torch.randn(3, 2, 4), 3, 6.0)[2]]
    outputs.append(score(torch.randn(2, 5, 4), 0)[2])
    summed = {key: sum(float(output[key]) for output in outputs) for key in outputs[0]}
    found = logged_values(outputs)
    assert found == pytest.approx(logged_values([summed]))
    assert found["code_perplexity"] == pytest.approx((10 * 3.0 + 6 * 6.0) / 16, abs=1e-3)
    assert found["temperature"] == 1.5
    assert found["loss"] == pytest.approx(
        found["contrastive"] + (0.1 * found["diversity"] + 10 * 0.5) / math.log(2), abs=1e-3
    )
    assert ContrastiveDiversityCriterion.logging_outputs_can_be_summed()


def test_warns_when_few_codes_stay_in_use_with_advice(caplog: pytest.LogCaptureFixture) -> None:
    criterion = ContrastiveDiversityCriterion(None, 0.1, 10.0, 3).train()
    logged = score(torch.randn(2, 5, 4), perplexity=2.1)[2]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            criterion.watch([logged])
        assert not caplog.messages
        criterion.eval().watch([logged])  # validation does not count
        assert not caplog.messages
        criterion.train().watch([logged])
    assert len(caplog.messages) == 1
    assert "1.05 codes in use per group for 3 updates" in caplog.messages[0]
    assert "model.latent_temp" in caplog.messages[0]


def test_warns_when_every_answer_is_right() -> None:
    alarm = CollapseAlarm(2)
    assert [alarm.watch(100.0, 1.0) for _ in range(9)] == [
        False,
        True,
        False,
        True,
        *[False] * 3,
        True,
        False,
    ]


def test_a_healthy_update_starts_the_patience_anew() -> None:
    alarm = CollapseAlarm(2)
    assert not any(alarm.watch(1.0 if step % 2 else 50.0, 0.5) for step in range(20))
    assert not any(CollapseAlarm(0).watch(1.0, 1.0) for _ in range(5))


@pytest.mark.parametrize("name", ["diversity_weight", "penalty_weight"])
def test_weights_below_zero_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"criterion.{name}: 0 or more expected, found -1"):
        ContrastiveDiversityCriterion(
            None, **{"diversity_weight": 0.1, "penalty_weight": 10.0, "alarm_after": 0, name: -1}
        )
