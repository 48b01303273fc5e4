"""Registered criterions. Their logging outputs are sums and counts, so any number of ranks adds up."""

from . import (  # noqa: F401
    accent_triplet,
    contrastive_diversity,
    ctc,
    ctc_attention,
    masked_units,
    nt_xent,
    utterance_classification,
)
