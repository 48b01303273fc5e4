"""Rows of a manifest as a fairseq dataset: their order, their seeds, and those that cannot be read.

What is drawn depends on (seed, epoch, row) alone: not on the workers, nor on where a job was resumed. A row that cannot
be read is reported once, counted, and left out of its batch; a batch without any has no weight.
"""

import logging
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset
from numpy.typing import NDArray

from ..media import audio

logger = logging.getLogger(__name__)

# Recordings within this ratio of length share a batch: little padding, and still another mixture at each epoch.
BUCKET_RATIO = 1.15
# A few damaged files are left out; when nothing can be read, the folder is wrong and training on must stop.
GIVE_UP_AFTER = 100


class RowDataset(FairseqDataset):
    """Rows of a manifest; a subclass reads and batches them, and sets `sizes` (rows,).

    Args:
        root: folder of the recordings, for messages.
        num_rows: rows of the manifest.
        shuffle: batches of another mixture at each epoch; off = sorted by length.
        seed: seed of shuffling and of all that is drawn.
        min_size: shorter rows are left out; the unit is that of `sizes`.
    """

    sizes: NDArray[Any]

    def __init__(self, root: Any, num_rows: int, *, shuffle: bool, seed: int, min_size: int = 0) -> None:
        super().__init__()
        self.root, self.shuffle, self.seed, self.epoch = root, shuffle, seed, 1
        self.min_size = min_size
        # In memory that worker processes share: each path is reported once, and the count is that of the whole job.
        self._unreadable = torch.zeros(num_rows, dtype=torch.bool).share_memory_()
        self._failed_in_a_row = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def draw_seed(self, row: int, purpose: int) -> int:
        """Return the seed of one random choice, 63 bits, the same in any process.

        The mixing of numpy's seed sequence keeps neighbouring rows and epochs independent.

        Args:
            row: row of the tsv.
            purpose: number of the choice, so that those of a row differ; the first `num_views` are the views'.
        """
        mixed = np.random.SeedSequence([self.seed, self.epoch, row, purpose]).generate_state(1, np.uint64)
        return int(mixed[0] >> np.uint64(1))

    @property
    def num_unreadable(self) -> int:
        """Return the number of recordings that could not be read so far."""
        return int(self._unreadable.sum())

    def _report_unreadable(self, row: int, error: Exception) -> None:
        if not self._unreadable[row]:
            self._unreadable[row] = True
            logger.warning(f"left out, cannot be read ({self.num_unreadable} so far): {error}")
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= GIVE_UP_AFTER:
            raise audio.AudioError(
                f"{self.root}: {GIVE_UP_AFTER} recordings in a row cannot be read, the last: {error}; mount or "
                "fix the folder, or write the manifests again"
            )

    def num_tokens(self, index: int) -> int:
        """Return the size of a row."""
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return the sizes of rows."""
        return self.sizes[indices]

    def size(self, index: int) -> int:
        """Return the size of a row."""
        return self.num_tokens(index)

    def ordered_indices(self) -> NDArray[np.int64]:
        """Return the rows by length; in training, rows of similar length are mixed, by seed and epoch."""
        rows = np.flatnonzero(self.sizes >= max(1, self.min_size))
        sizes = self.sizes[rows]
        if not self.shuffle:
            return rows[np.argsort(sizes, kind="stable")]
        draw = np.random.default_rng([self.seed, self.epoch]).random(len(rows))
        # `draw` blurs the borders between buckets, and orders the rows inside each.
        bucket = np.floor(np.log(sizes) / np.log(BUCKET_RATIO) + draw)
        return rows[np.lexsort((draw, bucket))]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch (called by fairseq)."""
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Return False: each epoch has its own batches and its own distortions."""
        return not self.shuffle

    @property
    def supports_prefetch(self) -> bool:
        """Return False: rows are read one by one."""
        return False
