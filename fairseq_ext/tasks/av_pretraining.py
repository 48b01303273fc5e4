"""`ext_av_pretraining`: clips of mouths, sound, or both, with clusters of frames, for `ext_av_hubert`.

The folder holds `{split}.tsv`, `{split}.<labels>` with a cluster per frame, as `fairseq-ext features cluster` writes
it, and `dict.<labels>.txt`; these two may be in `label_dir`. A rate above 25 Hz, such as that of MFCC, is thinned
(`data/frame_labels.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq.tasks import register_task

from ..data.av_dataset import AvDataset
from ..data.av_rows import FRAMES_PER_S
from ..data.frame_labels import FrameLabels, FrameLabelStreams
from ..data.label_streams import class_names, stream_names
from ._av import AvTask, AvTaskConfig, read_split


@dataclass
class AvPretrainingConfig(AvTaskConfig):
    """Keys of the pre-training task."""

    labels: str = field(
        default="km",
        metadata={"help": "name of the stream with a cluster per frame; several codebooks with commas"},
    )
    label_dir: str = field(
        default="", metadata={"help": "folder of the clusters and their dictionary, absolute; empty = data"}
    )
    label_rate_hz: int = field(
        default=FRAMES_PER_S, metadata={"help": "labels per second, a multiple of 25; MFCC: 100"}
    )
    min_frames: int = field(
        default=5, metadata={"help": "shorter clips are left out of training, frames of 40 ms"}
    )
    max_frames: int = field(
        default=500,
        metadata={"help": "longer clips are cut in training, at random, frames of 40 ms; 0 = whole"},
    )


@register_task("ext_av_pretraining", dataclass=AvPretrainingConfig)
class ExtAvPretrainingTask(AvTask):
    """The task of predicting the clusters of masked frames."""

    def __init__(self, cfg: AvPretrainingConfig) -> None:
        super().__init__(cfg)
        # fairseq saves the state in the checkpoint. Read on first use only: a loaded checkpoint brings its clusters.
        self.state.add_factory("units", self._read_units)

    def _read_units(self) -> dict[str, list[str]]:
        return {
            name: class_names(self.cfg.label_dir or self.cfg.data, name)
            for name in stream_names(self.cfg.labels)
        }

    @property
    def num_units(self) -> list[int]:
        """Return the number of clusters of each codebook."""
        return [len(names) for names in self.state.units.values()]

    def open_split(self, cfg: Any, split: str, *, train: bool) -> AvDataset:
        """Open a split with its clusters; in training, it is shuffled and augmented."""
        streams = FrameLabelStreams(
            [
                FrameLabels(Path(cfg.label_dir or cfg.data) / f"{split}.{name}", units, cfg.label_rate_hz)
                for name, units in self.state.units.items()
            ]
        )
        return read_split(AvDataset, cfg, split, train=train, frame_labels=streams)

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: Any) -> None:
        """Log an update (called by fairseq), and let `ext_masked_units` look for a collapse."""
        super().reduce_metrics(logging_outputs, criterion)
        if hasattr(criterion, "watch"):
            criterion.watch(logging_outputs)
