"""`ext_audio_contrastive`: two augmented views of each recording, for SimCLR. No label is read.

Chen, Kornblith, Norouzi and Hinton 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
section 2.1.
"""

from typing import Any

from fairseq.tasks import FairseqTask, register_task

from .. import compat
from .audio_classification import AudioTaskConfig, read_split


class AudioContrastiveConfig(AudioTaskConfig):
    """Keys of the contrastive task: those of every audio task."""


@register_task("ext_audio_contrastive", dataclass=AudioContrastiveConfig)
class ExtAudioContrastiveTask(FairseqTask):
    """Tell two views of one recording from views of others.

    Args:
        cfg: see `AudioContrastiveConfig`.
    """

    num_classes = 0

    def __init__(self, cfg: AudioContrastiveConfig) -> None:
        super().__init__(cfg)
        self.sample_rate_hz = cfg.sample_rate_hz

    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Open a split (called by fairseq); views differ in validation too, or the task would be empty.

        Args:
            split: name of the tsv.
            combine: not used.
            task_cfg: other keys than the task's own.
            kwargs: not used.
        """
        self.datasets[split] = read_split(task_cfg or self.cfg, split, train=True, num_views=2)

    def max_positions(self) -> None:
        """No limit: long recordings are cut by `max_duration_s`."""

    @property
    def source_dictionary(self) -> None:
        """None: the input is sound."""

    @property
    def target_dictionary(self) -> None:
        """None: there are no labels."""

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), refusing a launch that would train copies of it."""
        compat.refuse_silent_copies()
        return super().build_model(cfg, from_checkpoint)
