"""`ext_audio_pretraining`: masked pre-training on recordings, without labels (wav2vec 2.0).

The folder holds `{split}.tsv`. Clips are cut to the shortest of their batch; `data/pretraining_dataset.py` says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.tasks import register_task

from ..data.pretraining_dataset import PretrainingDataset
from ._audio import AudioTask, AudioTaskConfig, read_split


@dataclass
class AudioPretrainingConfig(AudioTaskConfig):
    """Keys of the pre-training task."""

    min_duration_s: float = field(
        default=1.0,
        metadata={"help": "shorter recordings are left out of training, s: a batch is cut to its shortest"},
    )
    max_duration_s: float = field(
        default=15.6, metadata={"help": "longer recordings are cut, at random in training, s; 0 = whole"}
    )
    normalize: bool = field(
        default=False,
        metadata={"help": "bring each waveform to mean 0 and variance 1: for extractor_mode layer_norm"},
    )
    enable_padding: bool = field(
        default=False, metadata={"help": "pad a batch to its longest clip instead of cutting to its shortest"}
    )


@register_task("ext_audio_pretraining", dataclass=AudioPretrainingConfig)
class ExtAudioPretrainingTask(AudioTask):
    """The task of predicting masked frames from their context."""

    num_classes = 0

    def open_split(self, cfg: Any, split: str, *, train: bool) -> PretrainingDataset:
        """Open a split; augmented in training."""
        options = {"normalize": cfg.normalize, "pad": cfg.enable_padding}
        return read_split(PretrainingDataset, cfg, split, train=train, augment=train, **options)

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: Any) -> None:
        """Log an update (called by fairseq), and let `ext_contrastive_diversity` look for a collapse."""
        super().reduce_metrics(logging_outputs, criterion)
        if hasattr(criterion, "watch"):
            criterion.watch(logging_outputs)
