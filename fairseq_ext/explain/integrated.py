"""Integrated gradients of a score: over the waveform, over a layer, over time and frequency, as captum computes them.

Legend: S samples, T frames of the map, D width of the layer, T' mel frames, K Fourier bins, F mel bands.

The values of integrated gradients add up to the difference of the scores at the two ends of the path (completeness),
which is checked; the path is divided more finely until it holds. From the noise baseline 32 points suffice on most
networks. From digital silence a network that normalises its input may never get there: on encoders with a group norm
24 % of the difference and more were missing after 256 points.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, takewhile

import numpy as np
import torch
from torch import Tensor, nn

from ..modules.spectral import MelSpectrogram
from ..optional import import_optional
from .background import background_noise
from .maps import AttributionMap
from .network import Network, check_waveform
from .targets import Target

PLACES = ("waveform", "layer")
BASELINES = ("noise", "silence")
# Least level of the noise below the clip: networks that normalise are smooth from there on, and speech is inaudible.
FLOOR_DB = -40.0
# Points of the first try; each further one doubles them.
NUM_POINTS = 32
# A difference of scores below this does not set the scale of the allowed error: nats, or logits.
LEAST_DIFFERENCE = 0.1


class IncompleteError(ValueError):
    """The values do not add up to the difference of scores, however finely the path was divided."""


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
    """Integrate gradients from faint noise to the clip (Sundararajan et al. 2017, equation 1).

    Args:
        network: the network and its layer, whose frames are the map's in either place.
        waveform: (1, S).
        target: the score.
        place: `waveform`, or `layer`: from the layer's activations for the baseline to those for the clip.
        baseline: `noise` as loud as the clip's own background and no fainter than `FLOOR_DB`, or digital `silence`.
        mel: also split the waveform's values over time and frequency as these bands do; None = do not.
        tolerance: allowed error of completeness, as a share of the difference between the two scores.
        max_points: points on the path at which gradients are evaluated, at most.
        batch_size: points in one forward.

    Returns:
        The map, in units of the score. Its values add up to the difference of scores but for `residual`.

    Raises:
        ValueError: an unknown place or baseline, or mel bands for a layer.
        IncompleteError: completeness was not reached.
    """
    check_waveform(waveform, one=True)
    _check_choices(place, baseline, mel)
    start = _baseline(network, waveform, baseline)
    if place == "layer":
        network.activations(waveform)  # refuses layers that maps cannot be made at
    low, high = target(network.output(torch.cat([start, waveform]))).tolist()
    values, gradient, residual = integrate_completely(
        lambda num_points: _integrate(network, place, start, waveform, target, num_points, batch_size),
        high - low,
        tolerance=tolerance,
        max_points=max_points,
        hint="raise max_points, or integrate at a layer",
    )
    bands = None if mel is None else time_frequency((waveform - start)[0], gradient, mel).cpu().numpy()
    if place == "waveform":
        values = _sum_per_frame(values, network)
    named = "integrated_gradients" if place == "waveform" else "integrated_gradients_layer"
    return AttributionMap(named, target.name, values.float().cpu().numpy(), network.grid, residual, bands)


def integrate_completely(
    integrate: Callable[[int], tuple[Tensor, Tensor]],
    difference: float,
    *,
    tolerance: float,
    max_points: int,
    hint: str,
    name: str = "integrated gradients",
) -> tuple[Tensor, Tensor, float]:
    """Divide the path more finely until the values add up to the difference of the scores at its ends.

    Args:
        integrate: number of points -> values and mean gradient.
        difference: of the scores.
        tolerance: allowed error, as a share of the difference.
        max_points: points on the path at most.
        hint: what to do where that is not enough, for the message.
        name: what is computed, for the message.

    Returns:
        Values, gradient, and what is missing, as a share of the difference.

    Raises:
        IncompleteError: completeness was not reached.
    """
    residual = 0.0
    for num_points in _numbers_of_points(max_points):
        values, gradient = integrate(num_points)
        residual = abs(float(values.double().sum()) - difference) / max(abs(difference), LEAST_DIFFERENCE)
        if residual <= tolerance:
            return values, gradient, residual
    raise IncompleteError(
        f"{name}: expected values that add up to the difference of scores {difference:.4g} within {tolerance:.0%}, "
        f"found {residual:.1%} off after {max_points} points; {hint}"
    )


def _numbers_of_points(max_points: int) -> list[int]:
    doubled = (NUM_POINTS * 2**i for i in count())
    return [*takewhile(lambda number: number < max_points, doubled), max_points]


def _integrate(
    network: Network,
    place: str,
    start: Tensor,
    end: Tensor,
    target: Target,
    num_points: int,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Return values, (S,) or for a layer (T,), and the mean gradient of the waveform, (S,), zeros for a layer."""
    captum = import_optional("captum.attr")
    path = {"baselines": start, "n_steps": num_points, "internal_batch_size": batch_size}

    def score(waveforms: Tensor) -> Tensor:
        return target(network.forward(waveforms))

    if place == "layer":
        found = captum.LayerIntegratedGradients(score, network.layer).attribute(end, **path)
        return network.frames_first(found)[0].sum(1), torch.zeros_like(end[0])
    gradient = captum.IntegratedGradients(score, multiply_by_inputs=False).attribute(end, **path)[0]
    return gradient * (end - start)[0], gradient


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
    """Return the start of the path, (1, S)."""
    if baseline == "silence":
        return torch.zeros_like(waveform)
    return background_noise(waveform, network.sample_rate_hz, FLOOR_DB)


def time_frequency(sound: Tensor, gradient: Tensor, mel: MelSpectrogram) -> Tensor:
    """Split sound times gradient, (S,) each, over the windows and bands of `mel`: values (T', F), T' = 1 + S // hop.

    A short-time Fourier transform whose windows' squares are divided out keeps the sum over the samples
    (Parseval), so that the values add up to those over time (compare Vielhaben et al. 2023, "Explainable
    AI for time series via virtual inspection layers", arXiv 2303.06365). A bin's value is shared among the
    bands that cover it.

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
    """Return the share of each bin in each band, (K, F), rows sum to 1; bins outside all bands go to the nearest."""
    filters = mel.get_buffer("filters").clone()
    bins, edges = mel.get_buffer("bins_hz"), mel.get_buffer("edges_hz")
    uncovered = filters.sum(1) <= 0
    filters[uncovered & (bins <= edges[1]), 0] = 1.0
    filters[uncovered & (bins > edges[1]), -1] = 1.0
    return filters / filters.sum(1, keepdim=True)


def _sum_per_frame(values: Tensor, network: Network) -> Tensor:
    """Sum values (S,) over the network's frames, (T,); samples beyond the ends count to the outer frames."""
    num_frames = max(1, network.grid.num_frames(len(values) / network.sample_rate_hz))
    first_s = network.grid.first_centre_s - network.grid.step_s / 2
    times_s = np.arange(len(values)) / network.sample_rate_hz
    frames = np.floor((times_s - first_s) / network.grid.step_s).clip(0, num_frames - 1).astype(np.int64)
    return values.new_zeros(num_frames).index_add_(0, torch.from_numpy(frames).to(values.device), values)
