"""The quantiser: what it chooses, what has a gradient, how it cools."""

import math

import pytest
import torch

from fairseq_ext.modules.quantizer import GumbelQuantizer, perplexity


def make(**changes: object) -> GumbelQuantizer:
    """Return a quantiser of 2 groups of 5 codes."""
    torch.manual_seed(1)
    sizes = {"in_dim": 6, "num_codes": 5, "num_groups": 2, "out_dim": 8, "temperature": (2.0, 0.5, 0.99)}
    return GumbelQuantizer(**{**sizes, **changes})


@pytest.mark.parametrize("training", [True, False])
def test_vectors_are_rows_of_the_code_book(training: bool) -> None:
    quantizer = make().train(training)
    quantized = quantizer(torch.randn(40, 6))
    book = quantizer.vars.view(2, 5, 4)
    for row, codes in zip(quantized.vectors, quantized.codes.tolist(), strict=True):
        expected = torch.cat([book[group, code] for group, code in enumerate(codes)])
        torch.testing.assert_close(row, expected)


def test_evaluation_takes_the_likeliest_code() -> None:
    quantizer = make().eval()
    frames = torch.randn(40, 6)
    assert torch.equal(quantizer(frames).codes, quantizer.weight_proj(frames).view(40, 2, 5).argmax(2))


def test_noise_draws_codes_by_their_probability() -> None:
    quantizer = make().train()
    with torch.no_grad():
        quantizer.weight_proj.weight.zero_()
        quantizer.weight_proj.bias[:5] = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log()
    codes = quantizer(torch.zeros(20000, 6), torch.Generator().manual_seed(3)).codes[:, 0]
    assert (torch.bincount(codes) / 20000).tolist() == pytest.approx([0.5, 0.2, 0.15, 0.1, 0.05], abs=0.015)


def test_generator_decides() -> None:
    quantizer, frames = make().train(), torch.randn(40, 6)
    draws = [quantizer(frames, torch.Generator().manual_seed(seed)).codes for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_choice_and_diversity_have_gradients() -> None:
    quantizer, frames = make().train(), torch.randn(40, 6, requires_grad=True)
    quantized = quantizer(frames)
    quantized.vectors.sum().backward(retain_graph=True)
    chosen = frames.grad.clone()
    assert chosen.any()
    quantized.prob_perplexity.backward()
    assert not torch.equal(frames.grad, chosen)
    assert quantizer.vars.grad is not None
    assert not quantized.code_perplexity.requires_grad


def test_perplexity_counts_codes_in_use() -> None:
    shares = torch.tensor([[0.25] * 4 + [0.0] * 4, [1.0] + [0.0] * 7, [0.125] * 8])
    assert perplexity(shares).tolist() == pytest.approx([4.0, 1.0, 8.0], rel=1e-4)


def test_cools_to_the_end_and_stays() -> None:
    quantizer = make()
    for updates, expected in ((0, 2.0), (1, 1.98), (50, 2 * math.exp(50 * math.log(0.99))), (10_000, 0.5)):
        quantizer.set_num_updates(updates)
        assert quantizer.temperature == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_groups": 3}, "latent_groups: 3 does not divide .* \\(8,"),
        ({"temperature": (2.0, 0.0, 0.99)}, "latent_temp: .* found \\(2.0, 0.0"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)
