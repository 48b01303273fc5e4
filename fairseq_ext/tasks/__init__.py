"""Registered tasks; importing this package also registers the criterions, which fairseq's user-dir import skips."""

from .. import compat, criterions  # noqa: F401
from . import (  # noqa: F401
    audio_classification,
    audio_contrastive,
    audio_ctc,
    audio_pretraining,
    av_pretraining,
    av_recognition,
    metric_learning,
)
