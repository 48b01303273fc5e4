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

    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Open a split (called by fairseq); only the one of `dataset.train_subset` is augmented and shuffled.

        Args:
            split: name of the tsv.
            combine: not used.
            task_cfg: keys to use instead of the task's.
            kwargs: not used.
        """
        cfg = task_cfg or self.cfg
        train = split == cfg.train_subset
        self.datasets[split] = read_split(
            cfg,
            split,
            train=train,
            augment=train,
            dataset=PretrainingDataset,
            normalize=cfg.normalize,
            pad=cfg.enable_padding,
        )

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: Any) -> None:
        """Log an update (called by fairseq), and let the criterion look for a collapse.

        Args:
            logging_outputs: a mapping per rank.
            criterion: `ext_contrastive_diversity`, or another one.
        """
        super().reduce_metrics(logging_outputs, criterion)
        if hasattr(criterion, "watch"):
            criterion.watch(logging_outputs)
