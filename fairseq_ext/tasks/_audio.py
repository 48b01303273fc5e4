"""Shared parts of the tasks that read recordings: keys, and how a split is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from fairseq.dataclass import FairseqDataclass
from omegaconf import II, MISSING

from ..data.audio_dataset import AudioDataset
from ..line_index import AudioIndex
from ..modules.augment import WaveformAugment, WaveformAugmentConfig
from ._task import SpeechTask


@dataclass
class AudioTaskConfig(FairseqDataclass):
    """Keys of every task that reads recordings."""

    data: str = field(default=MISSING, metadata={"help": "folder of the manifests, absolute"})
    sample_rate_hz: int = field(
        default=16000, metadata={"help": "sample rate of manifests and waveforms, Hz"}
    )
    min_duration_s: float = field(default=0.0, metadata={"help": "shorter recordings are left out, s"})
    max_duration_s: float = field(
        default=0.0, metadata={"help": "longer recordings are cut, at random in training, s; 0 = whole"}
    )
    cache_audio: bool = field(
        default=False,
        metadata={
            "help": "keep decoded recordings in memory; for corpora of a few hours, with dataset.num_workers 0"
        },
    )
    train_subset: str = field(
        default=II("dataset.train_subset"), metadata={"help": "the split that is augmented and shuffled"}
    )
    seed: int = field(
        default=1,
        metadata={"help": "seed of batches and augmentation; set it with common.seed"},
    )
    augment: WaveformAugmentConfig = field(default_factory=WaveformAugmentConfig)


D = TypeVar("D", bound=AudioDataset)


def read_split(
    dataset: type[D], cfg: AudioTaskConfig, split: str, *, train: bool, augment: bool, **options: Any
) -> D:
    """Open a split. A split that is scored keeps all its recordings, however short.

    Args:
        dataset: class of the data set.
        cfg: the task's keys.
        split: name of the tsv.
        train: whether the split is trained on.
        augment: whether to distort the recordings.
        options: further arguments of the data set's class.
    """
    distort = (
        WaveformAugment(WaveformAugmentConfig(**cast(Mapping[str, Any], cfg.augment))) if augment else None
    )
    return dataset(
        AudioIndex(Path(cfg.data) / f"{split}.tsv"),
        cfg.sample_rate_hz,
        augment=None if distort is None or distort.is_identity else distort,
        min_samples=round(cfg.min_duration_s * cfg.sample_rate_hz) if train else 0,
        max_samples=round(cfg.max_duration_s * cfg.sample_rate_hz) or None,
        shuffle=train,
        seed=cfg.seed,
        cache=cfg.cache_audio,
        **options,
    )


class AudioTask(SpeechTask):
    """Base class of the tasks that read recordings; a subclass adds `open_split` and what its models read of a task."""

    def __init__(self, cfg: AudioTaskConfig) -> None:
        super().__init__(cfg)
        self.sample_rate_hz = cfg.sample_rate_hz

    def get_batch_iterator(self, dataset: Any, *args: Any, num_workers: int = 0, **kwargs: Any) -> Any:
        """Read batches (called by fairseq), refusing a copy of the recordings in each worker process."""
        if self.cfg.cache_audio and num_workers > 0:
            raise ValueError(
                f"task.cache_audio: each of {num_workers} worker processes would keep all recordings in memory; set "
                "task.cache_audio=false or dataset.num_workers=0"
            )
        return super().get_batch_iterator(dataset, *args, num_workers=num_workers, **kwargs)
