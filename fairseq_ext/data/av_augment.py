"""Crop, flip, normalise and mask the pictures of a clip; what is drawn follows from the caller's generator.

Shapes: T frames, H, W sides of a clip, C side of the crop.
"""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

# Of grey mouth crops, black 0, white 1: mean and deviation with which the published models were trained.
MEAN, DEVIATION = 0.421, 0.165


@dataclass
class PictureConfig:
    """Keys of the pictures."""

    crop_px: int = field(
        default=88,
        metadata={"help": "side of the crop: at random in training, from the centre otherwise, px"},
    )
    flip_prob: float = field(
        default=0.5, metadata={"help": "probability that training mirrors a clip left to right"}
    )
    time_mask_frames: int = field(
        default=0, metadata={"help": "longest time mask, frames; 10 = published; 0 = no masks"}
    )
    time_mask_stride: int = field(
        default=25, metadata={"help": "one time mask per so many frames, so that long clips have more"}
    )


def crop(pictures: Tensor, side: int, generator: Generator | None) -> Tensor:
    """Cut (T, C, C) out of pictures (T, H, W), the same in all frames; without a generator from the centre.

    Raises:
        ValueError: the pictures are smaller than the crop.
    """
    height, width = pictures.shape[1:]
    if min(height, width) < side:
        raise ValueError(f"pictures of {width} x {height} px are smaller than task.crop_px={side}; lower it")
    if generator is None:
        top, left = round((height - side) / 2), round((width - side) / 2)
    else:
        top, left = (int(torch.randint(size - side + 1, (), generator=generator)) for size in (height, width))
    return pictures[:, top : top + side, left : left + side]


def normalize(pictures: Tensor) -> Tensor:
    """Bring uint8 pictures to about mean 0 and variance 1, float32."""
    return (pictures.float() - 255.0 * MEAN) / (255.0 * DEVIATION)


def time_mask(pictures: Tensor, longest: int, stride: int, generator: Generator) -> Tensor:
    """Set spans of normalised pictures to 0, the mean grey: one of up to `longest` frames per `stride` frames.

    Ma et al. 2022, "Visual speech recognition for multiple languages in the wild", Methods, "Time-masking": in
    proportion to the clip's length, here one more at random for what remains of it.
    """
    num_frames = len(pictures)
    if longest < 1:
        return pictures
    exact = num_frames / stride
    count = int(exact) + (float(torch.rand((), generator=generator)) < exact - int(exact))
    masked = torch.zeros(num_frames, dtype=torch.bool)
    for _ in range(count):
        size = min(int(torch.randint(longest + 1, (), generator=generator)), num_frames)
        start = int(torch.randint(num_frames - size + 1, (), generator=generator))
        masked[start : start + size] = True
    return pictures.masked_fill(masked[:, None, None], 0.0)


class PictureTransform:
    """Pictures of a clip as the network takes them.

    Args:
        config: the keys.
        train: whether to draw crop, flip and masks.

    Raises:
        ValueError: a size below 1 or a probability outside 0 to 1.
    """

    def __init__(self, config: PictureConfig, train: bool) -> None:
        if config.crop_px < 1 or config.time_mask_stride < 1 or config.time_mask_frames < 0:
            raise ValueError(
                "task.crop_px, time_mask_stride, time_mask_frames: 1, 1 and 0 or more expected, found "
                f"{config.crop_px}, {config.time_mask_stride}, {config.time_mask_frames}; change them"
            )
        if not 0.0 <= config.flip_prob <= 1.0:
            raise ValueError(
                f"task.flip_prob: 0 to 1 expected, found {config.flip_prob}; it is a probability"
            )
        self.config, self.train = config, train

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """Transform uint8 pictures (T, H, W): (T, C, C) float32."""
        config = self.config
        pictures = crop(pictures, config.crop_px, generator if self.train else None)
        if self.train and float(torch.rand((), generator=generator)) < config.flip_prob:
            pictures = pictures.flip(2)
        pictures = normalize(pictures)
        if self.train:
            pictures = time_mask(pictures, config.time_mask_frames, config.time_mask_stride, generator)
        return pictures
