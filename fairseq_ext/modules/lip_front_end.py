"""`LipFrontEnd`: crops of a mouth to a vector per frame, by a 3-D convolution and a ResNet; quick on CPUs.

Stafylakis & Tzimiropoulos 2017, "Combining residual networks with LSTMs for lipreading", section 3: a convolution over
5 frames and 7 x 7 pixels, batch norm, activation, max pooling, then a ResNet-18 (He et al. 2016) frame by frame. Keys
of the state dict are those of published checkpoints: `frontend3D.0.weight`, `trunk.layer1.0.conv1.weight` and so on.

What makes it quick, at the same result (`tests/bench/lip_front_end.py`): the 3-D convolution of a grey picture is a 2-D
one with the 5 frames as channels; frames are the batch, channels last, and padding is dropped before the first product;
PReLU follows the pooling, which it commutes with while no slope is negative; its gradient is our own (`prelu`); late
stages use fewer products (`winograd`). Since padded frames never enter, batch norm's statistics are those of valid
frames, and a clip gives the same in any batch.

Shapes: B clips, T frames at 25 Hz, N valid frames of all clips, C channels, H, W sides of the crop, D width.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .padding import valid_mask
from .prelu import PReLU
from .standardize import count_batches_in_float
from .winograd import convolve, pays

KERNEL = (5, 7, 7)  # frames, rows, columns
PADDING = (2, 3, 3)  # half of it
ACTIVATIONS = ("prelu", "relu", "swish")


@dataclass
class LipFrontEndConfig:
    """Keys of the front end for pictures; the defaults are the published size, 11 M parameters."""

    front_end_width: int = field(
        default=64, metadata={"help": "channels of the first stage; each further stage has twice as many"}
    )
    front_end_blocks: str = field(
        default="2,2,2,2",
        metadata={"help": "residual blocks of each stage; fewer numbers = fewer stages; 2,2,2,2 = ResNet-18"},
    )
    front_end_pool: int = field(
        default=1, metadata={"help": "average pictures over squares of so many pixels first; 1 = as they are"}
    )
    front_end_activation: str = field(
        default="prelu", metadata={"help": "activation: prelu (AV-HuBERT), relu, swish (auto_avsr)"}
    )


def block_counts(text: str) -> list[int]:
    """Read the numbers of blocks of each stage, such as "2,2,2,2".

    Raises:
        ValueError: anything but whole numbers from 1 on.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"front_end_blocks: {text!r} is no list of whole numbers from 1 on; write it like 2,2,2,2"
        )
    return [int(part) for part in parts]


def _activation(kind: str, channels: int) -> nn.Module:
    if kind not in ACTIVATIONS:
        raise ValueError(
            f"front_end_activation: one of {', '.join(ACTIVATIONS)} expected, found {kind!r}; change it"
        )
    if kind == "prelu":
        return PReLU(channels)
    return nn.ReLU() if kind == "relu" else nn.SiLU()


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution with zeros around and no bias, by the quicker of two ways."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, 3, stride, 1, bias=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Convolve planes (N, C, H, W)."""
        if self.stride == (1, 1) and pays(planes, self.weight):
            return convolve(planes, self.weight)
        return super().forward(planes)


class Conv1x1(nn.Conv2d):
    """A 1 x 1 convolution without bias.

    Steps are taken by leaving out pixels first: with 4 channels, channels last, and a stride of 2, the backward pass of
    oneDNN (torch 2.11, AVX2) writes beyond its memory.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Convolve planes (N, C, H, W)."""
        down, across = self.stride
        chosen = planes[:, :, ::down, ::across].contiguous(memory_format=torch.channels_last)
        return F.conv2d(chosen, self.weight)


class LipBlock(nn.Module):
    """Two convolutions, batch-normalised, added to their input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, activation: str) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = _activation(activation, channels_out)
        self.conv2 = Conv3x3(channels_out, channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu2 = _activation(activation, channels_out)
        self.downsample = None
        if stride > 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                Conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )

    def forward(self, planes: Tensor) -> Tensor:
        """Apply the block to planes (N, C, H, W)."""
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(planes)))))
        result: Tensor = self.relu2(inner + (planes if self.downsample is None else self.downsample(planes)))
        return result


class LipFrontEnd(nn.Module):
    """Crops of a mouth to a vector per frame.

    Args:
        width: channels of the first stage.
        blocks: residual blocks of each stage, see `block_counts`.
        pool: side of the squares of pixels that are averaged first.
        activation: one of `ACTIVATIONS`.

    Attributes:
        out_dim: D.

    Raises:
        ValueError: naming the key, for a value out of range.
    """

    def __init__(
        self, width: int = 64, blocks: str = "2,2,2,2", pool: int = 1, activation: str = "prelu"
    ) -> None:
        super().__init__()
        if min(width, pool) < 1:
            raise ValueError(
                f"front_end_width, front_end_pool: 1 or more expected, found {width}, {pool}; change them"
            )
        self.pool = pool
        counts = block_counts(blocks)
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, KERNEL, (1, 2, 2), PADDING, bias=False),
            nn.BatchNorm2d(width),  # the same keys as the published 3-D one
            _activation(activation, width),
        )
        self.trunk = nn.Sequential()
        channels = width
        for stage, count in enumerate(counts):
            out = width * 2**stage
            strides = [1 if stage == 0 else 2, *[1] * (count - 1)]
            layer = nn.Sequential()
            for stride in strides:
                layer.append(LipBlock(channels, out, stride, activation))
                channels = out
            self.trunk.add_module(f"layer{stage + 1}", layer)
        self.out_dim = channels
        count_batches_in_float(self)

    @classmethod
    def from_config(cls, config: LipFrontEndConfig) -> "LipFrontEnd":
        """Build it from keys."""
        return cls(
            config.front_end_width,
            config.front_end_blocks,
            config.front_end_pool,
            config.front_end_activation,
        )

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode clips.

        Args:
            video: (B, 1, T, H, W) normalised pictures.
            lengths: (B,), valid frames; None = all, which is faster on a GPU.

        Returns:
            (B, T, D), 0 beyond a clip's length.
        """
        num_clips, num_frames = video.shape[0], video.shape[2]
        if lengths is not None and lengths.is_cpu and bool((lengths >= num_frames).all()):
            lengths = None
        valid = None if lengths is None else valid_mask(lengths, num_frames)  # (B, T)
        vectors = self.trunk(self._stem(self._neighbours(video[:, 0], valid))).mean((2, 3))  # (N, D)
        if valid is None:
            whole: Tensor = vectors.view(num_clips, num_frames, self.out_dim)
            return whole
        frames: Tensor = vectors.new_zeros(num_clips, num_frames, self.out_dim)
        return frames.masked_scatter(valid[:, :, None], vectors)

    def _neighbours(self, pictures: Tensor, valid: Tensor | None) -> Tensor:
        """Put each valid frame of pictures (B, T, H, W) between its neighbours, zeros outside clips: (N, 5, H, W)."""
        if valid is not None:
            pictures = pictures.masked_fill(~valid[:, :, None, None], 0.0)
        if self.pool > 1:
            pictures = F.avg_pool2d(pictures, self.pool)
        padded = F.pad(pictures, (0, 0, 0, 0, PADDING[0], PADDING[0]))  # (B, T + 4, H, W)
        windows = padded.unfold(1, KERNEL[0], 1)  # (B, T, H, W, 5)
        chosen = windows.flatten(0, 1) if valid is None else windows[valid]
        return chosen.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def _stem(self, windows: Tensor) -> Tensor:
        """Convolve, normalise, activate and pool (N, 5, H, W): (N, C, H / 4, W / 4)."""
        conv, norm, activation = self.frontend3D
        # The five frames are the channels of a 2-D convolution.
        assert isinstance(conv, nn.Conv3d)
        planes = F.conv2d(windows, conv.weight[:, 0], stride=2, padding=PADDING[1:])
        planes = norm(planes)
        if _keeps_order(activation):
            # Pooling and a function that never falls may change places: three quarters less to activate.
            result: Tensor = activation(F.max_pool2d(planes, 3, 2, 1))
            return result
        return F.max_pool2d(activation(planes), 3, 2, 1)


def _keeps_order(activation: nn.Module) -> bool:
    """Return whether an activation never falls; asked on CPUs only, where reading a slope costs nothing."""
    if isinstance(activation, nn.PReLU):
        return activation.weight.is_cpu and bool((activation.weight >= 0).all())
    return isinstance(activation, nn.ReLU)
