"""Registered criterions. Their logging outputs are sums and counts, so any number of ranks adds up."""

from . import accent_triplet, contrastive_diversity, ctc, nt_xent, utterance_classification  # noqa: F401
