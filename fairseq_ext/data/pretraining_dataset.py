"""Unlabelled recordings for masked pre-training: clips of equal length, and a seed per clip for what a model draws.

Clips of a batch are cut to the shortest of them, at random, rather than padded to the longest. Batches are made of
recordings of similar length (within 15%, `row_dataset.BUCKET_RATIO`), of which another part is used at each epoch:
little is lost. In return no time is spent on padding, attention needs no mask (on GPUs only then the fastest kernel
runs), and every clip has equally many targets, known without a host sync. `pad` is for a corpus too small for batches
of similar length.

Shapes: B clips, S samples.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .audio_dataset import AudioDataset, Item


class PretrainingDataset(AudioDataset):
    """Audio rows of a tsv, a waveform each; with `pad`, clips are kept whole and the shorter ones padded."""

    def __init__(self, *args: Any, pad: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pad = pad

    def collater(self, samples: Sequence[Item]) -> dict[str, Any]:
        """Make a batch: see `AudioDataset.collater`. "padding_mask" is None where clips were cut.

        "net_input" also has "seeds": B numbers in a list, which stay on the host.
        """
        batch = super().collater(samples)
        if batch["nsentences"] and not self.pad:
            batch["ntokens"] = batch["net_input"]["source"].numel()
        return batch

    def _batch(self, rows: list[int], waveforms: list[Tensor], labels: Sequence[Any]) -> dict[str, Any]:
        if not self.pad:
            shortest = min(map(len, waveforms))
            waveforms = [self._cut(wave, shortest, row) for row, wave in zip(rows, waveforms, strict=True)]
        batch = super()._batch(rows, waveforms, labels)
        if not self.pad:
            batch["net_input"]["padding_mask"] = None
        # A weightless batch has row -1, and seeds cannot be negative.
        batch["net_input"]["seeds"] = [self.draw_seed(max(row, 0), self.num_views) for row in rows]
        return batch

    def _cut(self, waveform: Tensor, size: int, row: int) -> Tensor:
        """Cut a part of a clip, at random in training."""
        last = len(waveform) - size
        if not last or not self.shuffle:
            return waveform[:size]
        # Purpose `num_views` is that of the masks, in `_batch`.
        generator = torch.Generator().manual_seed(self.draw_seed(row, self.num_views + 1))
        start = int(torch.randint(last + 1, (), generator=generator))
        return waveform[start : start + size]
