"""Occlusion in time: how much of a score is lost when a stretch of the clip is covered.

This is not captum's Occlusion, which has no ramps at a window's edges and lets no window begin before the clip: on a
small CTC network either changed values by up to 2 and 8 of 102 nats. Without ramps and away from the ends both are
equal (tests/unit/test_attribution_captum.py).

Legend: B clips, S samples, N cells of the map, W windows, k cells in a window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .background import background_noise
from .maps import AttributionMap, FrameGrid
from .network import Network, check_waveform
from .targets import Target

FILLS = ("noise", "silence")
# Length of the ramps at the edges of a window: hard cuts click.
RAMP_S = 0.005


def occlusion(network: Network, waveform: Tensor, target: Target, **options: Any) -> AttributionMap:
    """Explain a score by its loss under a sliding window; see `occlusions` for the options."""
    return occlusions(network, waveform, [target], **options)[0]


def occlusions(
    network: Network,
    waveform: Tensor,
    targets: Sequence[Target],
    *,
    window_s: float = 0.08,
    step_s: float = 0.02,
    fill: str = "noise",
    batch_size: int = 16,
) -> list[AttributionMap]:
    """Explain scores of a clip by their loss under a sliding window, with one forward per window for all of them.

    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", in time instead of space.
    A cell's value is the mean loss over the windows that cover it.

    Args:
        network: the network; its layer is not used.
        waveform: clip, (1, S).
        targets: scores to explain.
        window_s: length of the window, s; rounded to whole steps.
        step_s: length of a cell, s.
        fill: content of the window: `noise` as loud as the clip's own background, or digital `silence`, to which
            networks trained on real rooms react as to a sound of its own.
        batch_size: windows in one forward, B.

    Returns:
        A map per target over cells of `step_s`; in units of the score, positive where it falls.

    Raises:
        ValueError: unknown fill, or a window shorter than the step.
    """
    check_waveform(waveform, one=True)
    step = round(step_s * network.sample_rate_hz)
    per_window = round(window_s / step_s) if step_s > 0 else 0
    if fill not in FILLS or step < 1 or per_window < 1:
        raise ValueError(
            f"occlusion: expected a fill among {FILLS} and window_s >= step_s > 0, found {fill!r}, {window_s} s "
            f"and {step_s} s; change them"
        )
    num_cells = math.ceil(waveform.shape[1] / step)
    starts = step * torch.arange(1 - per_window, num_cells, device=waveform.device)  # (W,), W = N + k - 1
    filler = (
        background_noise(waveform, network.sample_rate_hz) if fill == "noise" else torch.zeros_like(waveform)
    )
    ramp = round(RAMP_S * network.sample_rate_hz)
    scores = []
    for part in torch.split(starts, batch_size):
        keep = _keep(part, step * per_window, waveform.shape[1], ramp)
        scores.append(_scores(network.output(filler + (waveform - filler) * keep), targets))  # (B, S) in
    lost = (_scores(network.output(waveform), targets) - torch.cat(scores)).cpu().numpy()  # (W, targets)
    grid = FrameGrid(step / network.sample_rate_hz, step / network.sample_rate_hz / 2)
    # k windows cover each cell, and N + k - 1 losses give N means of k.
    mean = np.full(per_window, 1 / per_window)
    values = [np.convolve(row, mean, mode="valid").astype(np.float32) for row in lost.T]  # (N,) each
    return [AttributionMap("occlusion", t.name, v, grid) for t, v in zip(targets, values, strict=True)]


def _scores(output: Tensor, targets: Sequence[Target]) -> Tensor:
    """Return the scores, (B, targets)."""
    return torch.stack([target(output).float() for target in targets], dim=1)


def _keep(starts: Tensor, size: int, num_samples: int, ramp: int) -> Tensor:
    """Return factors (W, S): 0 inside the window, 1 outside, with linear ramps at its edges."""
    samples = torch.arange(num_samples, device=starts.device)[None, :]
    inside = torch.minimum(samples - starts[:, None] + 1, starts[:, None] + size - samples)
    return 1.0 - (inside / max(1, ramp)).clamp(0.0, 1.0)
