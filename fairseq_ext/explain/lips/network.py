"""The lip reader under study: pictures to log probabilities, and gradients at the layer of its maps.

Shapes: B changed copies of one clip, T frames at 25 Hz, H, W sides of the crop, V symbols, C channels, h, w sides of
the layer's planes, D width of the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..network import score_gradient
from ..targets import Target

# Frames on either side that the front end mixes into a frame's vector: its 3-D convolution covers five.
CONTEXT_FRAMES = 2


@dataclass(frozen=True)
class LipNetwork:
    """A lip reader in evaluation mode, in two parts.

    Attributes:
        model: module that holds the weights, shuffled for the control.
        see: the front end: normalised pictures (B, T', H, W), the first of them frame `first` of the clip, to vectors
            (B, T', D) of each; 0 is the mean grey of the training. Where the reader hears too, the sound of the clip
            is in it and stays as it is.
        read: vectors (B, T, D) to ln p (B, T, V).
        layer: module of the front end whose output, planes (B T, C, h, w), the maps are made at.
    """

    model: nn.Module
    see: Callable[[Tensor, int], Tensor]
    read: Callable[[Tensor], Tensor]
    layer: nn.Module

    def forward(self, pictures: Tensor) -> Tensor:
        """Return ln p (B, T, V) of pictures (B, T, H, W)."""
        return self.read(self.see(pictures, 0))

    @torch.no_grad()
    def output(self, pictures: Tensor) -> Tensor:
        """Return ln p (B, T, V) of pictures (B, T, H, W), without gradients."""
        return self.forward(pictures)

    def layer_gradients(self, pictures: Tensor, targets: Sequence[Target]) -> tuple[Tensor, list[Tensor]]:
        """Return the layer's planes of a clip (1, T, H, W), and each score's gradient there, (T, C, h, w) both.

        Raises:
            ValueError: another shape, or the score does not depend on the layer.
        """
        check_pictures(pictures)
        seen: list[Tensor] = []

        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            seen.append(output.detach().clone().requires_grad_())
            return seen[-1].clone()  # the next module may work in place

        handle = self.layer.register_forward_hook(hook)
        try:
            # cuDNN refuses gradients of recurrent layers in evaluation mode.
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
                output = self.forward(pictures)
                (planes,) = seen
                gradients = [
                    score_gradient(
                        target(output), planes, target, what="pictures", hint="explain a reader of pictures"
                    )
                    for target in targets
                ]
        finally:
            handle.remove()
        return planes.detach(), gradients


def check_pictures(pictures: Tensor) -> None:
    """Check that a tensor is the pictures of one clip.

    Raises:
        ValueError: the shape is another, or there are no frames.
    """
    if pictures.ndim != 4 or len(pictures) != 1 or not pictures.numel():
        raise ValueError(
            f"attribution: expected the pictures of one clip (1, T, H, W), found shape {tuple(pictures.shape)}; add "
            "the batch axis"
        )
