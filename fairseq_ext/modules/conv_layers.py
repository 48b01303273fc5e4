"""The sizes of the convolutions of a speech encoder: layers as configurations write them, frames of so many samples."""

import ast
import math

import torch
from torch import Tensor

ConvLayers = list[tuple[int, int, int]]  # channels, kernel, stride


def parse_conv_layers(text: str) -> ConvLayers:
    """Read (channels, kernel, stride) of each layer as fairseq writes them: "[(512, 10, 5)] + [(512, 3, 2)] * 4".

    Raises:
        ValueError: anything but such lists, joined by + and repeated by *, or sizes below 1.
    """
    try:
        layers = _evaluate(ast.parse(text.strip(), mode="eval").body)
        found = [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
        assert found
        assert min(min(layer) for layer in found) > 0
    except (SyntaxError, ValueError, TypeError, AssertionError) as error:
        raise ValueError(
            f"conv_feature_layers: {text!r} is not a list of (channels, kernel, stride); write it like "
            "[(512, 10, 5)] + [(512, 3, 2)] * 4"
        ) from error
    return found


def _evaluate(node: ast.expr) -> ConvLayers:
    """Evaluate literals, + and * only: configurations come with checkpoints and must not run code."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _evaluate(node.left) + _evaluate(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return list(_evaluate(node.left) * int(ast.literal_eval(node.right)))
    return list(ast.literal_eval(node))


def receptive_field(layers: ConvLayers) -> int:
    """Return the number of samples that one frame depends on: the shortest clip that gives a frame."""
    size = 1
    for _, kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


def hop_samples(layers: ConvLayers) -> int:
    """Return the number of samples from one frame to the next."""
    return math.prod(stride for _, _, stride in layers)


def conv_lengths(lengths: Tensor, layers: ConvLayers) -> Tensor:
    """Return the numbers of frames (B,) of clips of (B,) samples; 0 for one shorter than the receptive field."""
    beyond = lengths - receptive_field(layers)
    return (torch.div(beyond, hop_samples(layers), rounding_mode="floor") + 1).clamp(min=0)
