"""Methods of attribution on a linear network, where the correct maps are known; input that they refuse."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fairseq_ext.decoding.alignment import TokenSpan
from fairseq_ext.explain.background import background_noise
from fairseq_ext.explain.cam import gradcam, hirescam
from fairseq_ext.explain.integrated import FLOOR_DB, integrated_gradients, time_frequency
from fairseq_ext.explain.maps import FrameGrid
from fairseq_ext.explain.methods import METHODS, attribute, attribute_each
from fairseq_ext.explain.network import Network
from fairseq_ext.explain.occlusion import occlusion
from fairseq_ext.explain.targets import ClassTarget, TokenTarget
from fairseq_ext.modules.spectral import MelSpectrogram

RATE, HOP = 1000, 10
GRID = FrameGrid(HOP / RATE, HOP / 2 / RATE)


class Frames(nn.Module):
    """A network that cuts a waveform into frames, (B, S) -> (B, T, D); a linear classifier or CTC head on top."""

    def __init__(self, num_outputs: int = 4) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.encoder = nn.Linear(HOP, 16, bias=False)
        self.head = nn.Linear(16, num_outputs)

    def frames(self, waveform: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(waveform.unfold(1, HOP, HOP))
        return encoded

    def ctc(self, waveform: Tensor) -> Tensor:
        return self.head(self.frames(waveform)).log_softmax(2)  # type: ignore[no-any-return]

    def classes(self, waveform: Tensor) -> Tensor:
        """Return logits (B, C) in which later frames weigh more."""
        frames = self.frames(waveform)
        weights = torch.arange(1.0, frames.shape[1] + 1)
        return torch.einsum("btd,t,cd->bc", frames, weights, self.head.weight)


@pytest.fixture
def model() -> Frames:
    return Frames().eval()


@pytest.fixture
def waveform() -> Tensor:
    return torch.randn(1, 8 * HOP, generator=torch.Generator().manual_seed(2))


def classifier(model: Frames) -> Network:
    return Network(model.classes, model.encoder, 1, GRID, RATE)


# Methods on a linear network, where maps are known


def test_linear_network_has_known_maps(model: Frames, waveform: Tensor) -> None:
    frames = model.frames(waveform)[0].detach()  # (T, D)
    gradient = torch.arange(1.0, 9.0)[:, None] * model.head.weight[2].detach()  # (T, D)
    found = hirescam(classifier(model), waveform, ClassTarget("two", 2))
    np.testing.assert_allclose(found.values, (frames * gradient).sum(1), rtol=1e-5)
    found = gradcam(classifier(model), waveform, ClassTarget("two", 2))
    np.testing.assert_allclose(found.values, (frames * gradient.mean(0)).sum(1).relu(), rtol=1e-5)


@pytest.mark.parametrize("place", ["waveform", "layer"])
def test_linear_network_makes_integrated_gradients_equal_hirescam(
    model: Frames, waveform: Tensor, place: str
) -> None:
    """The head works frame by frame and the path is straight: both split the logit in the same way."""
    found = integrated_gradients(
        classifier(model), waveform, ClassTarget("two", 2), place=place, baseline="silence"
    )
    expected = hirescam(classifier(model), waveform, ClassTarget("two", 2))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-5)


def test_occlusion_of_a_linear_network_is_what_each_window_holds(model: Frames, waveform: Tensor) -> None:
    target = ClassTarget("two", 2)
    found = occlusion(
        classifier(model), waveform, target, window_s=0.01, step_s=0.01, fill="silence", batch_size=3
    )
    covered = 1 - torch.tensor([0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.2])  # ramps of 5 samples
    for i, value in enumerate(found.values):
        rest = waveform.clone()
        rest[:, i * HOP : (i + 1) * HOP] *= covered
        assert value == pytest.approx((model.classes(waveform) - model.classes(rest))[0, 2].item(), abs=1e-4)


def test_cells_average_the_windows_over_them(model: Frames) -> None:
    """One sample that is not 0, off every ramp: a window of 3 cells loses all of it or nothing."""
    waveform = torch.zeros(1, 8 * HOP)
    waveform[0, 45] = 1.0
    target = ClassTarget("two", 2)
    found = occlusion(classifier(model), waveform, target, window_s=0.03, step_s=0.01, fill="silence")
    lost = (model.classes(waveform) - model.classes(0 * waveform))[0, 2].item()
    expected = lost / 3 * np.array([0, 0, 1, 2, 3, 2, 1, 0])
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    np.testing.assert_allclose(found.grid.centres_s(8), GRID.centres_s(8))


def test_background_noise_is_as_loud_as_the_quietest_tenth() -> None:
    waveform = torch.cat([torch.randn(1, 4000) * 0.5, torch.randn(1, 4000) * 0.01], dim=1)
    noise = background_noise(waveform, RATE)
    assert float(noise.std()) == pytest.approx(0.01, rel=0.4)
    assert torch.equal(noise, background_noise(waveform, RATE))
    assert not background_noise(torch.zeros(1, 5), RATE).any()
    halves = torch.cat([torch.randn(1, 4000), torch.zeros(1, 4000)], dim=1)
    assert not background_noise(halves, RATE).any()
    assert float(background_noise(halves, RATE, floor_db=-40).std()) == pytest.approx(0.01 / 2**0.5, rel=0.05)


def test_parameters_may_be_frozen_and_gradients_off(model: Frames, waveform: Tensor) -> None:
    target = TokenTarget("x", (TokenSpan(1, 2, 4, 0.0),))
    network = Network(model.ctc, model.encoder, 1, GRID, RATE)
    expected = hirescam(network, waveform, target)
    model.requires_grad_(False)
    with torch.no_grad():
        np.testing.assert_array_equal(hirescam(network, waveform, target).values, expected.values)
    assert np.flatnonzero(expected.values).tolist() == [2, 3]  # this head works frame by frame


@pytest.mark.parametrize("method", METHODS)
def test_scores_explained_together_have_the_maps_of_each_alone(
    model: Frames, waveform: Tensor, method: str
) -> None:
    network = Network(model.ctc, model.encoder, 1, GRID, RATE)
    targets = [TokenTarget(str(i), (TokenSpan(i, 2 * i, 2 * i + 2, 0.0),)) for i in (1, 2, 3)]
    together = attribute_each(network, waveform, targets, method)
    for target, found in zip(targets, together, strict=True):
        alone = attribute(network, waveform, target, method)
        assert (found.method, found.target, found.grid) == (alone.method, alone.target, alone.grid)
        np.testing.assert_allclose(found.values, alone.values, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="expected a method among"):
        attribute_each(network, waveform, targets, "magic")


# Integration along a path


def of_samples(forward: Callable[[Tensor], Tensor]) -> Network:
    """Make a network of one logit whose frames are the samples."""
    return Network(forward, nn.Identity(), 1, FrameGrid(1 / RATE, 0.5 / RATE), RATE)


def test_gradient_is_integrated_exactly_for_polynomials() -> None:
    network, end = of_samples(lambda points: (points**3).sum(1, keepdim=True)), torch.tensor([[2.0, 3.0]])
    found = integrated_gradients(network, end, ClassTarget("cubes", 0))
    start = background_noise(end, RATE, FLOOR_DB)
    np.testing.assert_allclose(found.values, (end**3 - start**3)[0], rtol=1e-5)
    found = integrated_gradients(network, end, ClassTarget("cubes", 0), baseline="silence")
    assert found.values.sum() == pytest.approx(35)
    assert found.residual == pytest.approx(0, abs=1e-5)


def test_path_is_refined_where_the_score_moves() -> None:
    """A network that normalises its input: all happens near silence, where evenly spaced points are not."""
    num_points = 0

    def normalised(points: Tensor) -> Tensor:
        nonlocal num_points
        num_points += len(points)
        points = points.double()
        return 5 * (points / (points.norm(dim=1, keepdim=True) + 1e-4))[:, :1]

    clip, target = torch.tensor([[0.6, 0.8]]), ClassTarget("first", 0)
    explain = partial(integrated_gradients, of_samples(normalised), clip, target, baseline="silence")
    found = explain(tolerance=0.01)
    assert found.residual is not None
    assert found.residual <= 0.01
    assert float(found.values.sum()) == pytest.approx(3.0, rel=0.02)
    assert num_points > 40
    with pytest.raises(
        ValueError, match=r"add up to the difference of scores 3 within 1%, found .* raise max_points"
    ):
        explain(tolerance=0.01, max_points=20)


@settings(max_examples=20, deadline=None)
@given(num_samples=st.integers(1, 700), hop_ms=st.integers(2, 12), seed=st.integers(0, 99))
def test_time_frequency_split_keeps_the_sum(num_samples: int, hop_ms: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    waveform, gradient = torch.randn(2, num_samples, generator=generator)
    mel = MelSpectrogram(RATE, n_mels=8, window_ms=25, hop_ms=hop_ms)
    split = time_frequency(waveform, gradient, mel)
    assert split.shape == (1 + num_samples // mel.hop, 8)
    assert float(split.sum()) == pytest.approx(float(waveform @ gradient), rel=1e-3, abs=1e-3)


def test_time_frequency_split_refuses_gaps() -> None:
    mel = MelSpectrogram(RATE, n_mels=8, window_ms=25, hop_ms=40)
    with pytest.raises(ValueError, match="windows that overlap by half or more, found a hop of 40 samples"):
        time_frequency(torch.ones(200), torch.ones(200), mel)


# What cannot be explained is refused


def refusals(model: Frames, waveform: Tensor) -> dict[str, tuple[Callable[[], object], str]]:
    token, two = TokenTarget("x", (TokenSpan(1, 2, 4, 0.0),)), ClassTarget("two", 2)
    gru = nn.GRU(16, 16, batch_first=True).eval()

    def network(layer: nn.Module, axis: int = 1, grid: FrameGrid = GRID, forward: object = None) -> Network:
        return Network(forward or model.ctc, layer, axis, grid, RATE)  # type: ignore[arg-type]

    encoder = network(model.encoder)
    return {
        "flat waveform": (
            lambda: hirescam(encoder, waveform[0], token),
            r"waveform \(B, S\), found shape \(80,\)",
        ),
        "two clips": (
            lambda: occlusion(encoder, waveform.expand(2, -1), token),
            r"\(1, S\), found shape \(2, 80\)",
        ),
        "no samples": (lambda: encoder.output(waveform[:, :0]), r"\(B, S\), found shape \(1, 0\)"),
        "batch axis": (lambda: network(model.encoder, 0), "expected time_axis 1 .* or 2 .*, found 0"),
        "wrong axis": (
            lambda: hirescam(network(model.encoder, 2), waveform, token),
            r"about 8 frames on axis 2 of \(1, 8, 16\), found 16; state the other time_axis",
        ),
        "wrong grid": (
            lambda: hirescam(network(model.encoder, grid=FrameGrid(0.02, 0.01)), waveform, token),
            r"expected about 4 frames on axis 1 of \(1, 8, 16\), found 8",
        ),
        "unused layer": (lambda: hirescam(network(nn.Linear(2, 2)), waveform, token), "one call .*, found 0"),
        "tuple": (
            lambda: hirescam(
                network(gru, forward=lambda w: gru(model.frames(w))[0].log_softmax(2)), waveform, token
            ),
            "GRU: expected one tensor, found tuple",
        ),
        "pooled layer": (
            lambda: hirescam(
                network(model.head, forward=lambda w: model.head(model.frames(w).mean(1))), waveform, two
            ),
            r"Linear: expected an output of 3 axes, 1 clips first, found shape \(1, 4\)",
        ),
        "no gradient": (
            lambda: hirescam(
                network(model.encoder, forward=lambda w: model.ctc(w).detach()), waveform, token
            ),
            "'x': expected a score that depends on the layer",
        ),
        "probabilities": (
            lambda: attribute(network(model.encoder, forward=lambda w: model.ctc(w).exp()), waveform, token),
            "expected log probabilities, found a frame whose probabilities sum to",
        ),
        "method": (
            lambda: attribute(encoder, waveform, token, "captum"),
            "expected a method among .*'captum'",
        ),
        "fill": (
            lambda: occlusion(encoder, waveform, token, fill="music"),
            "expected a fill among .*'music'",
        ),
        "window": (lambda: occlusion(encoder, waveform, token, window_s=0.001), "window_s >= step_s"),
        "place": (
            lambda: integrated_gradients(encoder, waveform, token, place="head"),
            "a place among .*'head'",
        ),
        "baseline": (
            lambda: integrated_gradients(encoder, waveform, token, baseline="music"),
            "a baseline among .*'waveform' and 'music'",
        ),
        "bands of a layer": (
            lambda: integrated_gradients(
                encoder, waveform, token, place="layer", mel=MelSpectrogram(RATE, n_mels=8)
            ),
            "mel bands for the waveform only, found them for the layer",
        ),
    }


REFUSALS = list(refusals(Frames(), torch.zeros(1, 80)))


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_explained_is_refused(model: Frames, waveform: Tensor, case: str) -> None:
    call, message = refusals(model, waveform)[case]
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_training_mode_is_refused(model: Frames, waveform: Tensor) -> None:
    model.train()
    with pytest.raises(ValueError, match="expected evaluation mode, found training mode"):
        hirescam(classifier(model), waveform, ClassTarget("two", 2))
