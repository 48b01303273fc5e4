"""Contrast of predictions with targets among negatives drawn from other masked frames.

Baevski et al. 2020, "wav2vec 2.0", section 3.2, equation 3. The cosines are one product of normalised matrices, from
which the negatives are picked; nothing of size negatives x width is ever built.

Shapes: B clips, M masked frames per clip, P width of the projections, N negatives per frame, R frames to draw from:
M = those of the same clip, or B M = those of all clips, clip by clip.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def draw_negatives(
    num_clips: int,
    num_frames: int,
    num_own: int,
    num_any: int,
    *,
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw other frames for each masked frame, with replacement, on the device.

    Args:
        num_clips: B.
        num_frames: M.
        num_own: negatives from the same clip; none when it has no other frame.
        num_any: negatives from all clips, the same one included.
        generator: random generator on the device; None = torch's default one.
        device: torch device to draw on.

    Returns:
        (B, M, N), positions among R: B M frames when `num_any` is above 0, else the clip's M.
    """
    own = torch.arange(num_frames, device=device)[None, :, None]  # (1, M, 1)
    first = torch.arange(num_clips, device=device)[:, None, None] * num_frames  # (B, 1, 1)
    drawn = []
    for count, size, itself in ((num_own, num_frames, own), (num_any, num_clips * num_frames, own + first)):
        count = count if size > 1 else 0
        other = torch.randint(
            max(size - 1, 1), (num_clips, num_frames, count), generator=generator, device=device
        )
        # One of the others: drawn from one position less, and those from the frame itself on move up by one.
        drawn.append(other + (other >= itself))
    if num_any:
        drawn[0] = drawn[0] + first
    return torch.cat(drawn, dim=2)


def contrastive_logits(
    predicted: Tensor,
    targets: Tensor,
    codes: Tensor,
    negatives: Tensor,
    temperature: float,
    *,
    from_all: bool,
) -> Tensor:
    """Return the cosines with the target and with the negatives, over the temperature: (B, M, 1 + N), the target first.

    Args:
        predicted: (B, M, P).
        targets: (B, M, P).
        codes: (B, M) int64, equal where the targets are: such a negative is no negative and gets minus infinity.
        negatives: (B, M, N), see `draw_negatives`.
        temperature: number that divides the cosines.
        from_all: whether the negatives count the frames of all clips (R = B M), or of the same clip (R = M).
    """
    predicted, targets = F.normalize(predicted.float(), dim=2), F.normalize(targets.float(), dim=2)
    positive = (predicted * targets).sum(2, keepdim=True)  # (B, M, 1)
    if from_all:
        cosines = (predicted.flatten(0, 1) @ targets.flatten(0, 1).T).view(*codes.shape, -1)
        pool = codes.flatten()[None, None, :]
    else:
        cosines = predicted @ targets.transpose(1, 2)  # (B, M, R)
        pool = codes[:, None, :]
    cosines = cosines.masked_fill(codes[:, :, None] == pool, float("-inf"))
    return torch.cat([positive, cosines.gather(2, negatives)], dim=2) / temperature
