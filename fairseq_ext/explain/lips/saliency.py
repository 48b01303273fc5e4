"""Maps of a score over the pictures of a clip: what in which frame made a network read a word.

Methods are those for sound (`..cam`, `..integrated`, `..occlusion`) with two more axes.

Shapes: T frames at 25 Hz, H, W sides of the crop, h, w cells of a map, C channels of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...optional import import_optional
from ..integrated import integrate_completely
from ..maps import check_values
from ..targets import Target, TokenTarget
from .network import CONTEXT_FRAMES, LipNetwork, check_pictures

# Cells of a map across the picture, where the method chooses: lips are four of them wide and two high.
NUM_CELLS = 8
# Occlusion covers patches of 2 x 2 cells for a fifth of a second, about a syllable.
PATCH_CELLS, PATCH_FRAMES = 2, 5
# Frames before and after a target that are covered too: 0.4 s, the words beside it.
REACH_FRAMES = 10
MAX_POINTS, TOLERANCE = 256, 0.05


@dataclass(frozen=True)
class SaliencyMap:
    """How much each cell of each picture supports a target.

    Attributes:
        method: name of the method.
        target: name of the target.
        values: (T, h, w) float32; positive supports the target. Units differ by method.
        side_px: side of the pictures that the cells cover evenly, px.
    """

    method: str
    target: str
    values: NDArray[np.float32]
    side_px: int

    def __post_init__(self) -> None:
        """Check that the map can be drawn."""
        check_values(f"{self.method} of {self.target!r}", self.values, 3, "(T, h, w)")

    @property
    def positive(self) -> NDArray[np.float32]:
        """The values that support the target, others 0, (T, h, w)."""
        return np.maximum(self.values, 0)

    def smooth(self) -> NDArray[np.float32]:
        """Return the positive values at every pixel, (T, H, W), interpolated and divided by the largest."""
        planes = torch.from_numpy(self.positive)[:, None]
        size = (self.side_px, self.side_px)
        fine = F.interpolate(planes, size, mode="bilinear", align_corners=False)[:, 0]
        # 1e-30: a map without positive values stays 0.
        found: NDArray[np.float32] = (fine / max(float(fine.max()), 1e-30)).numpy()
        return found


# From activations and gradient, (T, C, h, w) each, to the map (T, h, w).
_CAMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType({
    "hirescam": lambda planes, gradient: (planes * gradient).sum(1),
    "gradcam": lambda planes, gradient: (planes * gradient.mean((0, 2, 3), keepdim=True)).sum(1).relu(),
})  # fmt: skip


def hirescam(network: LipNetwork, pictures: Tensor, target: TokenTarget) -> SaliencyMap:
    """Explain by gradient times activation at the layer, summed over channels (Draelos and Carin 2020)."""
    return _cam("hirescam", network, pictures, target)


def gradcam(network: LipNetwork, pictures: Tensor, target: TokenTarget) -> SaliencyMap:
    """Explain by channels weighed by their mean gradient (Selvaraju et al. 2017, equations 1 and 2); for comparison."""
    return _cam("gradcam", network, pictures, target)


def _cam(method: str, network: LipNetwork, pictures: Tensor, target: TokenTarget) -> SaliencyMap:
    planes, (gradient,) = network.layer_gradients(pictures, [target])
    return _map(method, target, _CAMS[method](planes, gradient), pictures)


def integrated_gradients(network: LipNetwork, pictures: Tensor, target: TokenTarget) -> SaliencyMap:
    """Integrate gradients from the mean grey to the pictures (Sundararajan et al. 2017, equation 1), summed by cells.

    The path is divided more finely until the values add up to the difference of the scores at its ends.

    Raises:
        IncompleteError: they do not after `MAX_POINTS` points.
    """
    check_pictures(pictures)
    captum = import_optional("captum.attr")
    start = torch.zeros_like(pictures)
    low, high = (float(target(network.output(ends))) for ends in (start, pictures))
    gradients = captum.IntegratedGradients(lambda copies: target(network.forward(copies)))

    def integrate(num_points: int) -> tuple[Tensor, Tensor]:
        with torch.backends.cudnn.flags(enabled=False):
            (found,) = gradients.attribute(
                pictures, baselines=start, n_steps=num_points, internal_batch_size=4
            )
        return found, found

    found, *_ = integrate_completely(
        integrate,
        high - low,
        tolerance=TOLERANCE,
        max_points=MAX_POINTS,
        hint="name another method",
        name=f"integrated gradients of {target.name!r}",
    )
    cell = -(-pictures.shape[-1] // NUM_CELLS)
    summed = F.avg_pool2d(found[:, None], cell, ceil_mode=True, divisor_override=1)[:, 0]
    return _map("integrated_gradients", target, summed, pictures)


def occlusion(
    network: LipNetwork, pictures: Tensor, target: TokenTarget, *, batch_size: int = 49
) -> SaliencyMap:
    """Explain by what of the score is lost when a patch is covered for some frames (Zeiler and Fergus 2014).

    A patch shows in place of the mouth what is there on average over the clip, without detail. Frames more than
    `REACH_FRAMES` from the target are not covered, and have the value 0. A cell has the mean of the patches over it.
    """
    check_pictures(pictures)
    _, num_frames, height, width = pictures.shape
    calm = _without_detail(pictures)
    places = [(row, column) for row in range(NUM_CELLS - 1) for column in range(NUM_CELLS - 1)]
    first = max(0, min(span.start for span in target.spans) - REACH_FRAMES)
    last = min(num_frames, max(span.end for span in target.spans) + REACH_FRAMES)
    whole = float(target(network.output(pictures)))
    lost = torch.zeros(num_frames, NUM_CELLS, NUM_CELLS)
    cover = torch.zeros(NUM_CELLS, NUM_CELLS)
    for row, column in places:
        cover[row : row + PATCH_CELLS, column : column + PATCH_CELLS] += 1
    masks = torch.stack([_patch(row, column, height, width) for row, column in places]).to(pictures)
    with torch.no_grad():
        vectors = network.see(pictures, 0)
        for start in range(first, last, PATCH_FRAMES):
            end = min(start + PATCH_FRAMES, last)
            scores = [
                target(network.read(_covered(network, vectors, pictures, calm, part, start, end)))
                for part in masks.split(batch_size)
            ]
            for (row, column), score in zip(places, torch.cat(scores).tolist(), strict=True):
                lost[start:end, row : row + PATCH_CELLS, column : column + PATCH_CELLS] += whole - score
    return _map("occlusion", target, lost / cover, pictures)


def _covered(
    network: LipNetwork,
    vectors: Tensor,
    pictures: Tensor,
    calm: Tensor,
    masks: Tensor,
    start: int,
    end: int,
) -> Tensor:
    """Return the clip's vectors (1, T, D) for each of some patches (B, H, W), covered from frame `start` to `end`.

    Only frames that see the covered ones go through the front end again, and as many beside them for these to see.
    """
    num_frames = vectors.shape[1]
    low, high = max(0, start - CONTEXT_FRAMES), min(num_frames, end + CONTEXT_FRAMES)
    first, last = max(0, low - CONTEXT_FRAMES), min(num_frames, high + CONTEXT_FRAMES)
    copies = pictures[:, first:last].repeat(len(masks), 1, 1, 1)
    span = slice(start - first, end - first)
    copies[:, span] += masks[:, None] * (calm - copies[:, span])
    found = vectors.repeat(len(masks), 1, 1)
    found[:, low:high] = network.see(copies, first)[:, low - first : high - first]
    return found


def _without_detail(pictures: Tensor) -> Tensor:
    """Return the mean picture over time, blurred over a third of its side, (1, 1, H, W)."""
    side = pictures.shape[-1] // 6 * 2 + 1
    mean = pictures.mean(1, keepdim=True)
    return F.avg_pool2d(mean, side, 1, side // 2, count_include_pad=False)


def _patch(row: int, column: int, height: int, width: int) -> Tensor:
    """Return a mask (H, W), 1 within a patch, with soft edges: hard ones would be seen as lines."""
    mask = torch.zeros(1, 1, height, width)
    rows, columns = (
        slice(size * at // NUM_CELLS, size * (at + PATCH_CELLS) // NUM_CELLS)
        for at, size in ((row, height), (column, width))
    )
    mask[..., rows, columns] = 1.0
    return F.avg_pool2d(mask, 5, 1, 2, count_include_pad=False)[0, 0]


def _map(method: str, target: Target, values: Tensor, pictures: Tensor) -> SaliencyMap:
    return SaliencyMap(method, target.name, values.detach().float().cpu().numpy(), pictures.shape[-1])


METHODS: Mapping[str, Callable[[LipNetwork, Tensor, TokenTarget], SaliencyMap]] = MappingProxyType({
    "hirescam": hirescam,
    "gradcam": gradcam,
    "occlusion": occlusion,
    "integrated_gradients": integrated_gradients,
})  # fmt: skip


def explain_each(
    network: LipNetwork, pictures: Tensor, target: TokenTarget, methods: Sequence[str]
) -> list[SaliencyMap]:
    """Explain a score of a clip (1, T, H, W) by several methods, keys of `METHODS`."""
    return [METHODS[method](network, pictures, target) for method in methods]
