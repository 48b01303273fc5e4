"""Clips with transcripts for recognition: short ones first, and a token that tells the decoder the language.

A network with a decoder that starts from random weights on long clips often learns nothing; on short ones it does (Ma
et al. 2023, "Auto-AVSR", section 4: clips of up to 100 frames first).

Shapes: B clips.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..manifest import read_manifest
from .av_dataset import AvDataset, AvItem

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Curriculum:
    """Only short clips in the first epochs.

    Attributes:
        max_frames: longest clip in these epochs, frames; 0 = any.
        epochs: number of these epochs.
    """

    max_frames: int = 0
    epochs: int = 0


class RecognitionClips(AvDataset):
    """Rows of `AvDataset`, whose other arguments these are.

    Args:
        curriculum: short clips first.
        starts: token that each row's transcript starts with; None = `<s>`.

    Raises:
        ValueError: no clip is as short as the curriculum's.
    """

    def __init__(
        self,
        *args: Any,
        curriculum: Curriculum | None = None,
        starts: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.curriculum, self.starts = curriculum or Curriculum(), starts
        limit = self.curriculum.max_frames
        if limit and self.curriculum.epochs:
            short = int(((self.sizes <= limit) & ~self.left_out).sum())
            if not short:
                raise ValueError(
                    f"task.curriculum_frames: no clip of {self.rows.path} has {limit} frames or fewer; raise it, or "
                    "set task.curriculum_epochs=0"
                )
            logger.info(
                f"the first {self.curriculum.epochs} epochs have the {short} clips of up to {limit} frames"
            )

    def ordered_indices(self) -> NDArray[np.int64]:
        """Return the rows by length, see `AvDataset.ordered_indices`; in the first epochs the short ones alone."""
        rows = super().ordered_indices()
        if self.curriculum.max_frames and self.epoch <= self.curriculum.epochs:
            rows = rows[self.sizes[rows] <= self.curriculum.max_frames]
        return rows

    def collater(self, samples: Sequence[AvItem]) -> dict[str, Any]:
        """Make a batch, see `AvDataset.collater`; with "starts" (B,) where transcripts start with a language."""
        batch = super().collater(samples)
        if self.starts is not None:
            batch["starts"] = torch.tensor([self.starts[max(row, 0)] for row in batch["id"].tolist()])
        return batch


def languages_of(folder: str | Path, split: str) -> list[str]:
    """Return the language of each row of a split.

    Raises:
        ValueError: a row has none.
    """
    found = [utterance.language or "" for utterance in read_manifest(folder, split)]
    if "" in found:
        raise ValueError(
            f"{folder}/{split}.meta.tsv:{found.index('') + 2}: a language expected, found none; fill the column, or "
            "set task.language_token=false"
        )
    return found
