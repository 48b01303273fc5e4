"""The network under study: how to call it, the layer of its maps, and gradients there.

Legend: B clips, S samples, T frames of the layer, D its width, V vocabulary, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .maps import FrameGrid
from .targets import Target

# Networks pad the ends of a clip in many ways, so their number of frames may differ from the grid's by this.
FRAME_SLACK = 2


class Forward(Protocol):
    """A function from clips of one length to the network's output."""

    def __call__(self, waveform: Tensor) -> Tensor:
        """Map waveforms (B, S) to log probabilities (B, T, V) of a CTC network, or logits (B, C)."""


@dataclass(frozen=True)
class Network:
    """A network, and the layer at which its maps are made.

    Choose an early layer, such as the normalised features: the deeper the layer, the more of the evidence has moved to
    the frame of the CTC peak, which may lie outside the character. At the last layer, before a head that works frame
    by frame, a map cannot leave the aligned frames, whatever was learnt.

    Attributes:
        forward: the network in evaluation mode, see `Forward`; gradients must flow through it.
        layer: module called once in each forward, whose output is one tensor.
        time_axis: time axis of that output: 1 for (B, T, D), 2 for (B, D, T).
        grid: times of the layer's frames.
        sample_rate_hz: sample rate of the waveform, Hz.
    """

    forward: Forward
    layer: nn.Module
    time_axis: int
    grid: FrameGrid
    sample_rate_hz: int

    def __post_init__(self) -> None:
        """Check the time axis."""
        if self.time_axis not in (1, 2):
            raise ValueError(
                f"network: expected time_axis 1 for (B, T, D) or 2 for (B, D, T), found {self.time_axis}; "
                "state which axis of the layer's output is time"
            )

    def output(self, waveform: Tensor) -> Tensor:
        """Run the network without gradients on clips, (B, S)."""
        check_waveform(waveform)
        with torch.no_grad():
            return self.forward(waveform)

    def activations(self, waveform: Tensor) -> Tensor:
        """Return the layer's output for clips (B, S), as (B, T, D)."""
        check_waveform(waveform)
        seen: list[Tensor] = []

        def keep(output: Tensor) -> Tensor:
            seen.append(output.detach())
            return output

        with torch.no_grad():
            self._run(waveform, keep)
        return self.frames_first(seen[0])

    def layer_gradients(self, waveform: Tensor, targets: Sequence[Target]) -> tuple[Tensor, list[Tensor]]:
        """Return the layer's output for a clip (1, S) and each score's gradient there, (T, D), from one forward."""
        activations = self.activations(waveform)  # (1, T, D)
        check_waveform(waveform, one=True)
        # The forward runs again with a leaf in the layer's place: this works for frozen parameters too, and nothing
        # below the layer is kept for the backward passes.
        leaf = self.frames_first(activations).clone().requires_grad_()
        with torch.enable_grad():
            # A clone, because the next module may work in place, which a leaf does not allow.
            output = self._run(waveform, lambda _: leaf.clone())
            gradients = [score_gradient(target(output), leaf, target) for target in targets]
        return activations[0], [self.frames_first(gradient)[0] for gradient in gradients]

    def _run(self, waveform: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Run the network with the layer's output passed through `change`."""
        num_calls = 0

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            nonlocal num_calls
            num_calls += 1
            return change(self._checked(output, waveform))

        handle = self.layer.register_forward_hook(hook)
        try:
            output = self.forward(waveform)
        finally:
            handle.remove()
        if num_calls != 1:
            raise ValueError(
                f"layer {type(self.layer).__name__}: expected one call in a forward, found {num_calls}; name a "
                "layer that the network uses once"
            )
        return output

    def _checked(self, output: Any, waveform: Tensor) -> Tensor:
        name = f"layer {type(self.layer).__name__}"
        if not isinstance(output, Tensor):
            raise TypeError(
                f"{name}: expected one tensor, found {type(output).__name__}; name a module that returns a tensor"
            )
        if output.ndim != 3 or len(output) != len(waveform):
            raise ValueError(
                f"{name}: expected an output of 3 axes, {len(waveform)} clips first, found shape "
                f"{tuple(output.shape)}; name a layer that puts the batch first and works over time"
            )
        expected = self.grid.num_frames(waveform.shape[1] / self.sample_rate_hz)
        if abs(output.shape[self.time_axis] - expected) > FRAME_SLACK:
            raise ValueError(
                f"{name}: expected about {expected} frames on axis {self.time_axis} of {tuple(output.shape)}, "
                f"found {output.shape[self.time_axis]}; state the other time_axis, or the layer's own grid"
            )
        if self.layer.training:
            raise ValueError(f"{name}: expected evaluation mode, found training mode; call eval() first")
        return output

    def frames_first(self, values: Tensor) -> Tensor:
        """Convert values of the layer's shape to (B, T, D), or back."""
        return values if self.time_axis == 1 else values.transpose(1, 2)


@dataclass(frozen=True)
class Explained:
    """A model and the layers at which its maps may be made; see `inference.explained`.

    Attributes:
        model: module that holds the weights, randomised for the control.
        networks: layer, named as in the encoder, early ones first -> the network with that layer.
    """

    model: nn.Module
    networks: dict[str, Network]


def score_gradient(
    scores: Tensor,
    leaf: Tensor,
    target: Target,
    *,
    what: str = "layer",
    hint: str = "name a layer on the way to the output, and let forward keep gradients",
) -> Tensor:
    """Differentiate scores (B,) of independent clips by their `leaf` (B, ...); the graph is kept for other scores.

    Raises:
        ValueError: the scores do not depend on it; the message calls it `what` and ends with `hint`.
    """
    gradient = None
    if scores.requires_grad:
        (gradient,) = torch.autograd.grad(scores.sum(), leaf, allow_unused=True, retain_graph=True)
    if gradient is None:
        raise ValueError(
            f"target {target.name!r}: expected a score that depends on the {what}, found no gradient; {hint}"
        )
    return gradient


def check_waveform(waveform: Tensor, *, one: bool = False) -> None:
    """Check that a tensor is a batch of waveforms (B, S), or of one.

    Raises:
        ValueError: the shape is another, or there are no samples.
    """
    shape = "(1, S)" if one else "(B, S)"
    if waveform.ndim != 2 or waveform.numel() == 0 or (one and len(waveform) != 1):
        raise ValueError(
            f"attribution: expected a waveform {shape}, found shape {tuple(waveform.shape)}; add the batch axis "
            "and mix channels down"
        )
