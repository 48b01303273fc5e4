"""Class activation maps and occlusion against captum's, on networks where both compute the same thing."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation, Occlusion
from torch import Tensor, nn

from fairseq_ext.explain import occlusion as occlusion_module
from fairseq_ext.explain.cam import gradcam, hirescam
from fairseq_ext.explain.maps import FrameGrid
from fairseq_ext.explain.network import Network
from fairseq_ext.explain.occlusion import occlusion
from fairseq_ext.explain.targets import ClassTarget

RATE, HOP = 1000, 10
TARGET = ClassTarget("two", 2)


class Convolutions(nn.Module):
    """(B, S) -> logits (B, C); `first` returns (B, D, T), `turned` the same values as (B, T, D)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv1d(1, 8, HOP, stride=HOP)
        self.turned = nn.Identity()
        self.second = nn.Conv1d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = self.turned(self.first(waveform[:, None]).transpose(1, 2))  # (B, T, D)
        return self.head(torch.tanh(self.second(torch.tanh(frames.transpose(1, 2)))).mean(2))


@pytest.fixture
def model() -> Convolutions:
    return Convolutions().eval()


@pytest.fixture
def waveform() -> Tensor:
    return torch.randn(1, 24 * HOP, generator=torch.Generator().manual_seed(2))


def network(model: Convolutions, layer: nn.Module, time_axis: int) -> Network:
    return Network(model, layer, time_axis, FrameGrid(HOP / RATE, HOP / 2 / RATE), RATE)


def score(model: Convolutions) -> object:
    return lambda waveform: TARGET(model(waveform))


@pytest.mark.parametrize(("layer", "time_axis"), [("first", 2), ("turned", 1)])
def test_hirescam_is_gradient_times_activation_summed_over_channels(
    model: Convolutions, waveform: Tensor, layer: str, time_axis: int
) -> None:
    module = getattr(model, layer)
    expected = LayerGradientXActivation(score(model), module).attribute(waveform)[0].sum(2 - time_axis)
    found = hirescam(network(model, module, time_axis), waveform, TARGET)
    np.testing.assert_allclose(found.values, expected.detach(), rtol=1e-5, atol=1e-7)


def test_gradcam_is_captums_where_channels_come_first(model: Convolutions, waveform: Tensor) -> None:
    expected = LayerGradCam(score(model), model.first).attribute(waveform, relu_attributions=True)[0, 0]
    found = gradcam(network(model, model.first, 2), waveform, TARGET)
    np.testing.assert_allclose(found.values, expected.detach(), rtol=1e-5, atol=1e-7)
    # With time before channels captum averages over channels: one value per channel, no map over time.
    turned = LayerGradCam(score(model), model.turned).attribute(waveform)
    assert turned.shape == (1, 1, 8)


def test_occlusion_is_captums_away_from_the_ends_without_ramps(
    model: Convolutions, waveform: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occlusion_module, "RAMP_S", 0.0)
    found = occlusion(
        network(model, model.first, 2), waveform, TARGET, window_s=0.03, step_s=0.01, fill="silence"
    )
    expected = Occlusion(score(model)).attribute(waveform, sliding_window_shapes=(3 * HOP,), strides=HOP)
    cells = expected[0, ::HOP].numpy()
    np.testing.assert_allclose(found.values[3:-3], cells[3:-3], rtol=1e-4, atol=1e-6)
    # captum's windows begin at the first sample, so that one window covers the first cell; ours are three everywhere.
    assert abs(found.values[0] - cells[0]) > 1e-4
