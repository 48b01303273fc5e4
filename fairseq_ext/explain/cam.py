"""Class activation maps: HiRes-CAM and Grad-CAM, at a layer of (T, D) activations and gradients.

These are not captum's: its LayerGradCam averages over channels instead of time where a layer gives (B, T, D), as all
of our encoders' do, and it runs the network again for every score and method, which for ten words of a clip took 2.5
times as long. Where captum can be compared, its values are equal (tests/unit/test_attribution_captum.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor

from .maps import AttributionMap
from .network import Network
from .targets import Target

# From activations and gradient, (T, D) each, to the map (T,).
CAMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "hirescam": lambda activations, gradient: (activations * gradient).sum(1),
        "gradcam": lambda activations, gradient: (activations * gradient.mean(0)).sum(1).relu(),
    }
)


def hirescam(network: Network, waveform: Tensor, target: Target) -> AttributionMap:
    """Explain a score by HiRes-CAM: gradient times activation in each frame, summed over channels; the map is signed.

    Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
    networks" (arXiv 2011.08891), with time in the place of space.
    """
    return cams(network, waveform, [target], ["hirescam"])["hirescam"][0]


def gradcam(network: Network, waveform: Tensor, target: Target) -> AttributionMap:
    """Explain a score by Grad-CAM: channels weighed by their mean gradient over time, summed, negative values cut.

    Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    equations 1 and 2, with time in the place of space. It is here for comparison: a channel that matters in one frame
    shows wherever it is active.
    """
    return cams(network, waveform, [target], ["gradcam"])["gradcam"][0]


def cams(
    network: Network, waveform: Tensor, targets: Sequence[Target], methods: Sequence[str] = tuple(CAMS)
) -> dict[str, list[AttributionMap]]:
    """Explain scores of a clip (1, S) by keys of `CAMS`, with one forward and a gradient per score.

    Returns method -> a map per target, at the layer's frames.
    """
    activations, gradients = network.layer_gradients(waveform, targets)
    return {
        method: [
            AttributionMap(method, t.name, CAMS[method](activations, g).float().cpu().numpy(), network.grid)
            for t, g in zip(targets, gradients, strict=True)
        ]
        for method in methods
    }
