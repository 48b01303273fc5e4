"""`ext_audio_classification`: one label per recording, from a manifest folder.

The folder holds `{split}.tsv`, `{split}.<label>` and `dict.<label>.txt`. The class names travel in the checkpoint, so
that inference needs no folder.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import MISSING

from .. import compat
from ..augment import WaveformAugment, WaveformAugmentConfig
from ..data.audio_dataset import AudioDataset
from ..data.labels import ClassLabels, class_names
from ..line_index import AudioIndex


@dataclass
class AudioTaskConfig(FairseqDataclass):
    """Keys of every task that reads recordings."""

    data: str = field(default=MISSING, metadata={"help": "folder of the manifests, absolute"})
    sample_rate_hz: int = field(default=16000, metadata={"help": "of the manifests and of the waveforms, Hz"})
    min_duration_s: float = field(default=0.0, metadata={"help": "shorter recordings are left out, s"})
    max_duration_s: float = field(
        default=0.0, metadata={"help": "longer recordings are cut, at random in training, s; 0 = whole"}
    )
    cache_audio: bool = field(
        default=False, metadata={"help": "keep decoded recordings in memory; for corpora of a few hours"}
    )
    seed: int = field(
        default=1,
        metadata={"help": "of the mixture of batches and the augmentation; set it with common.seed"},
    )
    augment: WaveformAugmentConfig = field(default_factory=WaveformAugmentConfig)


def read_split(cfg: AudioTaskConfig, split: str, *, train: bool, **options: Any) -> AudioDataset:
    """Open a split; augmentation and random cuts in training only.

    Args:
        cfg: the task's keys.
        split: name of the tsv.
        train: whether it is trained on.
        options: further arguments of `AudioDataset`.

    Returns:
        The dataset.
    """
    augment = WaveformAugment(WaveformAugmentConfig(**cfg.augment)) if train else None
    return AudioDataset(
        AudioIndex(Path(cfg.data) / f"{split}.tsv"),
        cfg.sample_rate_hz,
        augment=None if augment is None or augment.is_identity else augment,
        min_samples=round(cfg.min_duration_s * cfg.sample_rate_hz),
        max_samples=round(cfg.max_duration_s * cfg.sample_rate_hz) or None,
        shuffle=train,
        seed=cfg.seed,
        cache=cfg.cache_audio,
        **options,
    )


@dataclass
class AudioClassificationConfig(AudioTaskConfig):
    """Keys of the classification task."""

    label: str = field(default="label", metadata={"help": "name of the label stream: {split}.<label>"})


@register_task("ext_audio_classification", dataclass=AudioClassificationConfig)
class ExtAudioClassificationTask(FairseqTask):
    """Classify whole recordings.

    Args:
        cfg: see `AudioClassificationConfig`.
        names: the classes, in the order of the network's outputs.
    """

    def __init__(self, cfg: AudioClassificationConfig, names: list[str]) -> None:
        super().__init__(cfg)
        # What is in the state travels in the checkpoint.
        self.state.merge_state_dict({"class_names": names})
        self.sample_rate_hz = cfg.sample_rate_hz

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
        """Open a split (called by fairseq).

        Args:
            split: name of the tsv; a name that starts with "train" is augmented.
            combine: not used.
            task_cfg: other keys than the task's own.
            kwargs: not used.
        """
        cfg = task_cfg or self.cfg
        labels = ClassLabels(Path(cfg.data) / f"{split}.{cfg.label}", self.class_names)
        self.datasets[split] = read_split(cfg, split, train=split.startswith("train"), labels=labels)

    def max_positions(self) -> None:
        """No limit: long recordings are cut by `max_duration_s`."""

    @property
    def source_dictionary(self) -> None:
        """None: the input is sound."""

    @property
    def target_dictionary(self) -> None:
        """None: classes are not a fairseq dictionary."""

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), refusing a launch that would train copies of it."""
        compat.refuse_silent_copies()
        return super().build_model(cfg, from_checkpoint)
