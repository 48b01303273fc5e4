"""Masks over time and channels for a whole batch at once, without a loop over clips and without a host sync.

What is drawn depends on a clip's own length and seed alone: not on its batch, the device, the number of ranks, or where
a job was resumed. Random numbers are a hash of (seed, position), so that no generator has a state to save.
Baevski et al. 2020, "wav2vec 2.0", section 3.1: spans of `mask_length` frames, which may overlap.

Shapes: B batch, T frames, D channels, M masked frames per clip.
"""

import hashlib

import torch
from torch import Tensor

_BITS32 = 0xFFFFFFFF
# Ellis 2018, "Prospecting for hash functions", the search's best 32-bit mixer with two products (16, 15, 15 shifts).
_MULTIPLIERS = (0x21F0AAAD, 0x735A2D97)
# From so many spans on, one more or less hardly matters.
_MANY = 10
# One stream of numbers per purpose, so that none predicts another.
_COUNT, _STARTS, _CHANNELS, _THINNING = 1, 2, 3, 4


def time_masks(
    lengths: Tensor,
    mask_prob: float,
    mask_length: int,
    seeds: Tensor,
    *,
    num_frames: int | None = None,
    min_masks: int = 0,
) -> Tensor:
    """Mask spans of frames: (B, T) bool, True = masked; never beyond a clip's length.

    Spans may overlap, so fewer frames are masked than `mask_prob`: 0.65 with spans of 10 masks about 0.48. No span
    covers more than half of a clip, and no clip is masked as a whole.

    Args:
        lengths: (B,), frames.
        mask_prob: frames under a span if none overlapped, as a share of the clip; a probability.
        mask_length: frames per span.
        seeds: (B,) int64, one per clip.
        num_frames: T; None = the longest clip, whose length must then be read from the device.
        min_masks: smallest number of spans, where they leave a frame unmasked.

    Raises:
        ValueError: a probability outside 0 to 1, or spans below one frame.
    """
    _check(mask_prob, mask_length)
    size = int(lengths.max()) if num_frames is None else num_frames
    return _spans(lengths, mask_prob, mask_length, seeds, size, min_masks, _STARTS)


def channel_masks(
    num_channels: int, mask_prob: float, mask_length: int, seeds: Tensor, *, min_masks: int = 0
) -> Tensor:
    """Mask spans of channels, the same in all frames of a clip: (B, D) bool, True = masked.

    Args:
        num_channels: D.
        mask_prob: channels under a span if none overlapped, as a share of all; a probability.
        mask_length: channels per span.
        seeds: (B,) int64, one per clip.
        min_masks: smallest number of spans, where they leave a channel unmasked.

    Raises:
        ValueError: a probability outside 0 to 1, or spans below one channel.
    """
    _check(mask_prob, mask_length)
    lengths = torch.full_like(seeds, num_channels)
    return _spans(lengths, mask_prob, mask_length, seeds, num_channels, min_masks, _CHANNELS)


def equalize_mask_counts(masks: Tensor, seeds: Tensor) -> Tensor:
    """Choose as many masked frames of each clip as the clip with the fewest has: a rectangular batch of targets.

    Args:
        masks: (B, T) bool, best on the CPU: the smallest number is read.
        seeds: (B,) int64, one per clip.

    Returns:
        (B, M), positions of the frames that stay masked, rising.
    """
    fewest = int(masks.sum(1).min()) if len(masks) else 0
    order = _keys(seeds, masks.shape[1], _THINNING).masked_fill(~masks, torch.iinfo(torch.int64).max)
    return order.argsort(dim=1)[:, :fewest].sort(dim=1).values


def masks_at(positions: Tensor, num_frames: int) -> Tensor:
    """Invert `equalize_mask_counts`: positions (B, M) to a mask (B, T)."""
    nothing = torch.zeros(len(positions), num_frames, dtype=torch.bool, device=positions.device)
    return nothing.scatter(1, positions, True)


def draw_uniform(seeds: Tensor, purpose: str) -> Tensor:
    """Return a number from 0 to 1 (1 excluded) per seed (B,), float64: (B,); one stream of numbers per purpose."""
    # Streams of masks are small numbers: those of purposes lie far from them.
    stream = 0x1000 + 16 * int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:3], "big")
    return _hashed(seeds, torch.zeros_like(seeds), stream).double() / (_BITS32 + 1)


def _check(mask_prob: float, mask_length: int) -> None:
    if not 0.0 <= mask_prob <= 1.0:
        raise ValueError(f"mask_prob: 0 <= x <= 1 expected, found {mask_prob}; change it")
    if mask_length < 1:
        raise ValueError(f"mask_length: 1 or more expected, found {mask_length}; change it")


def _spans(
    lengths: Tensor, prob: float, span: int, seeds: Tensor, size: int, min_masks: int, stream: int
) -> Tensor:
    spans = (lengths // 2).clamp(max=span)  # (B,)
    # Few spans are rounded up or down at random, so that the mean is right for short clips too; many to the nearest, so
    # that clips of equal length have equally many and `equalize_mask_counts` leaves out little.
    exact = prob * lengths.double() / span
    chance = _hashed(seeds, torch.zeros_like(seeds), _COUNT + 16 * stream).double() / (_BITS32 + 1)
    rounded = (exact + torch.where(exact < _MANY, chance, 0.5)).long()
    count = rounded.clamp(min=min_masks if prob > 0 else 0)
    count = count.minimum((lengths - 1).clamp(min=0) // spans.clamp(min=1)) * (spans > 0)
    position = torch.arange(size, device=lengths.device)
    possible = position[None] <= (lengths - spans)[:, None]  # (B, T)
    keys = _keys(seeds, size, stream).masked_fill(~possible, torch.iinfo(torch.int64).max)
    # Sorting twice gives the rank of each position; the lowest ranks start a span.
    rank = keys.argsort(dim=1).argsort(dim=1)
    starts = (rank < count[:, None]) & possible
    # A frame is masked when a span began among the last `spans` frames.
    begun = torch.nn.functional.pad(starts.long().cumsum(1), (1, 0))  # (B, T + 1)
    earlier = (position[None] + 1 - spans[:, None]).clamp(min=0)
    return begun[:, 1:] > begun.gather(1, earlier)


def _keys(seeds: Tensor, size: int, stream: int) -> Tensor:
    """Return a random order of positions without ties: (B, size)."""
    position = torch.arange(size, device=seeds.device)[None]
    # 32 random bits above 24 of the position, which breaks ties: 16 million positions fit.
    return (_hashed(seeds[:, None], position, stream) << 24) | position


def _hashed(seeds: Tensor, position: Tensor, stream: int) -> Tensor:
    """Return 32 random bits per (seed, position, stream), as int64."""
    state = _mix(_mix((seeds & _BITS32) ^ stream) ^ ((seeds >> 32) & _BITS32))
    return _mix(_mix(position + stream) ^ state)


def _mix(bits: Tensor) -> Tensor:
    """Mix the bits; both multipliers are below 2 ** 31, so that no product leaves int64."""
    bits = ((bits ^ (bits >> 16)) * _MULTIPLIERS[0]) & _BITS32
    bits = ((bits ^ (bits >> 15)) * _MULTIPLIERS[1]) & _BITS32
    return bits ^ (bits >> 15)
