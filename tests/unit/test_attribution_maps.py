"""Grids, maps, targets, the pointing game and correlations computed by hand; input that they refuse."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn

from fairseq_ext.decoding.alignment import TokenSpan
from fairseq_ext.explain.maps import AttributionMap, FrameGrid
from fairseq_ext.explain.pointing_score import pointing_game
from fairseq_ext.explain.sanity import map_correlation
from fairseq_ext.explain.targets import ClassTarget, TokenTarget, TranscriptTarget

GRID = FrameGrid(0.01, 0.005)


def made(values: list[float], grid: FrameGrid = GRID) -> AttributionMap:
    return AttributionMap("made up", "ç", np.array(values, dtype=np.float32), grid)


# Grids


def test_grid_of_wav2vec2_base() -> None:
    """A receptive field of 25 ms and a hop of 20 ms at 16 kHz (Baevski et al. 2020, section 4.2)."""
    grid = FrameGrid.of_convolutions([(10, 5, 0), *[(3, 2, 0)] * 4, *[(2, 2, 0)] * 2], sample_rate_hz=16000)
    assert grid.step_s == 0.02
    assert grid.first_centre_s == pytest.approx(199.5 / 16000)
    assert grid.num_frames(1.0) == 49


@given(
    layers=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=4
    )
)
@settings(max_examples=30, deadline=None)
def test_grid_agrees_with_real_convolutions(layers: list[tuple[int, int, int]]) -> None:
    """The middle of a frame's receptive field is where the gradient of convolutions of ones is centred."""
    stack = nn.Sequential(*(nn.Conv1d(1, 1, k, s, p, bias=False) for k, s, p in layers)).double()
    for parameter in stack.parameters():
        nn.init.ones_(parameter)
    waveform = torch.zeros(1, 1, 4000, dtype=torch.double, requires_grad=True)
    output = stack(waveform)[0, 0]
    frame = len(output) // 2  # far from padding
    (gradient,) = torch.autograd.grad(output[frame], waveform)
    centre = (gradient[0, 0] * torch.arange(4000)).sum() / gradient.sum()
    grid = FrameGrid.of_convolutions(layers, sample_rate_hz=1)
    assert float(centre) == pytest.approx(grid.centres_s(frame + 1)[frame])


def test_spans_start_and_end_half_a_step_off_the_centres() -> None:
    assert GRID.span_s(2, 4) == pytest.approx((0.02, 0.04))
    assert FrameGrid(0.02, 0.0).span_s(0, 1) == (0.0, 0.01)


@pytest.mark.parametrize("step_s", [0.0, -0.02, math.nan, math.inf])
def test_grid_without_a_step_is_refused(step_s: float) -> None:
    with pytest.raises(ValueError, match="expected a step above 0 s"):
        FrameGrid(step_s, 0.0)


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, math.nan], [math.inf]])
def test_maps_that_cannot_be_drawn_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"of 'ç': expected finite values"):
        made(values)


# Targets


def test_token_score_is_the_sum_over_its_frames() -> None:
    log_probs = torch.randn(2, 7, 4).log_softmax(2)
    target = TokenTarget("no", (TokenSpan(2, 1, 3, 0.0), TokenSpan(3, 5, 6, 0.0)))
    over_mean = log_probs - log_probs.mean(2, keepdim=True)
    expected = over_mean[:, 1, 2] + over_mean[:, 2, 2] + over_mean[:, 5, 3]
    torch.testing.assert_close(target(log_probs), expected)


def test_token_score_does_not_saturate() -> None:
    """The gradient is the same whether or not the network is certain of a token."""
    target, gradients = TokenTarget("no", (TokenSpan(2, 0, 1, 0.0),)), []
    for sureness in (0.0, 40.0):
        logits = torch.tensor([[[0.0, 0.0, sureness, 0.0]]], requires_grad=True)
        target(logits.log_softmax(2)).sum().backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


def test_transcript_score_sums_over_all_paths() -> None:
    log_probs = torch.randn(2, 3, 3).log_softmax(2)
    paths = [p for p in np.ndindex(3, 3, 3) if collapse(p) == [1, 2]]
    expected = torch.stack([log_probs[:, range(3), p].sum(1) for p in paths]).logsumexp(0)
    torch.testing.assert_close(TranscriptTarget("ab", (1, 2))(log_probs), expected)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [t for i, t in enumerate(path) if t and (i == 0 or path[i - 1] != t)]


LOG_PROBS = torch.zeros(1, 3, 4).log_softmax(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: TokenTarget("à", (TokenSpan(1, 0, 1, 0.0),))(LOG_PROBS[0]),
            r"\(B, T, V\), found shape \(3, 4\)",
        ),
        (lambda: TranscriptTarget("à", (1,))(LOG_PROBS.exp()), r"sum to 5.14; apply log_softmax"),
        (lambda: TokenTarget("ŀl", ()), "'ŀl' has no tokens"),
        (
            lambda: TokenTarget("ŀl", (TokenSpan(1, 2, 5, 0.0),))(LOG_PROBS),
            "'ŀl': expected 5 frames or more, found 3",
        ),
        (lambda: ClassTarget("à", 4)(torch.zeros(1, 4)), r"'à': expected logits \(B, C\) with C > 4"),
        (lambda: ClassTarget("à", 1)(LOG_PROBS), r"found shape \(1, 3, 4\)"),
    ],
)
def test_targets_refuse(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# Pointing game


def test_pointing_game_counts_by_hand() -> None:
    maps = [made([0, 3, 1, 0]), made([2, 0, 0, 6]), made([-1, -2, -1, 0])]
    found = pointing_game(maps, [(0.01, 0.02), (0.0, 0.01), (0.0, 0.02)], tolerance_s=0, seed=1)
    assert found.hit_rate.value == pytest.approx(1 / 3)
    assert found.mass_inside.value == pytest.approx((0.75 + 0.25 + 0) / 3)
    assert found.chance == pytest.approx((1 + 1 + 2) / 12)
    assert (found.num_cases, found.num_flat) == (3, 1)
    assert found.hit_rate.low <= found.hit_rate.value <= found.hit_rate.high


def test_tolerance_widens_the_span() -> None:
    maps, spans = [made([0, 0, 1, 0])], [(0.008, 0.02)]
    assert pointing_game(maps, spans, tolerance_s=0.0, seed=1).hit_rate.value == 0
    assert pointing_game(maps, spans, tolerance_s=0.005, seed=1).hit_rate.value == 1


def test_random_points_hit_at_chance() -> None:
    generator = np.random.default_rng(3)
    maps = [made(generator.random(20).tolist()) for _ in range(2000)]
    found = pointing_game(maps, [(0.05, 0.1)] * 2000, tolerance_s=0, seed=1)
    assert found.chance == 0.25
    assert found.hit_rate.value == pytest.approx(0.25, abs=0.04)
    assert found.mass_inside.value == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("num_maps", "spans", "tolerance_s", "message"),
    [
        (0, [], 0.0, "found 0, 0"),
        (2, [(0.0, 1.0)], 0.0, "found 2, 1"),
        (1, [(0.0, 1.0)], -0.1, "tolerance_s >= 0"),
        (1, [(0.5, 0.5)], 0.0, "'ç': expected 0 <= start < end"),
    ],
)
def test_pointing_game_refuses(
    num_maps: int, spans: list[tuple[float, float]], tolerance_s: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pointing_game([made([1.0, 2.0])] * num_maps, spans, tolerance_s=tolerance_s, seed=1)


# Correlation of maps


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=20))
def test_rank_correlation_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = map_correlation(made(list(first)), made(list(second)))
    expected = 0.0 if len(set(first)) == 1 or len(set(second)) == 1 else spearmanr(first, second).statistic
    assert found == pytest.approx(expected, abs=1e-9)


def test_frames_out_of_reach_do_not_make_maps_alike() -> None:
    far = [0.0] * 50
    assert map_correlation(made([*far, 1, 2, 3, *far]), made([*far, 3, 2, 1, *far])) == pytest.approx(-1)
    assert map_correlation(made(far), made(far)) == 0
    with pytest.raises(ValueError, match="expected equally many frames, found 2 and 3"):
        map_correlation(made([1, 2]), made([1, 2, 3]))
