"""`ext_metric_learning`: embeddings whose distances tell classes, such as accents or speakers, apart.

The folder holds `{split}.tsv`, and the classes of `label` in `{split}.<label>` or in the column of that name of
`{split}.meta.tsv`, which also names the speakers. Validation may hold classes that training never saw, as new speakers
are: recordings are compared with each other, not with the classes of training. The names of these travel in the
checkpoint, so that inference needs no folder.

Each rank has batches of its own, P classes x K recordings each, and mines triplets among them: one rank with
optimization.update_freq=[2] takes the batches of two ranks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.distributed import utils as distributed
from fairseq.logging import metrics
from fairseq.tasks import register_task
from numpy.typing import NDArray

from ..data.label_streams import NOT_KNOWN
from ..data.metric_dataset import MetricDataset, Names, StoredMetricDataset
from ..features.store import FeatureStore
from ..features.voice_groups import FRAME_RATE_HZ, GROUPS, RATE_HZ
from ..manifest import read_manifest
from ..scoring.groups import UNKNOWN, read_groups
from ..scoring.verification import retrieval
from ._audio import AudioTask, AudioTaskConfig, read_split

SPEAKER = "speaker"


@dataclass
class MetricLearningConfig(AudioTaskConfig):
    """Keys of the task."""

    label: str = field(
        default="accent",
        metadata={
            "help": "what recordings of a class share: a label file {split}.<label> or column of the sidecar"
        },
    )
    adversary_label: str = field(
        default="",
        metadata={
            "help": "what the embedding shall not tell, for model.adversary, such as speaker; empty = nothing"
        },
    )
    classes_per_batch: int = field(default=8, metadata={"help": "P, classes in a batch"})
    per_class: int = field(
        default=4,
        metadata={"help": "K, recordings of each class in a batch, of different speakers if it has them"},
    )
    crop_frames: int = field(
        default=300, metadata={"help": "longest clip in training, frames of 10 ms, cut at random; 0 = whole"}
    )
    feature_store: str = field(
        default="",
        metadata={"help": "folder of fairseq-ext features; empty = features are computed from waveforms"},
    )


@register_task("ext_metric_learning", dataclass=MetricLearningConfig)
class ExtMetricLearningTask(AudioTask):
    """Learn distances between recordings; `streams` maps the label and the adversary's to the classes of training."""

    def __init__(self, cfg: MetricLearningConfig) -> None:
        super().__init__(cfg)
        # Read on first use only: a loaded checkpoint brings its names.
        self.state.add_factory("class_names", self._classes_of_training)
        self._model: Any = None
        self._seen: dict[int, tuple[NDArray[np.float32], int, int]] = {}
        self._num_seen = 0

    @property
    def streams(self) -> dict[str, list[str]]:
        """Return label -> classes of training, the label that is learnt first."""
        return {name: list(classes) for name, classes in self.state.class_names.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the label streams that the network has heads for."""
        return tuple(dict.fromkeys(name for name in (self.cfg.label, self.cfg.adversary_label) if name))

    def _classes_of_training(self) -> dict[str, list[str]]:
        split = self.cfg.train_subset
        found = {name: sorted(set(read_names(self.cfg.data, split, name)) - {""}) for name in self.labels}
        if empty := [name for name, classes in found.items() if not classes]:
            raise ValueError(
                f"{self.cfg.data}/{split}.{empty[0]}: no recording has a label; write the manifest again"
            )
        return found

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), which says what features it needs."""
        self._model = super().build_model(cfg, from_checkpoint)
        return self._model

    def open_split(self, cfg: Any, split: str, *, train: bool) -> MetricDataset:
        """Open a split: batches by class and cut clips in training, whole recordings by length otherwise."""
        names = self._names(split)
        options: dict[str, Any] = {
            "names": names,
            "targets": self._targets(split, names),
            "batch_shape": (cfg.classes_per_batch, cfg.per_class) if train else None,
        }
        crop = cfg.crop_frames if train else 0
        groups = self._model.measured_groups if self._model is not None else ()
        if cfg.feature_store:
            return self._open_stored(cfg, split, train, crop, options)
        options["widths"] = {name: len(GROUPS[name]) for name in groups}
        options["measure"] = _measure if groups else None
        dataset = read_split(MetricDataset, cfg, split, train=train, augment=train, **options)
        if crop:
            limit = (crop - 1) * cfg.sample_rate_hz // FRAME_RATE_HZ
            dataset.max_samples = min(limit, dataset.max_samples or limit)
        return dataset

    def _open_stored(
        self, cfg: Any, split: str, train: bool, crop: int, options: dict[str, Any]
    ) -> StoredMetricDataset:
        changed = [key for key, value in cfg.augment.items() if key.endswith("_prob") and value]
        if changed and train:
            raise ValueError(
                f"task.augment.{changed[0]}: it distorts waveforms, and the features of task.feature_store stay as "
                "they are; set it to 0, or compute the features from waveforms with an empty feature_store"
            )
        groups = tuple(self._model.norms) if self._model is not None else tuple(GROUPS)
        store = FeatureStore(cfg.feature_store, groups)
        wrong = {name: width for name, width in store.dimensions.items() if width != len(GROUPS[name])}
        if wrong or store.frame_rate_hz != FRAME_RATE_HZ:
            raise ValueError(
                f"{store.folder}: the groups of this version at {FRAME_RATE_HZ} Hz expected, found "
                f"{wrong or store.frame_rate_hz}; run fairseq-ext features again"
            )
        if (rate_hz := store.about.get("sample_rate_hz", RATE_HZ)) != cfg.sample_rate_hz:
            raise ValueError(
                f"task.sample_rate_hz: {rate_hz} expected, that of the features in {store.folder}, found "
                f"{cfg.sample_rate_hz}; recordings that are embedded later would have other features: set it"
            )
        if train:
            # Travels in the checkpoint: recordings that are embedded later are prepared the same way.
            self.state.merge_state_dict({"preparation": store.about.get("preparation")})
        return read_split(
            StoredMetricDataset,
            cfg,
            split,
            train=train,
            augment=False,
            widths=store.dimensions,
            store=store,
            crop_frames=crop or None,
            waveforms=self._model is not None and self._model.needs_waveforms,
            **options,
        )

    def _names(self, split: str) -> Names:
        ids = [utterance.id for utterance in read_manifest(self.cfg.data, split)]
        speakers = read_names(self.cfg.data, split, SPEAKER)
        if nameless := [id_ for id_, speaker in zip(ids, speakers, strict=True) if not speaker]:
            raise ValueError(
                f"{self.cfg.data}/{split}.meta.tsv: {len(nameless)} recordings have no speaker, such as {nameless[0]}; "
                "fill the column, by which batches are made and pairs compared"
            )
        return Names(ids, read_names(self.cfg.data, split, self.cfg.label), speakers)

    def _targets(self, split: str, names: Names) -> NDArray[np.int64]:
        """Return the number of each row's class in each stream; classes that training does not have are not known."""
        columns = []
        for label, classes in self.streams.items():
            number = {name: i for i, name in enumerate(classes)}
            of_rows = names.labels if label == self.cfg.label else read_names(self.cfg.data, split, label)
            columns.append([number.get(name, NOT_KNOWN) for name in of_rows])
        return np.array(columns, dtype=np.int64).T

    def valid_step(
        self, sample: Any, model: Any, criterion: Any, ema_model: Any = None
    ) -> tuple[Any, int, dict[str, Any]]:
        """Score a batch (called by fairseq), and keep its embeddings until all of the split are there."""
        found: tuple[Any, int, dict[str, Any]] = super().valid_step(
            sample, model, criterion, ema_model=ema_model
        )
        embedding = criterion.last_embedding.float().cpu().numpy()
        if sample["nsentences"]:
            numbers = (sample[key].tolist() for key in ("id", "label", "speaker"))
            for vector, row, label, speaker in zip(embedding, *numbers, strict=True):
                self._seen[row] = (vector, label, speaker)  # a rank that has run out of batches repeats one
        return found

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: Any) -> None:
        """Log an update or a batch of validation (called by fairseq); after the last one, what the split shows.

        EER, share of right nearest neighbours and silhouette, by label and by speaker, of all recordings of a split.
        """
        super().reduce_metrics(logging_outputs, criterion)
        criterion.watch(logging_outputs)
        if criterion.training or not logging_outputs:
            return
        self._num_seen += int(sum(float(output.get("num_rows", 0)) for output in logging_outputs))
        expected = max(float(output.get("split_rows", 0)) for output in logging_outputs)
        ranks = sum(float(output.get("num_ranks", 1)) for output in logging_outputs)
        if self._num_seen >= round(expected / max(ranks, 1)):
            self._log_retrieval()

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        """Forget the embeddings of a validation that was cut short (called by fairseq)."""
        self._seen, self._num_seen = {}, 0

    def _log_retrieval(self) -> None:
        seen, self._seen, self._num_seen = self._gathered(), {}, 0
        if not seen:
            return
        vectors, labels, speakers = (np.array(column) for column in zip(*seen.values(), strict=True))
        found = retrieval(vectors, labels, speakers, is_speaker=self.cfg.label == SPEAKER)
        for name, value in found.items():
            metrics.log_scalar(name, value, 1, round=4)

    def _gathered(self) -> dict[int, Any]:
        """Return the embeddings of all ranks by row, in the order of the rows."""
        if not torch.distributed.is_initialized():
            return dict(sorted(self._seen.items()))
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, self._seen, group=distributed.get_data_parallel_group())
        return dict(sorted((row, found) for seen in everyone for row, found in seen.items()))

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Add to a checkpoint what `set_checkpoint_dict` compares (called by fairseq)."""
        return {type(self).__name__: {"class_names": self.streams}}

    def set_checkpoint_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse to continue with other classes than before (called by fairseq on resuming).

        Raises:
            ValueError: the classes have changed.
        """
        before = {name: list(classes) for name, classes in state["class_names"].items()}
        if before != self.streams:
            raise ValueError(
                f"{self.cfg.data}: the classes of {list(before)} that the checkpoint was trained on expected, found "
                f"those of {list(self.streams)}, which differ; restore what changed or train in another save_dir"
            )


def read_names(folder: str, split: str, stream: str) -> list[str]:
    """Return the class of each row in a label stream or a column of the sidecar; empty = unknown."""
    return ["" if name == UNKNOWN else name for name in read_groups(Path(folder), split, stream).values()]


def _measure(waveform: torch.Tensor, sample_rate_hz: int, groups: Sequence[str]) -> dict[str, torch.Tensor]:
    from ..features.voice import voice_features

    found = voice_features(waveform, sample_rate_hz, tuple(groups))
    return {name: torch.as_tensor(found[name], dtype=torch.float32) for name in groups}
