"""Recordings with class and speaker for metric learning: waveforms, voice features of a store, or both.

In training, batches come from `class_batches` and clips are cut to a number of frames, at random; a shorter recording
is padded. Otherwise recordings are whole, and batches go by length. Features are at 100 Hz: a clip of N frames has
N - 1 hops of samples.

Shapes: B clips, S samples, T frames, D columns of a group, H label streams.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..features.store import SKIPPED, FeatureStore
from ..features.voice_groups import FRAME_RATE_HZ
from ..media import audio
from .audio_dataset import AudioDataset, Item
from .class_batches import ClassBatches, Epoch
from .label_streams import NOT_KNOWN

logger = logging.getLogger(__name__)

# Computes groups of features of a waveform: (waveform (S,), sample rate in Hz, groups) -> group -> (T, D).
Measure = Callable[[Tensor, int, Sequence[str]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Names:
    """What is known of each row of a split, (rows,) each; an empty label is an unknown one.

    Attributes:
        ids: ids of the recordings.
        labels: classes.
        speakers: speakers.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    speakers: Sequence[str]


class MetricDataset(AudioDataset):
    """Audio rows of a tsv; arguments beside those of `AudioDataset`:

    Args:
        names: ids, classes and speakers.
        targets: (rows, H) int64, number of the class in each label stream of the network; `NOT_KNOWN` counts nowhere.
        batch_shape: P classes x K recordings of a batch; None = batches by length.
        widths: group -> D, of the groups that the network does not compute from waveforms.
        measure: measures them on each clip when it is read.
    """

    def __init__(
        self,
        *args: Any,
        names: Names,
        targets: NDArray[np.int64],
        batch_shape: tuple[int, int] | None = None,
        widths: Mapping[str, int] | None = None,
        measure: Measure | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.names, self.targets = names, targets
        self.widths, self.measure = dict(widths or {}), measure
        self.hop = self.sample_rate_hz // FRAME_RATE_HZ
        # The split's own numbers, by which validation compares recordings of classes that training never saw.
        self._own = torch.stack([_numbers(names.labels), _numbers(names.speakers)], 1)
        usable = (self.sizes >= max(1, self.min_size)) & np.array([bool(label) for label in names.labels])
        self._rows = self._with_features(np.flatnonzero(usable))
        self._report_unlabelled()
        self.batches = (
            ClassBatches(names.labels, names.speakers, self._rows.tolist(), *batch_shape)
            if batch_shape
            else None
        )
        if self.batches is not None and self.batches.left_out:
            self._report_left_out(self.batches.left_out, "the only ones of their class")
        self._drawn: tuple[int, Epoch] | None = None

    def _with_features(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Select the rows that have features; all of them are measured."""
        return rows

    def _report_unlabelled(self) -> None:
        unlabelled = [row for row, label in enumerate(self.names.labels) if not label]
        self._report_left_out(unlabelled, "without a label")

    def _report_left_out(self, rows: Sequence[int], reason: str) -> None:
        if rows:
            logger.warning(
                f"{len(rows)} of {len(self)} recordings are {reason} and left out, e.g. {self.names.ids[rows[0]]}"
            )

    def __getitem__(self, row: int) -> Item:
        item = super().__getitem__(row)
        if not (item.views and self.widths):
            return item
        assert self.measure is not None
        return replace(item, label=self.measure(item.views[0], self.sample_rate_hz, tuple(self.widths)))

    def collater(self, samples: Sequence[Item]) -> dict[str, Any]:
        """Make a batch.

        "net_input" has "source" and "padding_mask" (B, S); with groups, "features", group -> (B, T, D), and "lengths"
        (B,) in frames. Besides, "target" (B, H), "label" and "speaker" (B,) in the split's own numbers, "num_rows" =
        rows asked for, readable or not, "split_rows" = rows of the whole split.
        """
        return {**super().collater(samples), "num_rows": len(samples), "split_rows": len(self._rows)}

    def _batch(self, rows: list[int], waveforms: list[Tensor], labels: Sequence[Any]) -> dict[str, Any]:
        batch = super()._batch(rows, waveforms, labels)
        real = (
            rows[0] >= 0
        )  # the rows of a weightless batch are -1, and have a number in the place of features
        unknown = np.full((len(rows), self.targets.shape[1]), NOT_KNOWN)
        batch["target"] = torch.from_numpy(self.targets[rows] if real else unknown)
        own = self._own[rows] if real else torch.zeros(len(rows), 2, dtype=torch.long)
        batch |= {"label": own[:, 0], "speaker": own[:, 1]}
        if self.widths:
            nothing = {name: torch.zeros(2, width) for name, width in self.widths.items()}
            clips = labels if real else [nothing] * len(rows)
            stacked = {
                name: pad_sequence([clip[name] for clip in clips], batch_first=True) for name in self.widths
            }
            lengths = torch.tensor([len(next(iter(clip.values()))) for clip in clips])
            batch["net_input"] |= {"features": stacked, "lengths": lengths}
        return batch

    def ordered_indices(self) -> NDArray[np.int64]:
        """Return the rows of the epoch's batches one after another; without a batch shape, the rows by length."""
        if self.batches is None:
            rows: NDArray[np.int64] = super().ordered_indices()
            return rows[np.isin(rows, self._rows)]
        return np.array([row for batch in self._epoch().batches for row in batch], dtype=np.int64)

    def batch_by_size(
        self,
        indices: NDArray[np.int64],
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> Any:
        """Return the batches of the epoch (called by fairseq); without a batch shape, batches of similar length.

        Raises:
            ValueError: fairseq was given another batch size than P x K, or one in samples.
        """
        if self.batches is None:
            return super().batch_by_size(indices, max_tokens, max_sentences, required_batch_size_multiple)
        if max_tokens is not None or max_sentences not in (None, self.batches.batch_size):
            raise ValueError(
                f"dataset.batch_size: {self.batches.batch_size} (task.classes_per_batch x task.per_class) and no "
                f"dataset.max_tokens expected, found {max_sentences} and {max_tokens}; change them"
            )
        epoch = self._epoch()
        logger.info(f"epoch {self.epoch}: {epoch.describe()}")
        return epoch.batches

    def _epoch(self) -> Epoch:
        assert self.batches is not None
        if self._drawn is None or self._drawn[0] != self.epoch:
            self._drawn = (self.epoch, self.batches.epoch(self.seed, self.epoch))
        return self._drawn[1]


class StoredMetricDataset(MetricDataset):
    """The same with features from a store, which are cut, not the waveform; arguments beside:

    Args:
        store: holds the groups of `widths`.
        crop_frames: longest clip, frames; None = whole.
        waveforms: whether the network needs waveforms, too: those under the frames.
    """

    def __init__(
        self, *args: Any, store: FeatureStore, crop_frames: int | None, waveforms: bool, **kwargs: Any
    ) -> None:
        self.store, self.crop_frames, self.waveforms = store, crop_frames, waveforms
        self._offsets_s = dict(zip(store.ids, store.offsets_s.tolist(), strict=True))
        super().__init__(*args, **kwargs)

    def _with_features(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        ids = self.names.ids
        found = np.array(
            [ids[row] in self.store and self.store.num_frames(ids[row]) > 0 for row in rows], dtype=bool
        )
        self._report_left_out(rows[~found].tolist(), f"not in {self.store.folder} (see its {SKIPPED})")
        kept: NDArray[np.int64] = rows[found]
        return kept

    def __getitem__(self, row: int) -> Item:
        row = int(row)
        id_ = self.names.ids[row]
        first, size = self._window(row, self.store.num_frames(id_))
        stored = self.store[id_]
        # Copies: the store's arrays are read-only views of files.
        clip = {name: torch.from_numpy(np.array(stored[name][first : first + size])) for name in self.widths}
        if not self.waveforms:
            return Item(row, (torch.zeros(1),), clip)
        try:
            waveform = self._waveform(row)
        except (audio.AudioError, OSError) as error:
            self._report_unreadable(row, error)
            return Item(row, (), None)
        self._failed_in_a_row = 0
        start = round(self._offsets_s[id_] * self.sample_rate_hz) + first * self.hop
        return Item(row, (waveform[start : start + max(1, size - 1) * self.hop],), clip)

    def _window(self, row: int, total: int) -> tuple[int, int]:
        """Return the first frame of a clip and its number of frames; drawn by row and epoch in training."""
        size = total if self.crop_frames is None else min(total, self.crop_frames)
        if size == total or not self.shuffle:
            return 0, size
        generator = torch.Generator().manual_seed(self.draw_seed(row, 0))
        return int(torch.randint(total - size + 1, (), generator=generator)), size

    def _batch(self, rows: list[int], waveforms: list[Tensor], labels: Sequence[Any]) -> dict[str, Any]:
        batch = super()._batch(rows, waveforms, labels)
        if not self.waveforms:
            batch["net_input"] |= {"source": None, "padding_mask": None}
        return batch


def _numbers(names: Sequence[str]) -> Tensor:
    """Return the position (rows,) of each name among the sorted names of the split."""
    return torch.from_numpy(np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64))
