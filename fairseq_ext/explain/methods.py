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
DEFAULT_METHOD = "hirescam"


def attribute(
    network: Network, waveform: Tensor, target: Target, method: str = DEFAULT_METHOD
) -> AttributionMap:
    """Explains a score by a method with its usual settings; call the method's own function for others.

    Example, a character of a transcript:
        `spans = align(network.output(waveform)[0], tokens)`, of `decoding.alignment`
        `attribute(network, waveform, TokenTarget("à", (spans[3],)))`

    Args:
        network: the network and its layer.
        waveform: (1, S), at the network's rate.
        target: a `TokenTarget`, `TranscriptTarget` or `ClassTarget`.
        method: a key of `METHODS`.

    Returns:
        The map over time.

    Raises:
        ValueError: an unknown method, or what the method refuses.
    """
    _check(method)
    return METHODS[method](network, waveform, target)


def attribute_each(
    network: Network, waveform: Tensor, targets: Sequence[Target], method: str = DEFAULT_METHOD
) -> list[AttributionMap]:
    """Explains several scores of one clip, such as all its words, at less cost than one after the other.

    Args:
        network: the network and its layer.
        waveform: (1, S), at the network's rate.
        targets: 1 or more.
        method: a key of `METHODS`.

    Returns:
        A map per target, the same as `attribute` gives.

    Raises:
        ValueError: an unknown method, or what the method refuses.
    """
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
