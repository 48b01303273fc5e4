"""Compare two implementations with a float64 reference, so that no tolerance comes from the machine at hand.

Both implementations run in float64, where they must agree to `AGREEMENT`: a wrong formula cannot hide behind rounding.
They run in float32 too, and there ours may be no further from the reference than the other is, but for rounding.

Float32 results depend on what a processor adds first, so a limit that one instruction set passes fails under the next.
The gradients of `test_ctc.py`, worst element in units of the largest gradient (AMD EPYC, Zen 3):

    ATEN_CPU_CAPABILITY  ONEDNN_MAX_CPU_ISA  ours, float64  ours, float32  stock, float32  ours and stock apart
    default              SSE41               2e-14          3.0e-5         6.1e-5          7.6e-5
    default              AVX2                2e-14          2.4e-5         3.9e-5          1.7e-5
    avx2                 SSE41               6e-14          3.3e-5         4.2e-5          3.3e-5
    avx2                 AVX2                6e-14          4.0e-5         6.4e-5          4.1e-5

Stock fairseq is further off in all four, but the cause is common to both: torch's CTC loss in float32. With the network
in float64 and only the loss in float32 the errors are as large (3.6e-5 and 3.1e-5, 7.1e-5 and 5.8e-5). The recursion
adds up ln p to hundreds of nats, where a float32 has steps of 1.5e-5, and the gradient is the exponential of a
difference of such sums.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Results = Mapping[str, Tensor]
# In units of the largest value. 200 roundings in float64 give 3e-15 by `walk`, and those of a CTC loss hundreds of
# times as much; a constant that one of the two rounds to float32 gives 1e-8 and more.
AGREEMENT = 1e-9
# The largest errors of two results that are rounded differently; a worse formula, such as a float16 sum, loses digits.
FACTOR = 4.0
# u, half the distance from 1 to the next float32.
ROUNDING = torch.finfo(torch.float32).eps / 2


class InFloat64(TorchFunctionMode):
    """A context in which code that asks for float32 gets float64: `x.float()`, `softmax(dtype=torch.float32)`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch with float64 in the place of float32."""
        if func is Tensor.float:
            func = Tensor.double
        named = {name: _double(value) for name, value in (kwargs or {}).items()}
        return func(*map(_double, args), **named)


def _double(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def walk(num_roundings: int, largest: float = 1.0) -> float:
    """Return the error to expect of many roundings in a row, three standard deviations of it.

    Each rounding of a value up to L is off by up to u L, uniformly: standard deviation u L / sqrt(3). The errors of n
    in a row add up as a random walk does (Higham and Mary 2019, "A new approach to probabilistic rounding error
    analysis", theorem 2.4), to sqrt(n) u L / sqrt(3); three standard deviations are sqrt(3 n) u L.

    Args:
        num_roundings: n, of the longest chain.
        largest: L, the largest value in it.

    Returns:
        The error.
    """
    return math.sqrt(3 * num_roundings) * ROUNDING * largest


def compare(
    run: Callable[[torch.dtype], tuple[Results, Results]], *, num_roundings: int = 64, largest: float = 1.0
) -> None:
    """Check ours against another implementation, in float64 and in float32.

    All tensors of a result share one scale, the largest value of the reference: some gradients are zero but for
    rounding, as those of the keys' biases, so that their own size says nothing. In float32 the limit is `FACTOR` times
    the other's error plus `walk(num_roundings, largest)`, in units of the scale.

    Args:
        run: called with float32, then with float64; gives our tensors by name, and the other's.
        num_roundings: roundings in a row from the input to the output; 64 are those of four convolutions and three
            transformer layers with some six parts of three operations each.
        largest: the largest value on the way, in units of the largest result.
    """
    ours, others = run(torch.float32)
    with InFloat64():
        ours64, reference = run(torch.float64)
    assert set(ours) == set(others) == set(ours64) == set(reference)
    assert all(value.dtype == torch.float64 for value in (*ours64.values(), *reference.values()))
    scale = max(float(_finite(value).abs().max()) for value in reference.values())
    limit = walk(num_roundings, largest)
    their_error = max(_distance(value, reference[name]) for name, value in others.items()) / scale
    for name, expected in reference.items():
        apart = _distance(ours64[name], expected) / scale
        assert apart <= AGREEMENT, f"{name}: {apart:.1e} of the largest value apart in float64"
        error = _distance(ours[name], expected) / scale
        assert error <= FACTOR * their_error + limit, (
            f"{name}: off by {error:.1e} of the largest value, the other implementation by {their_error:.1e}; "
            f"rounding accounts for {limit:.1e}"
        )


def gradients(network: torch.nn.Module) -> dict[str, Tensor]:
    """Return the gradients of a network by parameter, of those that have one, and forget them."""
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad(set_to_none=True)
    return found


def _distance(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference; ln 0 must be ln 0 in both."""
    assert found.shape == expected.shape
    assert torch.equal(found.isneginf(), expected.isneginf())
    return float((_finite(found) - _finite(expected)).abs().max()) if found.numel() else 0.0


def _finite(values: Tensor) -> Tensor:
    return values.detach().double().masked_fill(values.isneginf(), 0.0)
