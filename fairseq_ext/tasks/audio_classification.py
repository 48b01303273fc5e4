"""`ext_audio_classification`: classes of recordings, in one or several label streams, from a manifest folder.

The folder holds `{split}.tsv` and for each stream `{split}.<label>` and `dict.<label>.txt`; an empty line of a stream
means that the class is unknown. The class names travel in the checkpoint, so that inference needs no folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairseq.tasks import register_task
from omegaconf import open_dict

from ..data.label_streams import LabelStreams, count_classes, stream_names
from ..data.labels import class_names
from ..models.speech_classifier import SpeechClassifier
from ..modules.learning_rates import per_parameter_lr
from ._audio import AudioTask, AudioTaskConfig, read_split


@dataclass
class AudioClassificationConfig(AudioTaskConfig):
    """Keys of the classification task."""

    label: str = field(
        default="label",
        metadata={
            "help": "name of the label stream: {split}.<label>; several with commas between them, for "
            "ext_speech_classifier"
        },
    )


@register_task("ext_audio_classification", dataclass=AudioClassificationConfig)
class ExtAudioClassificationTask(AudioTask):
    """Classify whole recordings.

    Args:
        cfg: see `AudioClassificationConfig`.
        streams: stream -> classes, in the order of the network's outputs.
    """

    def __init__(self, cfg: AudioClassificationConfig, streams: Mapping[str, list[str]]) -> None:
        super().__init__(cfg)
        # fairseq saves the state in the checkpoint. A single stream is stored as the bare list.
        names = dict(streams) if len(streams) > 1 else next(iter(streams.values()))
        self.state.merge_state_dict({"class_names": names})

    @classmethod
    def setup_task(cls, cfg: AudioClassificationConfig, **kwargs: Any) -> "ExtAudioClassificationTask":
        """Read the dictionaries (called by fairseq)."""
        return cls(cfg, {name: class_names(cfg.data, name) for name in stream_names(cfg.label)})

    @property
    def streams(self) -> dict[str, list[str]]:
        """Return stream -> classes, in the order of the network's outputs."""
        names = self.state.class_names
        return dict(names) if isinstance(names, Mapping) else {self.cfg.label: list(names)}

    @property
    def class_names(self) -> list[str]:
        """Return the classes of the only stream, in the order of the network's outputs.

        Raises:
            ValueError: there are several streams.
        """
        if len(self.streams) > 1:
            raise ValueError(
                f"task.label: this model predicts one label stream, not {list(self.streams)}; name one, or train "
                "ext_speech_classifier, which has an output layer for each"
            )
        return next(iter(self.streams.values()))

    @property
    def num_classes(self) -> int:
        """Return the number of classes of the only stream."""
        return len(self.class_names)

    def class_counts(self) -> dict[str, list[int]]:
        """Count the classes in the training split.

        Returns:
            Stream -> rows of each class.
        """
        split, folder = self.cfg.train_subset, self.cfg.data
        return {name: count_classes(folder, split, name, classes) for name, classes in self.streams.items()}

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), and write what it read of its encoder into the configuration.

        Checkpoints of an `ext_speech_classifier` then hold its shape.

        Args:
            cfg: the model's keys; changed in place.
            from_checkpoint: whether the weights come from a checkpoint, so that `pretrained_path` is not needed.

        Returns:
            The model.
        """
        with open_dict(cfg):
            if from_checkpoint:
                cfg.pretrained_path = ""
            model = super().build_model(cfg, from_checkpoint)
            if isinstance(model, SpeechClassifier):
                cfg.update(model.encoder_keys())
        return model

    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Open a split (called by fairseq); only the one of `dataset.train_subset` is augmented and shuffled.

        Args:
            split: name of the tsv.
            combine: not used.
            task_cfg: keys to use instead of the task's.
            kwargs: not used.
        """
        cfg = task_cfg or self.cfg
        labels = LabelStreams(cfg.data, split, self.streams)
        train = split == cfg.train_subset
        self.datasets[split] = read_split(cfg, split, train=train, augment=train, labels=labels)

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """Make an update, the encoder at its own learning rate (called by fairseq).

        Args:
            optimizer: fairseq's optimizer.
            model: model whose marked parameters have other rates.
            update_num: number of updates so far.
        """
        with per_parameter_lr(optimizer, model, "model.encoder_lr_scale"):
            super().optimizer_step(optimizer, model, update_num)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Add to a checkpoint what `set_checkpoint_dict` compares (called by fairseq)."""
        return {type(self).__name__: {"class_names": self.state.class_names}}

    def set_checkpoint_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse to continue with other classes than before (called by fairseq on resuming).

        Args:
            state: result of `get_checkpoint_dict`.

        Raises:
            ValueError: a dictionary has changed.
        """
        before, found = state["class_names"], self.state.class_names
        if before != found:
            files = ", ".join(f"dict.{name}.txt" for name in self.streams)
            raise ValueError(
                f"{self.cfg.data}/{files}: the checkpoint's classes {before} expected, found {found}; restore what "
                "changed or train in another save_dir"
            )
