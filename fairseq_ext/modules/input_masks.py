"""Masks of the input of a network for pictures and sound: other pictures of the same clip, silence for sound.

Shi et al. 2022 (AV-HuBERT), section 3.2, "masking by substitution": a span of pictures is replaced by as many from
another place of the clip, so that what is wrong can be found only from what the mouth does. Spans of the two streams
are drawn apart; frames under either count as masked. All follows from the clips' seeds.

Shapes: B clips, T frames at 25 Hz, H W crop, A audio features of a frame.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .masking import draw_uniform, time_masks

# An odd number, so that the seeds of the streams differ in many bits.
_OTHER = 0x9E3779B97F4A7C15 >> 2


@dataclass
class InputMaskConfig:
    """Keys of masks of the input; the defaults are those of AV-HuBERT's last iteration."""

    mask_prob_image: float = field(
        default=0.3, metadata={"help": "input: share of pictures under a mask if no masks overlapped"}
    )
    mask_length_image: int = field(
        default=5, metadata={"help": "input: length of a mask of pictures, frames"}
    )
    mask_prob_audio: float = field(
        default=0.8, metadata={"help": "input: share of sound under a mask if no masks overlapped"}
    )
    mask_length_audio: int = field(default=10, metadata={"help": "input: length of a mask of sound, frames"})


def mask_input(
    video: Tensor | None, audio: Tensor | None, lengths: Tensor, seeds: Tensor, config: InputMaskConfig
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Mask the streams that are there.

    Args:
        video: (B, 1, T, H, W), or None.
        audio: (B, A, T), or None.
        lengths: (B,), valid frames.
        seeds: (B,) int64.
        config: the keys.

    Returns:
        Video and audio with masks, and (B, T) bool, True where either is masked.
    """
    given = video if video is not None else audio
    assert given is not None, "a batch holds video or audio"
    size = given.shape[2]
    either = torch.zeros(len(given), size, dtype=torch.bool, device=given.device)
    if video is not None:
        masked = time_masks(
            lengths, config.mask_prob_image, config.mask_length_image, seeds, num_frames=size, min_masks=1
        )
        video, either = substitute(video, masked, lengths, seeds), either | masked
    if audio is not None:
        masked = time_masks(
            lengths,
            config.mask_prob_audio,
            config.mask_length_audio,
            seeds ^ _OTHER,
            num_frames=size,
            min_masks=1,
        )
        # A filterbank frame has mean 0 and variance 1: 0 is no sound at all.
        audio, either = audio.masked_fill(masked[:, None, :], 0.0), either | masked
    return video, audio, either


def substitute(video: Tensor, masked: Tensor, lengths: Tensor, seeds: Tensor) -> Tensor:
    """Replace masked spans of video (B, 1, T, H, W) by pictures from elsewhere in the clip, in order.

    Args:
        video: (B, 1, T, H, W).
        masked: (B, T) bool, within the lengths.
        lengths: (B,), valid frames.
        seeds: (B,) int64.
    """
    size = video.shape[2]
    position = torch.arange(size, device=video.device)
    begins = masked & ~torch.nn.functional.pad(masked, (1, 0))[:, :size]
    span = begins.long().cumsum(1)  # (B, T), number of the span
    # A span moves by at least one frame, around the clip's end if need be.
    draw = draw_uniform((seeds[:, None] + span).flatten(), "move a span").view_as(span)
    most = (lengths - 1).clamp(min=1)[:, None]
    moved = (position + 1 + (draw * most).long()) % lengths.clamp(min=1)[:, None]
    source = torch.where(masked, moved, position)  # (B, T)
    clip = torch.arange(len(video), device=video.device)[:, None]
    return video[clip, 0, source][:, None]
