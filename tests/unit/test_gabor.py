"""The first convolution as a filterbank: frequencies, pairs, and what a tone makes of it."""

import math

import pytest
import torch

from fairseq_ext.modules import conv_extractor
from fairseq_ext.modules.conv_extractor import ConvExtractor, NormalizedConv
from fairseq_ext.modules.gabor import SAMPLE_RATE_HZ, gabor_filters


def test_filters_rise_in_frequency_and_come_in_pairs() -> None:
    filters = gabor_filters(64, 400)
    assert torch.allclose(filters.norm(dim=1), torch.ones(64))
    power = torch.fft.rfft(filters, n=4096).abs().square()
    peaks_hz = power.argmax(1) * SAMPLE_RATE_HZ / 4096
    assert torch.allclose(peaks_hz[0::2], peaks_hz[1::2], atol=5 * SAMPLE_RATE_HZ / 4096)
    assert (peaks_hz[0::2].diff() > 0).all()
    assert peaks_hz[0] < 150
    assert peaks_hz[-1] > 7000
    # a quarter period apart: nothing in common
    assert (filters[0::2] * filters[1::2]).sum(1).abs().max() < 0.05


@pytest.mark.parametrize("tone_hz", [300.0, 1000.0, 3500.0])
def test_energy_of_a_pair_does_not_depend_on_the_phase(tone_hz: float) -> None:
    time = torch.arange(400) / SAMPLE_RATE_HZ
    filters = gabor_filters(64, 400)
    energies = []
    for phase in (0.0, 0.7, 1.9):
        found = filters @ torch.sin(2 * math.pi * tone_hz * time + phase)
        energies.append(found.view(-1, 2).square().sum(1))
    loudest = int(energies[0].argmax())
    assert all(int(energy.argmax()) == loudest for energy in energies)
    assert all(
        float(energy[loudest] / energies[0][loudest]) == pytest.approx(1, rel=0.05) for energy in energies
    )


def test_first_layer_starts_there() -> None:
    extractor = ConvExtractor([(16, 100, 40), (8, 3, 2)], init="gabor")
    assert torch.equal(extractor.conv_layers[0]["0"].weight[:, 0], gabor_filters(16, 100))
    assert extractor.conv_layers[0]["0"].weight.requires_grad


def test_unknown_starts_and_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="extractor_init: one of random, gabor expected, found 'mel'"):
        ConvExtractor([(16, 10, 5)], init="mel")
    with pytest.raises(ValueError, match=r"an even number of channels .* found 15"):
        ConvExtractor([(15, 10, 5)], init="gabor")


def test_wide_kernels_are_normalised_as_narrow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    layer = NormalizedConv(12, 20, 5, bias=False).double()
    torch.nn.init.normal_(layer["2"].weight)
    torch.nn.init.normal_(layer["2"].bias)
    source, lengths = torch.randn(3, 500, dtype=torch.double) + 0.3, torch.tensor([97, 60, 90])

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        frames = layer(source, lengths).view(3, 100, 12)
        valid = torch.cat([clip[:length] for clip, length in zip(frames, lengths, strict=True)])
        return valid, torch.autograd.grad(valid.square().sum(), layer["0"].weight)[0]

    frames, gradient = run()
    monkeypatch.setattr(conv_extractor, "WIDE_KERNEL", 1)
    again, gradient_again = run()
    assert torch.allclose(frames, again, atol=1e-5)
    assert torch.allclose(gradient, gradient_again, rtol=1e-4, atol=1e-3)
