"""Tests of the comparison with a float64 reference: what passes and what fails."""

from collections.abc import Callable

import pytest
import torch
from reference64 import Results, compare
from torch import Tensor

LEFT, RIGHT = (torch.randn(64, 64, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


def product(dtype: torch.dtype) -> Tensor:
    """Multiply two matrices in a precision."""
    return LEFT.to(dtype) @ RIGHT.to(dtype)


def in_halves(dtype: torch.dtype) -> Tensor:
    """Multiply in another order of additions."""
    return LEFT.to(dtype)[:, :32] @ RIGHT.to(dtype)[:32] + LEFT.to(dtype)[:, 32:] @ RIGHT.to(dtype)[32:]


def compare_with(ours: Callable[[torch.dtype], Tensor]) -> None:
    """Compare a product with torch's."""

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        return {"x": ours(dtype)}, {"x": product(dtype)}

    compare(run)


def test_another_order_of_additions_passes() -> None:
    assert not torch.equal(in_halves(torch.float32), product(torch.float32))
    compare_with(in_halves)


def test_slightly_wrong_formula_fails_in_float64() -> None:
    with pytest.raises(AssertionError, match=r"x: 1\.0e-08 of the largest value apart in float64"):
        compare_with(lambda dtype: product(dtype) * (1 + 1e-8))


def test_lost_digits_fail_in_float32() -> None:
    def half(dtype: torch.dtype) -> Tensor:
        return product(dtype).bfloat16().float() if dtype == torch.float32 else product(dtype)

    with pytest.raises(AssertionError, match=r"x: off by .* rounding accounts for 8\.3e-07"):
        compare_with(half)


def test_code_that_asks_for_float32_gets_float64() -> None:
    compare_with(lambda dtype: product(dtype).float())
    compare_with(lambda dtype: product(dtype).to(torch.float32))


def test_infinities_must_be_the_same() -> None:
    with pytest.raises(AssertionError):
        compare_with(lambda dtype: product(dtype).masked_fill(torch.eye(64, dtype=torch.bool), float("-inf")))
