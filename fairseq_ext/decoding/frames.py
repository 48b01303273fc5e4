"""Frames of log-probabilities: checked, and pruned for the search, on their device.

Shapes: B utterances, T frames, F of them kept, V symbols in fairseq's order, N symbols that are tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .ngram import Floats
from .trie import Ints

BLANK = 0
# `<s>` (blank), `<pad>`, `</s>`, `<unk>`: fairseq's, before the symbols of the dictionary.
NUM_SPECIAL = 4


@dataclass(frozen=True, slots=True)
class Frames:
    """The input of the search: F frames of all utterances, padded with blanks of ln p 0.

    Attributes:
        log_probs: ln p, (F, B, V).
        tokens: symbols by falling ln p, never special ones, (F, B, N).
        values: ln p of these symbols, -inf where too low, (F, B, N).
        widths: number of the N symbols that some utterance needs, (F,).
        skipped: summed ln p of the blanks in dropped frames, (B,).
    """

    log_probs: Floats
    tokens: Ints
    values: Floats
    widths: list[int]
    skipped: Floats


def thin_out(
    log_probs: Tensor, lengths: Tensor, *, min_token_log_prob: float, skip_blank_prob: float
) -> Frames:
    """Drop frames and symbols that hardly change the result; return the rest on the CPU.

    Args:
        log_probs: ln p, (B, T, V).
        lengths: number of valid frames, (B,).
        min_token_log_prob: symbols of lower ln p are not tried in a frame, unless one beats the blank.
        skip_blank_prob: runs of frames with a likelier blank are cut to their first frame.
    """
    frames, skipped = _without_silence(log_probs, valid_frames(log_probs, lengths), skip_blank_prob)
    values, tokens = frames[..., NUM_SPECIAL:].sort(-1, descending=True)
    enough = values >= min_token_log_prob
    # Where no symbol reaches the limit, the best one may still beat the blank, and stays.
    enough[..., 0] |= values[..., 0] > frames[..., BLANK]
    values.masked_fill_(~enough, -math.inf)
    widths: list[int] = (values > -math.inf).sum(-1).amax(0).tolist()  # (F,)
    width = max(widths, default=0)
    return Frames(
        _frames_first(frames),
        _frames_first(tokens[..., :width] + NUM_SPECIAL),
        _frames_first(values[..., :width]),
        widths,
        skipped.cpu().numpy(),
    )


def _without_silence(log_probs: Tensor, valid: Tensor, skip_blank_prob: float) -> tuple[Tensor, Tensor]:
    """Return the kept frames (B, F, V), float64, and ln p of the blanks left out (B,)."""
    blank = log_probs[..., BLANK]
    silent = valid & (blank > math.log(skip_blank_prob))
    # The first frame of a run is kept: it separates a symbol from its repetition.
    repeated = silent & torch.nn.functional.pad(silent, (1, 0))[:, :-1]
    kept = valid & ~repeated
    # A stable sort moves the kept frames to the front, in order.
    order = torch.argsort(~kept, dim=1, stable=True)[:, : int(kept.sum(1).max())]  # (B, F)
    frames = log_probs.gather(1, order[..., None].expand(-1, -1, log_probs.shape[2])).double()
    # Padding is a certain blank, which leaves the texts of shorter utterances and their ln p as they are.
    ended = ~kept.gather(1, order)
    frames.masked_fill_(ended[..., None], -math.inf)
    frames[..., BLANK].masked_fill_(ended, 0.0)
    return frames, blank.double().masked_fill(~repeated, 0.0).sum(1)


def _frames_first(batch: Tensor) -> Any:
    return batch.transpose(0, 1).contiguous().cpu().numpy()


def check(log_probs: Tensor, lengths: Tensor, symbols: Sequence[str]) -> None:
    """Raise ValueError unless `log_probs` are ln p, (B, T, V), of V symbols and (B,) numbers of valid frames."""
    if log_probs.ndim != 3 or log_probs.shape[2] != len(symbols) or not len(log_probs):
        raise ValueError(
            f"CTC: log_probs of shape (B, T, {len(symbols)}) expected, found {tuple(log_probs.shape)}; "
            "transpose them, or give the symbols of the model"
        )
    if len(symbols) <= NUM_SPECIAL:
        raise ValueError(
            f"CTC: {list(symbols)} has no symbols after the {NUM_SPECIAL} special ones; give the symbols of the model"
        )
    if lengths.shape != log_probs.shape[:1] or not bool(
        ((lengths >= 0) & (lengths <= log_probs.shape[1])).all()
    ):
        raise ValueError(
            f"CTC: {len(log_probs)} lengths from 0 to {log_probs.shape[1]} expected, found {lengths.tolist()}; "
            "count frames, not samples"
        )
    # NaN fails the comparison, too; in half precision, rounding may give values slightly above 0.
    if not bool(((log_probs <= 0.01).all(-1) | ~valid_frames(log_probs, lengths)).all()):
        raise ValueError("CTC: log_probs has values above 0 or NaN; apply log_softmax to the logits")


def valid_frames(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Return which frames are valid, (B, T) bool; padding may hold any value."""
    return torch.arange(log_probs.shape[1], device=log_probs.device) < lengths.to(log_probs.device)[:, None]
