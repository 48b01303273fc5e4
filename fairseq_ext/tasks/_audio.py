"""Shared parts of the tasks that read recordings: keys, splits, the model's start, validation of averaged weights."""

import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import torch.distributed
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import II, MISSING, open_dict

from ..data.audio_dataset import AudioDataset
from ..line_index import AudioIndex
from ..modules.augment import WaveformAugment, WaveformAugmentConfig
from ..modules.learning_rates import per_parameter_lr


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


class AudioTask(FairseqTask):
    """Base class of our tasks; a subclass adds `open_split`, and what its models read of a task."""

    # With this, fairseq passes the averaged weights to the steps, if `ema.store_ema` is on.
    uses_ema = True
    # Key of the model's configuration that gives parameters other learning rates; named in messages.
    lr_scale_key = "model"

    def __init__(self, cfg: AudioTaskConfig) -> None:
        super().__init__(cfg)
        self.sample_rate_hz = cfg.sample_rate_hz

    @classmethod
    def setup_task(cls, cfg: AudioTaskConfig, **kwargs: Any) -> Self:
        """Make the task (called by fairseq, on loading a checkpoint with options that concern other tasks)."""
        return cls(cfg)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), and write what it read of its encoder into the configuration.

        Checkpoints then hold the network's shape, and loading one (`from_checkpoint`) needs no `pretrained_path`.
        """
        refuse_silent_copies()
        with open_dict(cfg):
            if from_checkpoint and "pretrained_path" in cfg:
                cfg.pretrained_path = ""
            model = super().build_model(cfg, from_checkpoint)
            if hasattr(model, "encoder_keys"):
                cfg.update(model.encoder_keys())
        return model

    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Open a split (called by fairseq); only the one of `dataset.train_subset` is trained on."""
        cfg = task_cfg or self.cfg
        self.datasets[split] = self.open_split(cfg, split, train=split == cfg.train_subset)

    @abstractmethod
    def open_split(self, cfg: Any, split: str, *, train: bool) -> AudioDataset:
        """Open a split by `read_split`; in training, it is shuffled."""

    def get_batch_iterator(self, dataset: Any, *args: Any, num_workers: int = 0, **kwargs: Any) -> Any:
        """Read batches (called by fairseq), refusing a copy of the recordings in each worker process."""
        if self.cfg.cache_audio and num_workers > 0:
            raise ValueError(
                f"task.cache_audio: each of {num_workers} worker processes would keep all recordings in memory; set "
                "task.cache_audio=false or dataset.num_workers=0"
            )
        return super().get_batch_iterator(dataset, *args, num_workers=num_workers, **kwargs)

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """Make an update (called by fairseq), marked parameters at their own learning rates."""
        with per_parameter_lr(optimizer, model, self.lr_scale_key):
            super().optimizer_step(optimizer, model, update_num)

    def train_step(self, *args: Any, ema_model: Any = None, **kwargs: Any) -> Any:
        """Train on a batch (called by fairseq); the averaged weights take no part."""
        return super().train_step(*args, **kwargs)

    def valid_step(self, sample: Any, model: Any, criterion: Any, ema_model: Any = None) -> Any:
        """Score a batch (called by fairseq) with the weights that are used later: the averaged ones, if any."""
        return super().valid_step(sample, model if ema_model is None else ema_model, criterion)

    def max_positions(self) -> None:
        """Return no limit: long recordings are cut by `max_duration_s`."""

    @property
    def source_dictionary(self) -> None:
        """Return None: the input is audio."""

    @property
    def target_dictionary(self) -> None:
        """Return None: classes are not a fairseq dictionary."""


def refuse_silent_copies() -> None:
    """Refuse a launcher that fairseq overlooks: it would train independent copies of the model silently.

    Called when the model is built, which is after fairseq joined its ranks, if there are any.

    Raises:
        ValueError: torchrun started more processes than fairseq has joined.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    joined = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if launched > 1 and joined == 1:
        raise ValueError(
            f"distributed training: the launcher started {launched} processes (WORLD_SIZE), but fairseq runs as 1, so "
            f"each would train its own model; add distributed_training.distributed_world_size={launched}"
        )
