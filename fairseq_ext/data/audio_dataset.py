"""Recordings of a manifest as a fairseq dataset: decoded and augmented on demand, with a class label or none.

What an item is depends on (seed, epoch, row) alone: not on the workers, nor on where a job was resumed. A recording
that cannot be read is reported once, counted, and left out of its batch; a batch without any has no weight.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ..line_index import AudioIndex
from ..media import audio
from ..modules.padding import pad_waveforms
from .label_streams import NOT_KNOWN, LabelStreams
from .row_dataset import RowDataset

logger = logging.getLogger(__name__)

Augment = Callable[[Tensor, int, Generator], Tensor]

# Fairseq's trainer stops at an empty batch (when the first one is) or takes its weight from the others (with
# update_freq), so a batch of which nothing could be read holds noise that no loss counts.
NUM_WEIGHTLESS = 2
WEIGHTLESS_S = 0.5


@dataclass(frozen=True)
class Item:
    """One row: `views` are its waveforms (one, or two for contrastive training), empty when it cannot be read.

    `label` is a class, one for each of several streams, the tokens of a transcript (L,), or features by group (T, D).
    """

    row: int
    views: tuple[Tensor, ...]
    label: int | list[int] | Tensor | Mapping[str, Tensor] | None


class AudioDataset(RowDataset):
    """Audio rows of a tsv, each with an optional class label.

    Args:
        index: rows of the tsv.
        sample_rate_hz: sample rate of the waveforms and of the manifest's `num_samples`, Hz.
        labels: classes of each row; None = unlabelled.
        augment: distorts a waveform (S,) given the rate and a generator; None = as recorded.
        num_views: waveforms per item, each augmented on its own.
        min_samples: shorter rows are left out (counted and logged).
        max_samples: longer rows are cut to this many samples, at random in training, from the start otherwise;
            None = whole.
        shuffle: batches of another mixture at each epoch; off = sorted by length.
        seed: seed of shuffling, cutting and augmentation.
        normalize: bring each waveform to mean 0 and variance 1, as the layer-norm (large) wav2vec 2.0 models expect.
        cache: keep decoded recordings in memory (small corpora, no worker processes: each would have its own).

    Raises:
        ValueError: the numbers of labels and rows differ.
    """

    def __init__(
        self,
        index: AudioIndex,
        sample_rate_hz: int,
        *,
        labels: LabelStreams | None = None,
        augment: Augment | None = None,
        num_views: int = 1,
        min_samples: int = 0,
        max_samples: int | None = None,
        shuffle: bool = True,
        seed: int = 1,
        cache: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__(index.root, len(index), shuffle=shuffle, seed=seed, min_size=min_samples)
        if labels is not None and len(labels) != len(index):
            raise ValueError(
                f"labels: the tsv has {len(index)} rows, the labels {len(labels)}; write both with "
                "manifest.write_manifest"
            )
        self.index, self.sample_rate_hz, self.labels = index, sample_rate_hz, labels
        self.augment, self.num_views = augment, num_views
        self.max_samples = max_samples
        self.normalize = normalize
        self._cache: dict[int, Tensor] | None = {} if cache else None
        self.sizes: NDArray[Any] = (
            index.sizes if max_samples is None else np.minimum(index.sizes, max_samples)
        )
        self._report_short_rows()

    def _report_short_rows(self) -> None:
        num_short = int((self.sizes < max(1, self.min_size)).sum())
        if num_short:
            first = self.index.entry(int(np.argmin(self.sizes))).path
            logger.warning(
                f"{num_short} of {len(self)} recordings are shorter than {max(1, self.min_size)} samples and are "
                f"left out, e.g. {first}"
            )

    def __getitem__(self, row: int) -> Item:
        row = int(row)
        label = None if self.labels is None else self.labels[row]
        try:
            waveform = self._waveform(row)
        except (audio.AudioError, OSError) as error:
            self._report_unreadable(row, error)
            return Item(row, (), label)
        self._failed_in_a_row = 0
        return Item(row, tuple(self._view(waveform, row, view) for view in range(self.num_views)), label)

    def _waveform(self, row: int) -> Tensor:
        if self._cache is not None and row in self._cache:
            return self._cache[row]
        waveform = torch.from_numpy(audio.load_row(self.index.entry(row), self.sample_rate_hz))
        if self._cache is not None:
            self._cache[row] = waveform
        return waveform

    def _view(self, waveform: Tensor, row: int, view: int) -> Tensor:
        """Cut and augment, seeded so that any process draws the same."""
        generator = torch.Generator().manual_seed(self.draw_seed(row, view))
        if self.max_samples is not None and len(waveform) > self.max_samples:
            last = len(waveform) - self.max_samples
            start = int(torch.randint(last + 1, (), generator=generator)) if self.shuffle else 0
            waveform = waveform[start : start + self.max_samples]
        if self.augment is not None:
            waveform = self.augment(waveform, self.sample_rate_hz, generator)
        return torch.nn.functional.layer_norm(waveform, waveform.shape) if self.normalize else waveform

    def collater(self, samples: Sequence[Item]) -> dict[str, Any]:
        """Make a batch; when none of its recordings could be read, one without weight ("nsentences" 0, noise).

        Returns:
            "id" (B,), "net_input": {"source": (V B, S), "padding_mask": (V B, S) bool, True = padding},
            V = `num_views`, the first views of all items first; "target" (B,) when there are labels; "nsentences" B,
            "ntokens" samples without padding.
        """
        items = [item for item in samples if item.views]
        if not items:
            return self._weightless_batch()
        waveforms = [item.views[view] for view in range(self.num_views) for item in items]
        batch = self._batch([item.row for item in items], waveforms, [item.label for item in items])
        return {**batch, "nsentences": len(items), "ntokens": sum(map(len, waveforms))}

    def _weightless_batch(self) -> dict[str, Any]:
        """Return noise with weight 0: on silence or an empty batch some networks fail."""
        size = round(WEIGHTLESS_S * self.sample_rate_hz)
        noise = 0.01 * torch.randn(
            NUM_WEIGHTLESS * self.num_views, size, generator=torch.Generator().manual_seed(1)
        )
        batch = self._batch([-1] * NUM_WEIGHTLESS, list(noise), [NOT_KNOWN] * NUM_WEIGHTLESS)
        return {**batch, "nsentences": 0, "ntokens": 0}

    def _batch(self, rows: list[int], waveforms: list[Tensor], labels: Sequence[Any]) -> dict[str, Any]:
        source, padding_mask = pad_waveforms(waveforms)  # (V B, S)
        batch: dict[str, Any] = {
            "id": torch.tensor(rows),
            "num_views": self.num_views,
            "net_input": {"source": source, "padding_mask": padding_mask},
        }
        if self.labels is not None:
            batch["target"] = torch.tensor(labels)
        return batch
