"""The convolutions that turn a waveform into frames (wav2vec 2.0, HuBERT, WavLM).

Baevski et al. 2020, "wav2vec 2.0", section 2 (feature encoder). State-dict keys are those of fairseq's
`ConvFeatureExtractionModel`: `conv_layers.i.0.weight`, `conv_layers.0.2.*` (group norm) or `conv_layers.i.2.1.*`
(layer norm).

The clips of a batch are laid end to end, each in a whole number of hops, so that a layer is one matrix product over the
batch, on views: windows are never copied. What lies across two clips is computed too (less than two frames a clip)
and cut off at the end; so is what lies beyond a clip's length in a padded batch. No valid frame sees any of it, so a
clip's frames are the same alone and inside any batch.

Shapes: B batch, S samples, T frames, R rows of a layer's input (frames of all clips), Q of its output, C channels in,
O channels out, K kernel.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .conv_layers import ConvLayers, conv_lengths, hop_samples, receptive_field
from .gabor import gabor_filters
from .padding import valid_mask
from .products import add_product_, product, set_product_

MODES = ("default", "layer_norm")
INITS = ("random", "gabor")
# Samples from which on the covariance under a kernel costs more than a pass over the frames; by far more at 320.
WIDE_KERNEL = 64
# Frames per product when the covariance is summed.
MOMENT_FRAMES = 64


class _Convolve(torch.autograd.Function):
    """Windows of K rows, every `stride` rows, times a weight: a product per `stride` rows of the kernel."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, kernel: int, stride: int) -> Tensor:
        """Return the product (Q, O) of windows of rows (R, C) and weight (O, K C)."""
        ctx.save_for_backward(rows, weight)
        ctx.kernel, ctx.stride = kernel, stride
        result: Tensor | None = None
        for part, columns in _parts(rows, weight, kernel, stride):
            result = product(part, columns.T) if result is None else add_product_(result, part, columns.T)
        assert result is not None
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Return the gradients of rows (R, C) and weight (O, K C)."""
        rows, weight = ctx.saved_tensors
        to_rows, to_weight = None, None
        if ctx.needs_input_grad[0]:
            to_rows = torch.empty_like(rows)
            # The first part writes every row up to here and the later ones add, so only the rest is set to zero; a
            # kernel shorter than its stride leaves gaps, so everything is.
            covered = len(gradient) * ctx.stride if ctx.kernel >= ctx.stride else 0
            to_rows[covered:] = 0.0
            for number, (part, columns) in enumerate(_parts(to_rows, weight, ctx.kernel, ctx.stride)):
                (add_product_ if number or not covered else set_product_)(part, gradient, columns)
        if ctx.needs_input_grad[1]:
            pairs = _parts(rows, weight, ctx.kernel, ctx.stride)
            # laid out once, where the product would do it for each part
            turned = gradient.T.contiguous() if gradient.is_cpu else gradient.T
            to_weight = torch.cat([product(turned, part) for part, _ in pairs], dim=1)
        return to_rows, to_weight, None, None


def _parts(rows: Tensor, weight: Tensor, kernel: int, stride: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield views of up to `stride` rows side by side, (Q, width C), with the weights (O, width C) that they meet."""
    channels, size = rows.shape[1], (len(rows) - kernel) // stride + 1
    for start in range(0, kernel, stride):
        width = min(stride, kernel - start) * channels
        offset = rows.storage_offset() + start * channels
        part = rows.as_strided((size, width), (stride * channels, 1), offset)
        yield part, weight[:, start * channels : start * channels + width]


class StridedConv(nn.Module):
    """A convolution in time without padding.

    Args:
        in_channels: C.
        out_channels: O.
        kernel: K, rows.
        stride: step of the kernel, rows.
        bias: whether to add a bias.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight)

    def forward(self, rows: Tensor) -> Tensor:
        """Convolve rows (R, C), contiguous, in time: (Q, O)."""
        flat = self.weight.transpose(1, 2).flatten(1)  # (O, K C)
        result: Tensor = _Convolve.apply(rows, flat, self.kernel, self.stride)  # type: ignore[no-untyped-call]
        return result if self.bias is None else result + self.bias


class NormalizedConv(nn.ModuleDict):
    """First layer of the base models: convolution, group norm with a group per channel, GELU.

    Mean and variance over a clip's frames follow from the mean and covariance of the K samples under the kernel, so
    that norm and convolution are one product with K weights per clip and channel, and padding never counts. In double
    precision, since speech has little power at high frequencies, where many filters lie. A wide kernel, whose
    covariance would cost more than the norm, is convolved and normalised one after the other.

    Args:
        out_channels: O.
        kernel: K, samples.
        stride: samples.
        bias: whether the convolution adds a bias (the norm removes it).
    """

    def __init__(self, out_channels: int, kernel: int, stride: int, bias: bool) -> None:
        super().__init__(
            {
                "0": StridedConv(1, out_channels, kernel, stride, bias),
                "2": nn.GroupNorm(out_channels, out_channels),
            }
        )

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        """Convolve and normalise waveforms (B, S), S a multiple of the stride: (Q, O) rows, Q = B S / stride.

        `lengths` (B,) counts the frames of the output that are valid.
        """
        conv, norm = self._parts()
        if conv.kernel > WIDE_KERNEL:
            return self._normalize(self._convolve(source), lengths)
        beyond = F.pad(source.double(), (0, max(conv.kernel - conv.stride, 0)))
        windows = beyond.unfold(1, conv.kernel, conv.stride)  # (B, S / stride, K)
        weight = conv.weight[:, 0].double()  # (O, K)
        centred, covariance = _moments(windows, lengths)
        variance = ((weight @ covariance) * weight).sum(2)  # (B, O)
        scale = norm.weight.double() * (variance + norm.eps).rsqrt()
        folded = (weight * scale[:, :, None]).transpose(1, 2).to(conv.weight)  # (B, K, O)
        # The shift is one more row of the product: to add it afterwards would cost as much again. Rows in eights, since
        # products in bfloat16 are slow for others.
        rest = -(conv.kernel + 1) % 8
        inputs = F.pad(F.pad(centred.to(conv.weight), (0, 1), value=1.0), (0, rest))
        shift = norm.bias.to(conv.weight).expand(len(folded), 1, -1)
        return F.gelu(inputs @ F.pad(torch.cat([folded, shift], dim=1), (0, 0, 0, rest))).flatten(0, 1)

    def _parts(self) -> tuple[StridedConv, nn.GroupNorm]:
        conv, norm = self["0"], self["2"]
        assert isinstance(conv, StridedConv)
        assert isinstance(norm, nn.GroupNorm)
        return conv, norm

    def _convolve(self, source: Tensor) -> Tensor:
        """Return (B, S / stride, O); frames that reach beyond a clip's end are not valid."""
        conv, _ = self._parts()
        beyond = F.pad(source.flatten(), (0, max(conv.kernel - conv.stride, 0)))
        result: Tensor = conv(beyond[:, None]).unflatten(0, (len(source), -1))
        return result

    def _normalize(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Apply group norm over each clip's valid frames, and GELU: (Q, O)."""
        _, norm = self._parts()
        count = lengths.clamp(min=1)[:, None, None]
        valid = valid_mask(lengths, frames.shape[1])[:, :, None]
        centred = frames.float() - (frames * valid).float().sum(1, keepdim=True) / count
        variance = (centred * valid).square().sum(1, keepdim=True) / count
        normalized = centred * (norm.weight * (variance + norm.eps).rsqrt()) + norm.bias
        return F.gelu(normalized.to(frames)).flatten(0, 1)


def _moments(windows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract each clip's mean over its valid frames: (B, T, K), zero beyond; and the covariance (B, K, K)."""
    count = lengths.clamp(min=1)[:, None, None]
    valid = valid_mask(lengths, windows.shape[1])[:, :, None]
    mean = (windows * valid).sum(1, keepdim=True) / count
    centred = (windows - mean) * valid
    # In pieces: one product whose sum runs over all frames would leave a GPU idle.
    pieces = centred.unflatten(1, (-1, math.gcd(windows.shape[1], MOMENT_FRAMES)))
    return centred, (pieces.transpose(2, 3) @ pieces).sum(1) / count


class ConvBlock(nn.ModuleDict):
    """Convolution in time, layer norm over the channels if asked for, GELU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, *, bias: bool, layer_norm: bool
    ) -> None:
        super().__init__({"0": StridedConv(in_channels, out_channels, kernel, stride, bias)})
        self.has_norm = layer_norm
        if layer_norm:
            self["2"] = nn.ModuleDict({"1": nn.LayerNorm(out_channels)})

    def forward(self, rows: Tensor) -> Tensor:
        """Convolve rows (R, C) in time and activate: (Q, O)."""
        rows = self["0"](rows)
        if self.has_norm:
            norms = self["2"]
            assert isinstance(norms, nn.ModuleDict)
            rows = norms["1"](rows)
        return F.gelu(rows)


class ConvExtractor(nn.Module):
    """All layers: samples in, frames out.

    Args:
        layers: (channels, kernel, stride) per layer.
        mode: "default" = group norm after the first layer; "layer_norm" = layer norm after each.
        bias: whether the convolutions add a bias.
        init: initial values of the first layer, "random" or "gabor".

    Raises:
        ValueError: another mode or init.
    """

    def __init__(
        self, layers: ConvLayers, mode: str = "default", bias: bool = False, init: str = "random"
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"extractor_mode: one of {', '.join(MODES)} expected, found {mode!r}; change it")
        if init not in INITS:
            raise ValueError(f"extractor_init: one of {', '.join(INITS)} expected, found {init!r}; change it")
        self.layers = layers
        channels = [1, *(channels for channels, _, _ in layers)]
        blocks: list[nn.Module] = [
            ConvBlock(before, *layer, bias=bias, layer_norm=mode == "layer_norm")
            for before, layer in zip(channels[:-1], layers, strict=True)
        ]
        if mode == "default":
            blocks[0] = NormalizedConv(*layers[0], bias=bias)
        self.conv_layers = nn.ModuleList(blocks)
        if init == "gabor":
            self._start_as_filterbank()

    @torch.no_grad()
    def _start_as_filterbank(self) -> None:
        """Set the first layer to mel bands, whose rectified outputs the layers of the same width average over time."""
        self._conv(0).weight.copy_(gabor_filters(*self.layers[0][:2])[:, None])
        for number, ((before, _, _), (channels, kernel, _)) in enumerate(pairwise(self.layers), start=1):
            if channels == before:
                mean = torch.eye(channels)[:, :, None].expand(-1, -1, kernel) / kernel
                self._conv(number).weight.copy_(mean)

    def _conv(self, number: int) -> StridedConv:
        block = self.conv_layers[number]
        assert isinstance(block, NormalizedConv | ConvBlock)
        conv = block["0"]
        assert isinstance(conv, StridedConv)
        return conv

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Extract frames (B, T, C) from waveforms; `conv_lengths` says how many are valid.

        Args:
            source: (B, S) waveforms, S at least `receptive_field(layers)`.
            lengths: (B,), samples that are valid; None = all.
        """
        num_clips, num_samples = source.shape
        hop = hop_samples(self.layers)
        num_frames = (num_samples - receptive_field(self.layers)) // hop + 1
        source = F.pad(source, (0, -num_samples % hop))
        rows = self._first(source, num_samples if lengths is None else lengths)
        for block in self.conv_layers[1:]:
            rows = block(rows)
        # The last clip lacks the frames that reach beyond the end of the batch; none of them is valid.
        rows = F.pad(rows, (0, 0, 0, num_clips * source.shape[1] // hop - len(rows)))
        return rows.view(num_clips, -1, rows.shape[1])[:, :num_frames]

    def _first(self, source: Tensor, lengths: Tensor | int) -> Tensor:
        """Apply the first layer, the only one that needs the clips' ends: (Q, O)."""
        block = self.conv_layers[0]
        inputs: tuple[Tensor, ...] = (source.reshape(-1, 1),)
        if isinstance(block, NormalizedConv):
            if isinstance(lengths, int):
                lengths = torch.full((len(source),), lengths, device=source.device)
            inputs = source, conv_lengths(lengths, self.layers[:1])
        rows: Tensor = block(*inputs)
        return rows
