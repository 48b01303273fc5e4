"""Signs that embeddings have collapsed, and a warning that says what to try."""

import logging

logger = logging.getLogger(__name__)

# The mean hinge loss is the margin where positives are as far as negatives.
NEAR_MARGIN = 0.02
# Of vectors of norm 1: 0 = all the same. Untrained networks have 0.01 to 0.2, trained ones 0.8 and more
# (speechocean762, 67 speakers).
MIN_SPREAD = 0.01
# A line has 1; trained networks of 64 dimensions have 15 and more in batches of 64 (same material).
MIN_RANK = 1.5
ADVICE = (
    "try criterion.mining=semi_hard, a lower learning rate or a longer warm-up, a larger criterion.class_weight or "
    "criterion.contrast_weight, or more classes in a batch (task.classes_per_batch)"
)


class CollapseAlarm:
    """A warning, given once, when training shows a sign of a collapse for long.

    Args:
        patience: updates in a row; 0 = never warn.
        margin: margin of the triplets.
    """

    def __init__(self, patience: int, margin: float) -> None:
        self.patience, self.margin = patience, margin
        self._bad_for, self._warned = 0, False

    def watch(self, triplet_loss: float | None, spread: float, rank: float) -> bool:
        """Check an update; return whether it warned.

        Args:
            triplet_loss: mean loss of the triplets; None = there were none.
            spread: variance of the embeddings around their mean.
            rank: number of dimensions that they fill.
        """
        signs = self._signs(triplet_loss, spread, rank)
        self._bad_for = self._bad_for + 1 if signs else 0
        if not self.patience or self._warned or self._bad_for < self.patience:
            return False
        self._warned = True
        logger.warning(f"embeddings have collapsed: {', '.join(signs)} for {self._bad_for} updates; {ADVICE}")
        return True

    def _signs(self, triplet_loss: float | None, spread: float, rank: float) -> list[str]:
        signs = []
        if triplet_loss is not None and abs(triplet_loss - self.margin) < NEAR_MARGIN * self.margin:
            signs.append(f"triplet loss {triplet_loss:.4g} at its margin of {self.margin:g}")
        if spread < MIN_SPREAD:
            signs.append(f"variance {spread:.2g} of vectors of norm 1")
        if rank < MIN_RANK:
            signs.append(f"effective rank {rank:.2f}")
        return signs
