"""Losses on embeddings of norm 1: triplets, supervised contrast, additive margin; and signs of a collapse.

Shapes: B recordings, E width of the embedding, C classes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MININGS = ("batch_hard", "semi_hard")
# Under the root: its gradient is infinite at distance 0.
TINY = 1e-8


class Triplets(NamedTuple):
    """Losses of A triplets, and their distances (A,) from anchor to positive and to negative."""

    losses: Tensor
    positive: Tensor
    negative: Tensor


def distances(embedding: Tensor) -> Tensor:
    """Return the Euclidean distances (B, B) of embeddings (B, E) of norm 1, 0 to 2."""
    return (2.0 - 2.0 * embedding @ embedding.T).clamp(min=TINY).sqrt()


def triplets(embedding: Tensor, labels: Tensor, margin: float, mining: str) -> Triplets:
    """Return the losses max(0, margin + distance to the positive - distance to the negative) of mined triplets.

    `batch_hard`: one per anchor, the farthest positive and the nearest negative (Hermans, Beyer and Leibe 2017, "In
    defense of the triplet loss", equation 5). `semi_hard`: one per pair of anchor and positive, with the nearest
    negative that is farther than the positive, or the farthest of all where none is (Schroff, Kalenichenko and Philbin
    2015, "FaceNet", section 3.2).

    Args:
        embedding: (B, E), norm 1.
        labels: (B,), equal where recordings belong together. An anchor without positive or negative has no triplet.
        margin: distance by which negatives shall be farther.
        mining: one of `MININGS`.
    """
    apart = distances(embedding)
    same = labels[:, None] == labels[None, :]
    positives = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives &= (~same).any(1, keepdim=True)
    if mining == "semi_hard":
        anchors, others = positives.nonzero(as_tuple=True)
        positive = apart[anchors, others]
        to_negatives = apart[anchors].masked_fill(same[anchors], torch.inf)  # (A, B)
        nearest = to_negatives.masked_fill(to_negatives <= positive.detach()[:, None], torch.inf).amin(1)
        farthest = apart[anchors].masked_fill(same[anchors], -torch.inf).amax(1)
        negative = torch.where(nearest.isinf(), farthest, nearest)
    else:
        usable = positives.any(1)
        positive = apart.masked_fill(~positives, -torch.inf).amax(1)[usable]
        negative = apart.masked_fill(same, torch.inf).amin(1)[usable]
    return Triplets((margin + positive - negative).clamp(min=0.0), positive, negative)


def supervised_contrast(embedding: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the loss of each anchor with a positive, (A,), in nats.

    Khosla et al. 2020, "Supervised Contrastive Learning", equation 2.
    """
    logits = embedding @ embedding.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    log_probs = logits.masked_fill(itself, -torch.inf).log_softmax(1).masked_fill(itself, 0.0)
    positives = (labels[:, None] == labels[None, :]) & ~itself
    counts = positives.sum(1)
    losses = -(log_probs * positives).sum(1) / counts.clamp(min=1)
    return losses[counts > 0]


def additive_margin(logits: Tensor, targets: Tensor, margin: float, scale: float, ignore: int) -> Tensor:
    """Return the cross entropy of each recording whose class is known, the own class's cosine less a margin.

    Wang et al. 2018, "Additive Margin Softmax for Face Verification", equation 5.

    Args:
        logits: (B, C), cosines times the scale.
        targets: (B,), classes, or `ignore`.
        margin: margin of the cosine.
        scale: number that the cosines are multiplied by.
        ignore: target of a recording that does not count.
    """
    known = targets != ignore
    logits, targets = logits[known], targets[known]
    own = F.one_hot(targets, logits.shape[1]).to(logits)
    return F.cross_entropy(logits - scale * margin * own, targets, reduction="none")


def decorrelation(vectors: Tensor, labels: Tensor) -> Tensor:
    """Return the cost of vectors (B, E) before their norm, (): near within a class, of variance 1 and uncorrelated.

    The variance and covariance terms of Bardes, Ponce and LeCun 2022, "VICReg", equations 1 to 4, with pairs of a class
    in the place of two views, each with weight 1. A linear network's best answer is the discriminant analysis with
    whitened directions, which carries over to classes that training never saw.
    """
    same = labels[:, None] == labels[None, :]
    pairs = (same.sum() - len(labels)).clamp(min=1)
    width = vectors.shape[1]
    apart = (vectors[:, None] - vectors[None, :]).square().sum(2) * same / width
    centred = vectors - vectors.mean(0)
    covariance = centred.T @ centred / max(len(vectors) - 1, 1)
    deviation = (covariance.diagonal() + 1e-4).sqrt()
    others = covariance.square().sum() - covariance.diagonal().square().sum()
    return apart.sum() / pairs + F.relu(1.0 - deviation).mean() + others / width


def spread(embedding: Tensor) -> Tensor:
    """Return the variance of embeddings (B, E) of norm 1 around their mean: 0 = one point, 1 = all directions."""
    return 1.0 - embedding.mean(0).square().sum()


def effective_rank(embedding: Tensor) -> Tensor:
    """Return the number of dimensions that embeddings (B, E) fill: exp of the entropy of their variances' shares.

    Roy and Vetterli 2007, "The effective rank", section 2, of the covariance. 1 for a line, and for one point.
    """
    centred = embedding - embedding.mean(0)
    variances = torch.linalg.svdvals(centred).square()
    total = variances.sum()
    shares = variances / total.clamp(min=TINY)
    entropy = -(shares * shares.clamp(min=TINY).log()).sum()
    return torch.where(total > TINY, entropy.exp(), torch.ones_like(total))
