"""Integrated gradients of a score: over the waveform, over a layer, over time and frequency.

Legend: N points on the path, S samples, T frames of the map, D width of the layer, T' mel frames, K Fourier bins,
F mel bands.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..features.spectral import MelSpectrogram
from .background import background_noise
from .maps import AttributionMap
from .network import Network, check_waveform, score_gradient
from .path import integrate_path
from .targets import Target

PLACES = ("waveform", "layer")
BASELINES = ("noise", "silence")
# Least level of the noise below the clip: networks that normalise are smooth from there on, and speech is not heard.
FLOOR_DB = -40.0


def integrated_gradients(
    network: Network,
    waveform: Tensor,
    target: Target,
    *,
    place: str = "waveform",
    baseline: str = "noise",
    mel: MelSpectrogram | None = None,
    tolerance: float = 0.05,
    max_points: int = 256,
    batch_size: int = 8,
) -> AttributionMap:
    """Integrated gradients from faint noise to the clip (Sundararajan et al. 2017, equation 1).

    Args:
        network: the network and its layer, whose frames are the map's in either place.
        waveform: (1, S).
        target: the score.
        place: `waveform`, or `layer`: from the layer's activations for the baseline to those for the clip.
        baseline: `noise` as loud as the clip's own background and no fainter than `FLOOR_DB`, or digital `silence`.
        mel: also split the waveform's values over time and frequency as these bands do; None = do not.
        tolerance: of completeness, as a share of the difference between the clip's score and the baseline's.
        max_points: gradients evaluated before giving up.
        batch_size: points in one forward.

    Returns:
        The map; in units of the score. Its values add up to the difference of scores but for `residual`.

    Raises:
        ValueError: an unknown place or baseline, bands for a layer, or completeness not reached.
    """
    check_waveform(waveform, one=True)
    _check_choices(place, baseline, mel)
    start, end = _baseline(network, waveform, baseline), waveform
    if place == "layer":
        start, end = network.activations(start), network.activations(end)

    def evaluate(points: Tensor) -> tuple[Tensor, Tensor]:
        parts = [
            _waveform_scores(network, part, target)
            if place == "waveform"
            else network.scores_with_layer(waveform, part, target)
            for part in torch.split(points, batch_size)
        ]
        return torch.cat([scores for scores, _ in parts]), torch.cat([gradient for _, gradient in parts])

    found = integrate_path(evaluate, start[0], end[0], tolerance=tolerance, max_points=max_points)
    if place == "layer":
        values = found.values.sum(1)  # (T,)
    else:
        values = _sum_per_frame(found.values, network)
    bands = None if mel is None else time_frequency((end - start)[0], found.gradient, mel).cpu().numpy()
    named = f"integrated_gradients_{place}" if place == "layer" else "integrated_gradients"
    return AttributionMap(
        named, target.name, values.float().cpu().numpy(), network.grid, found.residual, bands
    )


def _check_choices(place: str, baseline: str, mel: MelSpectrogram | None) -> None:
    if place not in PLACES or baseline not in BASELINES:
        raise ValueError(
            f"integrated gradients: expected a place among {PLACES} and a baseline among {BASELINES}, found "
            f"{place!r} and {baseline!r}; name one of them"
        )
    if mel is not None and place != "waveform":
        raise ValueError(
            f"integrated gradients: expected mel bands for the waveform only, found them for the {place}; leave "
            "mel out"
        )


def _baseline(network: Network, waveform: Tensor, baseline: str) -> Tensor:
    """(1, S)."""
    if baseline == "silence":
        return torch.zeros_like(waveform)
    return background_noise(waveform, network.sample_rate_hz, FLOOR_DB)


def time_frequency(sound: Tensor, gradient: Tensor, mel: MelSpectrogram) -> Tensor:
    """Splits sound times gradient over mel bands and frames, exactly.

    A short-time Fourier transform whose windows' squares are divided out keeps the sum over the samples
    (Parseval), so that the values add up to those over time (compare Vielhaben et al. 2023, "Explainable
    AI for time series via virtual inspection layers", arXiv 2303.06365). A bin's value is shared among the
    bands that hear it.

    Args:
        sound: (S,), what changes along the path.
        gradient: (S,), its mean along the path.
        mel: the bands, window and hop.

    Returns:
        (T', F), T' = 1 + S // hop; sums to (sound * gradient).sum().

    Raises:
        ValueError: windows with gaps between them.
    """
    hann, hop = mel.get_buffer("hann"), mel.hop
    num_frames = 1 + len(sound) // hop
    left = mel.window // 2
    size = left + len(sound) + mel.window
    at = (torch.arange(num_frames)[:, None] * hop + torch.arange(mel.window)).to(hann.device)  # (T', window)
    cover = hann.new_zeros(size).index_add_(0, at.flatten(), hann.square().repeat(num_frames))
    covered = cover[left : left + len(sound)]
    if float(covered.min()) < 1e-3 * float(covered.max()):
        raise ValueError(
            f"time-frequency map: expected windows that overlap by half or more, found a hop of {hop} samples for "
            f"windows of {mel.window}; shorten the hop"
        )
    spectrum, slope = (
        torch.fft.rfft(nn.functional.pad(x, (left, mel.window))[at] * hann, n=mel.n_fft)  # (T', K)
        for x in (sound.float(), gradient.float() / covered)
    )
    power = (spectrum * slope.conj()).real / mel.n_fft
    power[:, 1:-1] *= 2  # the other half of the spectrum mirrors this one; n_fft is even
    bands: Tensor = power @ _shares(mel)
    return bands


def _shares(mel: MelSpectrogram) -> Tensor:
    """(K, F) shares of each bin, rows sum to 1; bins outside all bands go to the nearest."""
    filters = mel.get_buffer("filters").clone()
    bins, edges = mel.get_buffer("bins_hz"), mel.get_buffer("edges_hz")
    unheard = filters.sum(1) <= 0
    filters[unheard & (bins <= edges[1]), 0] = 1.0
    filters[unheard & (bins > edges[1]), -1] = 1.0
    return filters / filters.sum(1, keepdim=True)


def _waveform_scores(network: Network, waveforms: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Scores (N,) and their gradients (N, S)."""
    leaf = waveforms.detach().clone().requires_grad_()
    with torch.enable_grad():
        scores = target(network.forward(leaf))
        gradient = score_gradient(scores, leaf, target)
    return scores.detach(), gradient


def _sum_per_frame(values: Tensor, network: Network) -> Tensor:
    """(T,) sums of (S,) over the network's frames; what lies before the first or after the last joins them."""
    num_frames = max(1, network.grid.num_frames(len(values) / network.sample_rate_hz))
    first_s = network.grid.first_centre_s - network.grid.step_s / 2
    times_s = np.arange(len(values)) / network.sample_rate_hz
    frames = np.floor((times_s - first_s) / network.grid.step_s).clip(0, num_frames - 1).astype(np.int64)
    return values.new_zeros(num_frames).index_add_(0, torch.from_numpy(frames).to(values.device), values)
