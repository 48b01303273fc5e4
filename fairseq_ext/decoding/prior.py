"""The prior of a recogniser's symbols, and its log-probabilities with that prior taken off.

A network trained with CTC on little speech writes blank and common letters where it is unsure. Divided by a power of
their prior, its posteriors are scaled likelihoods, which leave more to the language model (Bourlard and Morgan 1994,
"Connectionist speech recognition"; of CTC: Miao et al. 2015, "EESEN: end-to-end speech recognition using deep RNN
models and WFST-based decoding").

Shapes: B utterances, T frames, V symbols.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .frames import valid_frames


def mean_posterior(batches: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return ln of the mean posterior of each symbol over all valid frames, (V,) float64.

    Each symbol has a share of one frame more, so that none is impossible.

    Args:
        batches: ln p (B, T, V) and valid frames (B,); at least one.
    """
    num_symbols, num_frames = batches[0][0].shape[-1], 0
    summed = torch.full((num_symbols,), 1 / num_symbols, dtype=torch.float64)
    for log_probs, lengths in batches:
        frames = log_probs[valid_frames(log_probs, lengths)].double().exp()  # (frames, V)
        summed, num_frames = summed + frames.sum(0).cpu(), num_frames + len(frames)
    return (summed / (num_frames + 1)).log()


def without_prior(log_probs: Tensor, log_prior: Tensor, scale: float) -> Tensor:
    """Return ln (p / prior^scale) of every frame, normalised over its symbols, (B, T, V) float64.

    `log_probs` are ln p, (B, T, V); `log_prior` is (V,) float64.
    """
    return torch.log_softmax(log_probs.double() - scale * log_prior.to(log_probs.device), -1)
