"""Where the lips are in each picture, by the landmarks of a prepared clip, and a map's share there.

Shapes: T frames, N points, H, W sides of a crop, h, w cells of a map.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...media.mouth.settings import SIZE_PX
from ...media.mouth.template import ANCHORS, apply
from ...media.mouth.warp import opencv
from .saliency import SaliencyMap

# Added around the lips, px of the crop: as far as landmarks are off, and cells reach.
MARGIN_PX = 4


def lips_mask(landmarks: str | os.PathLike[str], side_px: int = SIZE_PX) -> NDArray[np.bool_]:
    """Return where the lips are, (T, H, W): the hull of their outlines, from the middle of the crop `side_px` wide.

    Args:
        landmarks: `landmarks/ID.npz` of a prepared clip.
        side_px: side of the pictures that the network sees, px.

    Raises:
        FileNotFoundError: no such file; clips of mouths that were cut out already have none.
    """
    if not Path(landmarks).is_file():
        raise FileNotFoundError(
            f"{landmarks}: the landmarks of the clip expected, found no file; prepare the clips from faces"
        )
    with np.load(landmarks, allow_pickle=False) as file:
        points, matrices = file["points"][:, len(ANCHORS) :].astype(float), file["matrix"].astype(float)
    masks = [_hull(apply(matrix, lips)) for matrix, lips in zip(matrices, points, strict=True)]
    first = round((SIZE_PX - side_px) / 2)
    return np.stack(masks)[:, first : first + side_px, first : first + side_px]


def _hull(lips: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the inside of the outlines (N, 2), px, with `MARGIN_PX` around it."""
    cv2 = opencv()
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(lips).astype(np.int32)), 1)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN_PX + 1,) * 2)
    found: NDArray[np.bool_] = cv2.dilate(mask, around) > 0
    return found


def share_inside(found: SaliencyMap, mask: NDArray[np.bool_]) -> float | None:
    """Return the share of a map's positive values within a mask (T, H, W); None for a map without any.

    Raises:
        ValueError: the mask has another number of frames, or another side.
    """
    if mask.shape != (len(found.values), found.side_px, found.side_px):
        raise ValueError(
            f"{found.method} of {found.target!r}: expected a mask of {len(found.values)} frames of {found.side_px} px, "
            f"found shape {mask.shape}; take the landmarks of the same clip"
        )
    # The share of each cell that is covered, frame by frame.
    planes = torch.from_numpy(mask.astype(np.float32))[:, None]
    covered = F.interpolate(planes, found.values.shape[1:], mode="area")[:, 0].numpy()
    total = float(found.positive.sum())
    return float((found.positive * covered).sum()) / total if total > 0 else None


def share_of_area(found: SaliencyMap, mask: NDArray[np.bool_]) -> float:
    """Return the share that a map has inside a mask that is even within each frame, and over time as it is."""
    weights = found.positive.sum((1, 2))
    areas = mask.mean((1, 2))
    return float((weights * areas).sum() / weights.sum()) if weights.sum() > 0 else float(areas.mean())
