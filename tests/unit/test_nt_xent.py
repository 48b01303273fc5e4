"""NT-Xent against a reference in plain loops, and its properties."""

import math
from typing import Any

import pytest
import torch
from fairseq.logging import metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.criterions.nt_xent import NtXentCriterion, nt_xent


def reference(projection: torch.Tensor, temperature: float) -> list[float]:
    """Equation 1 of Chen et al. 2020, term by term."""
    rows = [[float(x) for x in row] for row in projection]

    def cosine(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    half, losses = len(rows) // 2, []
    for i, anchor in enumerate(rows):
        scores = {k: math.exp(cosine(anchor, row) / temperature) for k, row in enumerate(rows) if k != i}
        losses.append(-math.log(scores[(i + half) % len(rows)] / sum(scores.values())))
    return losses


def draw(batch: int, width: int, seed: int) -> torch.Tensor:
    """Projections of 2 `batch` views."""
    return torch.randn(2 * batch, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 6), st.integers(1, 5), st.floats(0.1, 2.0), st.integers(0, 1000))
def test_equals_plain_loops(batch: int, width: int, temperature: float, seed: int) -> None:
    projection = draw(batch, width, seed)
    losses, _ = nt_xent(projection, temperature)
    assert losses.tolist() == pytest.approx(reference(projection, temperature), rel=1e-4, abs=1e-5)


def test_gradient_is_that_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    # the loss computes in float32 on purpose; the check needs more digits
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    projection = draw(3, 4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: nt_xent(p, 0.5)[0], projection)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(5)), st.integers(0, 1000))
def test_order_of_the_recordings_does_not_matter(order: list[int], seed: int) -> None:
    projection = draw(5, 3, seed)
    shuffled = projection[order + [5 + i for i in order]]
    losses, correct = nt_xent(projection, 0.2)
    moved, moved_correct = nt_xent(shuffled, 0.2)
    assert torch.allclose(losses[order + [5 + i for i in order]], moved, atol=1e-5)
    assert int(correct.sum()) == int(moved_correct.sum())


def test_swapping_the_views_and_scaling_change_nothing() -> None:
    projection = draw(4, 3, 2)
    losses = nt_xent(projection, 0.1)[0]
    assert torch.allclose(nt_xent(projection.roll(4, 0), 0.1)[0], losses.roll(4), atol=1e-5)
    assert torch.allclose(nt_xent(projection * 37.0, 0.1)[0], losses, atol=1e-4)


def test_equal_views_far_from_others_cost_nothing() -> None:
    projection = torch.eye(4).repeat(2, 1)
    losses, correct = nt_xent(projection, 0.05)
    assert correct.all()
    assert float(losses.max()) < 1e-6


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_collapse_costs_the_logarithm_of_the_choices(value: float) -> None:
    losses, _ = nt_xent(torch.full((8, 3), value, requires_grad=True), 0.1)
    assert losses.tolist() == pytest.approx([math.log(7)] * 8)
    losses.sum().backward()


@pytest.mark.parametrize("num_views", [0, 1, 2, 5])
def test_nothing_to_tell_apart_is_refused(num_views: int) -> None:
    with pytest.raises(ValueError, match=f"found {num_views}"):
        nt_xent(torch.ones(num_views, 3), 0.1)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        NtXentCriterion(None, temperature)


def batch_of(projection: torch.Tensor) -> tuple[Any, dict[str, Any]]:
    """Return a model that gives these projections, and a batch for it."""
    batch = {"net_input": {}, "nsentences": len(projection) // 2, "ntokens": 100}
    return (lambda **_: {"projection": projection}), batch


@pytest.mark.parametrize(("size", "nsentences"), [(1, 1), (2, 0)])
def test_nothing_to_contrast_has_no_weight_and_no_gradient(size: int, nsentences: int) -> None:
    projection = draw(size, 3, 1).requires_grad_()
    model, batch = batch_of(projection)
    loss, weight, logged = NtXentCriterion(None, 0.1)(model, {**batch, "nsentences": nsentences})
    assert (float(loss.detach()), weight, logged["sample_size"]) == (0.0, 0, 0)
    loss.backward()
    assert projection.grad is not None
    assert not projection.grad.any()
    # the same entries as every rank's: fairseq adds them one by one
    assert logged.keys() == NtXentCriterion(None, 0.1)(*batch_of(draw(4, 3, 1)))[2].keys()


def test_logs_of_ranks_add_up() -> None:
    criterion = NtXentCriterion(None, 0.1)
    outputs = []
    for seed, size in ((1, 4), (2, 9), (3, 1)):  # the last has no weight
        outputs.append(criterion(*batch_of(draw(size, 3, seed)))[2])
    summed = {key: sum(float(output[key]) for output in outputs) for key in outputs[0]}
    assert logged_values(criterion, outputs) == pytest.approx(logged_values(criterion, [summed]))
    assert criterion.logging_outputs_can_be_summed()
    assert not any(logged_values(criterion, outputs[-1:]).values())


def logged_values(criterion: Any, outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Return what fairseq's log would show."""
    with metrics.aggregate(new_root=True) as meters:
        criterion.reduce_metrics(outputs)
    return {key: float(value) for key, value in meters.get_smoothed_values().items()}
