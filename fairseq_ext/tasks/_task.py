"""What all our tasks do: the model's start, validation of averaged weights, learning rates of marked parameters."""

import os
from abc import abstractmethod
from typing import Any, Self

import torch.distributed
from fairseq.tasks import FairseqTask
from omegaconf import open_dict

from ..modules.learning_rates import per_parameter_lr


class SpeechTask(FairseqTask):
    """Base class of our tasks; a subclass adds `open_split`, and what its models read of a task."""

    # With this, fairseq passes the averaged weights to the steps, if `ema.store_ema` is on.
    uses_ema = True
    # Key of the model's configuration that gives parameters other learning rates; named in messages.
    lr_scale_key = "model"

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> Self:
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
    def open_split(self, cfg: Any, split: str, *, train: bool) -> Any:
        """Open a split; in training, it is shuffled."""

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
        """Return no limit: the data set leaves out or cuts what is too long."""

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
