"""`ext_audio_classification`: one label per recording, from a manifest folder.

The folder holds `{split}.tsv`, `{split}.<label>` and `dict.<label>.txt`. The class names travel in the checkpoint, so
that inference needs no folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq.tasks import register_task

from ..data.labels import ClassLabels, class_names
from ._audio import AudioTask, AudioTaskConfig, read_split


@dataclass
class AudioClassificationConfig(AudioTaskConfig):
    """Keys of the classification task."""

    label: str = field(default="label", metadata={"help": "name of the label stream: {split}.<label>"})


@register_task("ext_audio_classification", dataclass=AudioClassificationConfig)
class ExtAudioClassificationTask(AudioTask):
    """Classify whole recordings.

    Args:
        cfg: see `AudioClassificationConfig`.
        names: the classes, in the order of the network's outputs.
    """

    def __init__(self, cfg: AudioClassificationConfig, names: list[str]) -> None:
        super().__init__(cfg)
        # What is in the state travels in the checkpoint.
        self.state.merge_state_dict({"class_names": names})

    @classmethod
    def setup_task(cls, cfg: AudioClassificationConfig, **kwargs: Any) -> "ExtAudioClassificationTask":
        """Read the dictionary (called by fairseq)."""
        return cls(cfg, class_names(cfg.data, cfg.label))

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of the network's outputs."""
        return list(self.state.class_names)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Open a split (called by fairseq); only the one of `dataset.train_subset` is augmented and shuffled.

        Args:
            split: name of the tsv.
            combine: not used.
            task_cfg: other keys than the task's own.
            kwargs: not used.
        """
        cfg = task_cfg or self.cfg
        labels = ClassLabels(Path(cfg.data) / f"{split}.{cfg.label}", self.class_names)
        train = split == cfg.train_subset
        self.datasets[split] = read_split(cfg, split, train=train, augment=train, labels=labels)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Add to a checkpoint what `set_checkpoint_dict` compares (called by fairseq)."""
        return {type(self).__name__: {"class_names": self.class_names}}

    def set_checkpoint_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse to continue with other classes than before (called by fairseq on resuming).

        Args:
            state: what `get_checkpoint_dict` put there.

        Raises:
            ValueError: the dictionary has changed.
        """
        if list(state["class_names"]) != self.class_names:
            raise ValueError(
                f"{self.cfg.data}/dict.{self.cfg.label}.txt: the checkpoint's classes {list(state['class_names'])} "
                f"expected, found {self.class_names}; restore the dictionary or train in another save_dir"
            )
