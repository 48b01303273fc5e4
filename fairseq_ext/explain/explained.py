"""A trained model made ready for attribution."""

from dataclasses import dataclass

from torch import nn

from .network import Network


@dataclass(frozen=True)
class Explained:
    """A model and the layers at which attribution maps may be made; see `inference.explained`.

    Attributes:
        model: module that holds the weights, randomised for the control.
        networks: layer, named as in the encoder, early ones first -> the network with that layer.
    """

    model: nn.Module
    networks: dict[str, Network]
