"""Shared parts of the tasks that read clips of mouths with their sound: keys, and how a split is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from fairseq.dataclass import FairseqDataclass
from omegaconf import II, MISSING

from ..data.av_augment import PictureConfig, PictureTransform
from ..data.av_dataset import AvDataset
from ..data.av_rows import SAMPLE_RATE_HZ, AvRows
from ..data.noise import BABBLE, NoiseConfig, NoiseMixer, file_reader, noise_files
from ..data.packed_clips import DecodedClips, PackedClips
from ..modules.av_encoder_input import MODALITIES
from ..modules.heap import keep_large_blocks
from ._task import SpeechTask

D = TypeVar("D", bound=AvDataset)


@dataclass
class AvTaskConfig(FairseqDataclass):
    """Keys of every task that reads clips."""

    data: str = field(default=MISSING, metadata={"help": "folder of the manifests, absolute"})
    modality: str = field(default="both", metadata={"help": "what is read of a clip: video, audio or both"})
    min_frames: int = field(
        default=1, metadata={"help": "shorter clips are left out of training, frames of 40 ms"}
    )
    max_frames: int = field(
        default=0, metadata={"help": "longest clip in training, frames of 40 ms; 0 = no limit"}
    )
    video_cache: str = field(
        default="",
        metadata={
            "help": "folder where the pictures of a split are kept decoded, 9 kB a frame, absolute; empty = decode"
        },
    )
    train_subset: str = field(
        default=II("dataset.train_subset"), metadata={"help": "the split that is augmented and shuffled"}
    )
    seed: int = field(
        default=1, metadata={"help": "seed of batches, augmentation and noise; set it with common.seed"}
    )
    pictures: PictureConfig = field(
        default_factory=PictureConfig, metadata={"help": "crop, flip and masks of pictures"}
    )
    noise: NoiseConfig = field(
        default_factory=NoiseConfig, metadata={"help": "noise that is mixed with the sound"}
    )


def read_split(dataset: type[D], cfg: AvTaskConfig, split: str, *, train: bool, **options: Any) -> D:
    """Open a split. A split that is scored keeps all its clips, whole.

    Args:
        dataset: class of the data set.
        cfg: the task's keys.
        split: name of the tsv.
        train: whether the split is trained on.
        options: further arguments of the data set's class.

    Raises:
        ValueError: a key out of range.
    """
    if cfg.modality not in MODALITIES:
        raise ValueError(
            f"task.modality: one of {', '.join(MODALITIES)} expected, found {cfg.modality!r}; change it"
        )
    rows = AvRows(cfg.data, split)
    read_pictures = None
    if cfg.modality != "audio":
        read_pictures = PackedClips(Path(cfg.video_cache), rows) if cfg.video_cache else DecodedClips(rows)
    found = dataset(
        rows,
        read_pictures=read_pictures,
        pictures=PictureTransform(_typed(PictureConfig, cfg.pictures), train),
        sound=cfg.modality != "video",
        min_frames=cfg.min_frames if train else 0,
        max_frames=cfg.max_frames or None if train else None,
        leave_out=train,
        shuffle=train,
        seed=cfg.seed,
        **options,
    )
    found.noise = _mixer(_typed(NoiseConfig, cfg.noise), found, train) if found.sound else None
    return found


def _typed(kind: Any, keys: Any) -> Any:
    """Return keys of the configuration as their dataclass."""
    return kind(**{item.name: cast(Mapping[str, Any], keys)[item.name] for item in fields(kind)})


def _mixer(config: NoiseConfig, dataset: AvDataset, train: bool) -> NoiseMixer | None:
    if config.noise_splits not in ("train", "all"):
        raise ValueError(f"task.noise.noise_splits: train or all expected, found {config.noise_splits!r}")
    if not config.noise_prob or not (train or config.noise_splits == "all"):
        return None
    if config.noise_source == BABBLE:
        return NoiseMixer(config, len(dataset), dataset.voice, config.noise_voices)
    paths = noise_files(config.noise_source)
    return NoiseMixer(config, len(paths), file_reader(paths, SAMPLE_RATE_HZ), voices=1)


class AvTask(SpeechTask):
    """Base class of the tasks that read clips; a subclass adds `open_split`, and what its models read of a task."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.sample_rate_hz = SAMPLE_RATE_HZ
        keep_large_blocks()
