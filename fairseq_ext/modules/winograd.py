"""3 x 3 convolutions of small planes with many channels by fewer products, on CPUs.

Winograd's minimal filtering, as Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4, use
it: F(3 x 3, 3 x 3) makes a tile of 3 x 3 results of 25 products per pair of channels instead of 81. The transforms cost
25 products per channel, so that it pays for many channels only; the sides of the last stages of a ResNet on 88 x 88
pictures, 6 and 3, are multiples of the tile. On an AVX2 core, 50 pictures (ms forward, gradient of the planes, of the
weights):

    256 channels, 6 x 6    26 25 39 by oneDNN    15 15 12 here
    512 channels, 3 x 3    31 33 77              16 16 13

Results differ from the direct sum by 2e-5 of their standard deviation (the direct sum from float64 by 1e-5).

Shapes: N pictures, C channels in, O channels out, H, W sides, P = 25 points, S = 3 side of a tile, M tiles.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_SIDE, _TAPS = 3, 3
_REACH = _SIDE + _TAPS - 1  # 5: side of what a tile depends on
_POINTS = (0.0, 1.0, -1.0, 2.0)  # and infinity; small numbers keep rounding errors small
# Below so many channels the transforms cost more than they save, and above these sides oneDNN is at its best.
MIN_CHANNELS, MAX_SIDE = 256, 6


def pays(planes: Tensor, weight: Tensor) -> bool:
    """Return whether `convolve` is quicker than torch for planes (N, C, H, W) and a weight (O, C, 3, 3)."""
    return (
        planes.is_cpu
        and planes.dtype == weight.dtype == torch.float32
        and min(weight.shape[:2]) >= MIN_CHANNELS
        and max(planes.shape[2:]) <= MAX_SIDE
        and not torch.compiler.is_compiling()
    )


def convolve(planes: Tensor, weight: Tensor) -> Tensor:
    """Convolve planes (N, C, H, W) with a weight (O, C, 3, 3), stride 1, zeros around: (N, O, H, W) channels last."""
    result: Tensor = _Convolution.apply(planes, weight)  # type: ignore[no-untyped-call]
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, weight: Tensor) -> Tensor:
        points = _spread(planes)  # (P, M, C)
        ctx.save_for_backward(points, weight)
        ctx.shape = planes.shape
        return _gather(torch.bmm(points, _filters(weight)), planes.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        points, weight = ctx.saved_tensors
        of_planes, of_weight = None, None
        if ctx.needs_input_grad[0]:
            # The transposed convolution: channels exchanged, taps mirrored.
            mirrored = weight.transpose(0, 1).flip(2, 3)
            of_planes = _gather(torch.bmm(_spread(gradient), _filters(mirrored)), ctx.shape)
        if ctx.needs_input_grad[1]:
            products = torch.bmm(points.transpose(1, 2), _scatter(gradient))  # (P, C, O)
            taps = _matrices()[1].T @ products.flatten(1)  # (9, C O)
            of_weight = taps.view(_TAPS, _TAPS, *products.shape[1:]).permute(3, 2, 0, 1)
        return of_planes, of_weight


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Return what takes tiles (25), taps (9) to points, and points to results: (P, 25), (P, 9), (9, P).

    The first is found from the two others (Toom and Cook's polynomials through `_POINTS`): with it, tap k times input
    l counts for result i when l = i + k.
    """
    ends, taps = (
        torch.zeros(_SIDE, _REACH, dtype=torch.double),
        torch.zeros(_REACH, _TAPS, dtype=torch.double),
    )
    for j, point in enumerate(_POINTS):
        ends[:, j] = torch.tensor([point**i for i in range(_SIDE)], dtype=torch.double)
        scale = torch.tensor([point - other for other in _POINTS if other != point]).double().prod()
        taps[j] = torch.tensor([point**k for k in range(_TAPS)], dtype=torch.double) / scale
    ends[-1, -1] = taps[-1, -1] = 1.0
    pairs = torch.einsum("ij,jk->ikj", ends, taps).flatten(0, 1)  # (9, 5)
    wanted = torch.zeros(_SIDE, _TAPS, _REACH, dtype=torch.double)
    for i in range(_SIDE):
        for k in range(_TAPS):
            wanted[i, k, i + k] = 1.0
    tiles = torch.linalg.lstsq(pairs, wanted.flatten(0, 1)).solution
    return tuple(torch.kron(one, one).float() for one in (tiles, taps, ends))  # type: ignore[return-value]


def _num_tiles(side: int) -> int:
    return -(-side // _SIDE)


def _spread(planes: Tensor) -> Tensor:
    """Transform planes (N, C, H, W) to the points of their tiles: (P, M, C)."""
    num, channels, height, width = planes.shape
    down, across = _num_tiles(height), _num_tiles(width)
    rows = F.pad(
        planes.permute(0, 2, 3, 1), (0, 0, 1, across * _SIDE + 1 - width, 1, down * _SIDE + 1 - height)
    )
    a, b, c, d = rows.stride()
    tiles = rows.as_strided(
        (_REACH, _REACH, num, down, across, channels), (b, c, a, _SIDE * b, _SIDE * c, d)
    )  # neighbouring tiles overlap by two
    return (_matrices()[0] @ tiles.reshape(_REACH**2, -1)).view(_REACH**2, -1, channels)


def _filters(weight: Tensor) -> Tensor:
    """Transform a weight (O, C, 3, 3) to the points: (P, C, O)."""
    out, into = weight.shape[:2]
    return (_matrices()[1] @ weight.permute(2, 3, 1, 0).reshape(_TAPS**2, -1)).view(-1, into, out)


def _gather(points: Tensor, shape: torch.Size) -> Tensor:
    """Make planes (N, O, H, W) of the points (P, M, O) of their tiles; `shape` has N, H and W."""
    num, _, height, width = shape
    down, across = _num_tiles(height), _num_tiles(width)
    results = (_matrices()[2] @ points.flatten(1)).view(_SIDE, _SIDE, num, down, across, -1)
    planes = results.permute(2, 3, 0, 4, 1, 5).reshape(num, down * _SIDE, across * _SIDE, -1)
    return planes[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _scatter(gradient: Tensor) -> Tensor:
    """Give each point its share of the gradient (N, O, H, W) of the results: (P, M, O), the transpose of `_gather`."""
    num, channels, height, width = gradient.shape
    down, across = _num_tiles(height), _num_tiles(width)
    rows = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, across * _SIDE - width, 0, down * _SIDE - height))
    tiles = rows.view(num, down, _SIDE, across, _SIDE, channels).permute(2, 4, 0, 1, 3, 5)
    return (_matrices()[2].T @ tiles.reshape(_SIDE**2, -1)).view(_REACH**2, -1, channels)
