"""Pooling over time: padding never counts, known values, single frames, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.modules.padding import valid_mask
from fairseq_ext.modules.pooling import (
    AttentiveStatisticsPooling,
    MeanPooling,
    StatisticsPooling,
    masked_max,
    masked_mean,
    masked_std,
    segment_means,
)

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=4)


@settings(max_examples=20, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 99))
@pytest.mark.parametrize("kind", [MeanPooling, StatisticsPooling, AttentiveStatisticsPooling])
def test_padding_never_counts(lengths: list[int], seed: int, kind: type) -> None:
    torch.manual_seed(seed)
    pooling = kind(6) if kind is AttentiveStatisticsPooling else kind()
    frames = torch.randn(len(lengths), max(lengths) + 2, 6)  # what lies beyond the end is not zero
    pooled = pooling(frames, torch.tensor(lengths))
    assert pooled.shape == (len(lengths), pooling.out_dim(6))
    for i, length in enumerate(lengths):
        alone = pooling(frames[i : i + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(pooled[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_known_values() -> None:
    frames = torch.tensor([[[1.0], [3.0], [99.0]]])
    lengths = torch.tensor([2])
    assert float(masked_mean(frames, lengths)) == 2.0
    assert float(masked_std(frames, lengths)) == pytest.approx(1.0, abs=1e-4)
    assert float(masked_max(frames, lengths)) == 3.0


def test_no_frames_gives_zeros_and_one_frame_has_a_gradient() -> None:
    frames = torch.randn(1, 3, 2, requires_grad=True)
    assert masked_mean(frames, torch.tensor([0])).abs().sum() == 0
    assert masked_max(frames, torch.tensor([0])).abs().sum() == 0
    masked_std(frames, torch.tensor([1])).sum().backward()
    assert frames.grad is not None
    assert bool(torch.isfinite(frames.grad).all())


@settings(max_examples=20, deadline=None)
@given(lengths=LENGTHS, num_segments=st.integers(1, 8))
def test_segments_average_to_the_mean_and_ignore_padding(lengths: list[int], num_segments: int) -> None:
    torch.manual_seed(1)
    frames = torch.randn(len(lengths), max(lengths), 3)
    size = torch.tensor(lengths)
    pooled = segment_means(frames * valid_mask(size, max(lengths))[:, :, None], size, num_segments)
    torch.testing.assert_close(pooled.mean(1), masked_mean(frames, size), rtol=1e-4, atol=1e-5)


def test_segments_of_a_ramp() -> None:
    frames = torch.arange(6.0)[None, :, None]
    assert segment_means(frames, torch.tensor([6]), 3)[0, :, 0].tolist() == pytest.approx([0.5, 2.5, 4.5])
