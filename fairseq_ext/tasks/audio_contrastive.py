"""`ext_audio_contrastive`: two augmented views of each recording, for SimCLR. No label is read.

Chen, Kornblith, Norouzi and Hinton 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
section 2.1.
"""

from dataclasses import dataclass
from typing import Any

from fairseq.tasks import register_task

from ..data.audio_dataset import AudioDataset
from ._audio import AudioTask, AudioTaskConfig, read_split


@dataclass
class AudioContrastiveConfig(AudioTaskConfig):
    """Keys of the contrastive task: those of every audio task."""


@register_task("ext_audio_contrastive", dataclass=AudioContrastiveConfig)
class ExtAudioContrastiveTask(AudioTask):
    """The task of matching two views of one recording among views of others."""

    num_classes = 0

    def open_split(self, cfg: Any, split: str, *, train: bool) -> AudioDataset:
        """Open a split; views differ in validation too, or the task would be empty."""
        return read_split(AudioDataset, cfg, split, train=train, augment=True, num_views=2)
