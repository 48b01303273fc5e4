"""`ext_audio_classification`: classes of recordings, in one or several label streams, from a manifest folder.

The folder holds `{split}.tsv` and for each stream `{split}.<label>` and `dict.<label>.txt`; an empty line of a stream
means that the class is unknown. The class names travel in the checkpoint, so that inference needs no folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairseq.tasks import register_task

from ..data.audio_dataset import AudioDataset
from ..data.label_streams import LabelStreams, class_names, count_classes, stream_names
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
    """Classify whole recordings; `streams` maps a stream to its classes, in the order of the network's outputs."""

    lr_scale_key = "model.encoder_lr_scale"

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
        """Return stream -> rows of each class in the training split."""
        split, folder = self.cfg.train_subset, self.cfg.data
        return {name: count_classes(folder, split, name, classes) for name, classes in self.streams.items()}

    def open_split(self, cfg: Any, split: str, *, train: bool) -> AudioDataset:
        """Open a split with its labels; augmented in training."""
        labels = LabelStreams(cfg.data, split, self.streams)
        return read_split(AudioDataset, cfg, split, train=train, augment=train, labels=labels)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Add to a checkpoint what `set_checkpoint_dict` compares (called by fairseq)."""
        return {type(self).__name__: {"class_names": self.state.class_names}}

    def set_checkpoint_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse to continue with other classes than before (called by fairseq on resuming).

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
