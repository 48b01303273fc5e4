"""Matrix products by the fastest library of the machine.

Torch multiplies float32 matrices on x86 by Intel's MKL, which uses half of what processors of other makers can do. The
oneDNN inside torch does not: on an AMD EPYC 9005 it is 2 to 2.4 times as quick. Everywhere else, and for every other
type, this is torch's own product.

Shapes: N rows, I width in, O width out.
"""

import functools
import platform
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def has_slow_mkl() -> bool:
    """Return whether MKL is slow here, on an x86 processor that is not Intel's, and oneDNN can replace it."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    try:
        is_intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
        # A private operator of torch: try it once, since a release may drop or change it.
        torch.ops.mkldnn._linear_pointwise(torch.ones(1, 1), torch.ones(1, 1), None, "none", [], "")
    except (OSError, AttributeError, RuntimeError, TypeError):
        return False
    return not is_intel and torch.backends.mkl.is_available()


def _is_for_onednn(matrix: Tensor) -> bool:
    is_compiling = torch.compiler.is_compiling()  # the compiler chooses by itself
    return matrix.is_cpu and matrix.dtype == torch.float32 and not is_compiling and has_slow_mkl()


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply (N, I) by (I, O), without a gradient."""
    if _is_for_onednn(left) and left.numel() and right.numel():
        # With gaps between the rows of its second matrix, oneDNN falls back to plain loops.
        dense = right if right.is_contiguous() or right.T.is_contiguous() else right.contiguous()
        result: Tensor = torch.ops.mkldnn._linear_pointwise(left, dense.T, None, "none", [], "")
        return result
    return left @ right


def set_product_(target: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Write the product of (N, I) and (I, O) into `target`, without a gradient."""
    if _is_for_onednn(left):
        return target.copy_(product(left, right))
    return torch.mm(left, right, out=target)


def add_product_(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Add the product of (N, I) and (I, O) to `total`, without a gradient."""
    if _is_for_onednn(left):
        return total.add_(product(left, right))
    return total.addmm_(left, right)


class _Linear(torch.autograd.Function):
    """`F.linear` for (N, I), by `product`."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the product (N, O)."""
        ctx.save_for_backward(frames, weight)
        result = product(frames, weight.T)
        return result if bias is None else result.add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of frames (N, I), weight (O, I) and bias (O,)."""
        frames, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad
        return (
            product(gradient, weight) if needed[0] else None,
            product(gradient.T, frames) if needed[1] else None,
            gradient.sum(0) if needed[2] else None,
        )


def linear(frames: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply frames (..., I) by a weight (O, I), with gradients of the first order: (..., O)."""
    if _is_for_onednn(frames):
        rows = frames.reshape(-1, frames.shape[-1])  # (N, I)
        result: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
        return result.view(*frames.shape[:-1], len(weight))
    return F.linear(frames, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by the quickest product."""

    def forward(self, frames: Tensor) -> Tensor:
        """Multiply frames (..., I) by the weight: (..., O)."""
        return linear(frames, self.weight, self.bias)
