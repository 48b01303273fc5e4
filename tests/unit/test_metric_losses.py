"""Losses on embeddings against plain loops, and the signs of a collapse."""

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_ext.criterions._collapse import CollapseAlarm
from fairseq_ext.modules.metric_losses import (
    MININGS,
    additive_margin,
    decorrelation,
    effective_rank,
    spread,
    supervised_contrast,
    triplets,
)

LABELS = torch.tensor([0, 0, 1, 1, 1, 2])


def vectors(size: int = 6, dim: int = 5, seed: int = 1) -> Tensor:
    """Return random vectors of norm 1."""
    return F.normalize(torch.randn(size, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def plain_triplets(embedding: Tensor, margin: float, mining: str) -> list[float]:
    """Return the losses, pair by pair."""
    apart = torch.cdist(embedding, embedding)
    found = []
    for anchor in range(len(embedding)):
        positives = [i for i in range(len(embedding)) if i != anchor and LABELS[i] == LABELS[anchor]]
        negatives = [float(apart[anchor, i]) for i in range(len(embedding)) if LABELS[i] != LABELS[anchor]]
        distances = [float(apart[anchor, i]) for i in positives]
        if mining == "batch_hard":
            distances = [max(distances)] if distances else []
        for distance in distances:
            nearest = min(negatives)
            if mining == "semi_hard":
                nearest = min((d for d in negatives if d > distance), default=max(negatives))
            found.append(max(0.0, margin + distance - nearest))
    return found


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_triplets_equal_plain_loops(mining: str, seed: int) -> None:
    embedding = vectors(seed=seed)
    found = triplets(embedding, LABELS, 0.3, mining).losses
    assert found.tolist() == pytest.approx(plain_triplets(embedding, 0.3, mining), abs=1e-5)


@pytest.mark.parametrize("mining", MININGS)
def test_triplets_of_a_collapse_cost_the_margin_and_have_finite_gradients(mining: str) -> None:
    embedding = vectors(1).repeat(6, 1).requires_grad_()
    losses = triplets(embedding, LABELS, 0.3, mining).losses
    assert losses.tolist() == pytest.approx([0.3] * len(losses), abs=1e-4)
    losses.sum().backward()
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()


@pytest.mark.parametrize("labels", [torch.zeros(6), torch.arange(6)])
def test_nothing_to_compare_gives_no_triplets(labels: Tensor) -> None:
    assert len(triplets(vectors(), labels, 0.3, "batch_hard").losses) == 0
    assert len(triplets(vectors(), labels, 0.3, "semi_hard").losses) == 0


def test_supervised_contrast_equals_plain_loops() -> None:
    embedding = vectors()
    expected = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        total = sum(math.exp(float(embedding[i] @ embedding[j]) / 0.1) for j in others)
        own = [
            float(embedding[i] @ embedding[j]) / 0.1 - math.log(total)
            for j in others
            if LABELS[j] == LABELS[i]
        ]
        if own:
            expected.append(-sum(own) / len(own))
    assert supervised_contrast(embedding, LABELS, 0.1).tolist() == pytest.approx(expected, abs=1e-4)


def test_additive_margin_takes_from_the_own_class_only() -> None:
    logits = 30.0 * torch.tensor([[0.9, 0.1], [0.2, 0.4], [0.3, 0.3]])
    targets = torch.tensor([0, 1, -100])
    moved = logits[:2] - 30.0 * torch.tensor([[0.2, 0.0], [0.0, 0.2]])
    expected = F.cross_entropy(moved, targets[:2], reduction="none")
    torch.testing.assert_close(additive_margin(logits, targets, 0.2, 30.0, -100), expected)


def test_decorrelation_costs_nothing_where_all_is_as_it_shall_be() -> None:
    axes = torch.eye(4).repeat_interleave(2, 0)
    white = torch.cat([axes, -axes]) * (15 / 4) ** 0.5  # two of each class, each axis of variance 1
    labels = torch.arange(16) // 2
    assert float(decorrelation(white, labels)) == pytest.approx(0.0, abs=1e-4)
    assert float(decorrelation(torch.zeros(16, 4), labels)) == pytest.approx(0.99, abs=1e-4)  # no variance
    alike = white[:, :1].expand(-1, 4)
    assert float(decorrelation(alike, labels)) > 0.3  # one direction four times
    assert float(decorrelation(white, torch.arange(16) % 8)) > 1.0  # classes that do not hold together


def test_spread_and_rank_count_directions() -> None:
    axes = torch.eye(8)
    assert float(effective_rank(torch.cat([axes, -axes]))) == pytest.approx(8.0, abs=1e-3)
    assert float(spread(torch.cat([axes, -axes]))) == pytest.approx(1.0)
    line = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 0.05]]), dim=1)
    assert float(effective_rank(line)) < 1.1
    point = axes[:1].repeat(5, 1)
    assert (float(effective_rank(point)), float(spread(point))) == (1.0, 0.0)


HEALTHY = {"triplet_loss": 0.12, "spread": 0.9, "rank": 15.0}


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        ({"triplet_loss": 0.301}, "triplet loss 0.301 at its margin of 0.3"),
        ({"spread": 0.001}, "variance 0.001"),
        ({"rank": 1.1}, "effective rank 1.10"),
    ],
)
def test_alarm_warns_once_with_advice(
    signs: dict[str, float], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    alarm = CollapseAlarm(3, 0.3)
    with caplog.at_level(logging.WARNING):
        warned = [alarm.watch(**{**HEALTHY, **signs}) for _ in range(9)]
    assert warned == [False, False, True] + [False] * 6
    assert said in caplog.text
    assert "for 3 updates; try criterion.mining" in caplog.text


def test_alarm_is_silent_while_training_is_healthy_or_recovers() -> None:
    alarm = CollapseAlarm(3, 0.3)
    assert not any(alarm.watch(**HEALTHY) for _ in range(9))
    for _ in range(5):
        assert not any(alarm.watch(**{**HEALTHY, "triplet_loss": 0.3}) for _ in range(2))
        assert not alarm.watch(**HEALTHY)
    assert not any(CollapseAlarm(0, 0.3).watch(0.3, 0.0, 1.0) for _ in range(9))
    assert not any(alarm.watch(None, 0.9, 15.0) for _ in range(9))  # no triplets in the batches
