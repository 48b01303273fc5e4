"""Recordings with transcripts, for CTC: rows of tokens beside the waveforms, and a seed per clip for its masks.

A clip and its transcript belong together: nothing is cut. What cannot be trained on is left out, counted and named.
Shapes: B clips, L tokens of the longest transcript.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .audio_dataset import AudioDataset, Item
from .labels import PAD, TokenLabels

logger = logging.getLogger(__name__)

# Number of left-out recordings that a warning names.
NAMED = 10
NO_TOKENS = torch.zeros(0, dtype=torch.long)


class TranscribedDataset(AudioDataset):
    """Audio rows of a tsv, each with a transcript; other arguments are those of `AudioDataset`.

    Args:
        transcripts: tokens of each row.
        leave_out: rows that training cannot use: longer than `max_samples`, or with more tokens than frames.
        frame_lengths: gives the network's frames for numbers of samples, (rows,) both; None = unknown, no row is
            left out for its tokens.
        max_samples: longer rows are left out (never cut); None = no limit.

    Raises:
        ValueError: the numbers of transcripts and rows differ.
    """

    def __init__(
        self,
        *args: Any,
        transcripts: TokenLabels,
        leave_out: bool = False,
        frame_lengths: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
        max_samples: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if len(transcripts) != len(self.index):
            raise ValueError(
                f"transcripts: the tsv has {len(self.index)} rows, the transcripts {len(transcripts)}; write both with "
                "manifest.write_manifest"
            )
        self.transcripts = transcripts
        self.left_out: NDArray[np.bool_] = np.zeros(len(self.index), dtype=bool)
        if leave_out and max_samples is not None:
            self._leave_out(self.sizes > max_samples, f"longer than {max_samples} samples")
        if leave_out and frame_lengths is not None:
            self._leave_out(transcripts.misfits(frame_lengths(self.sizes)), "too short for their transcripts")

    def _leave_out(self, rows: NDArray[np.bool_], reason: str) -> None:
        self.left_out |= rows
        numbers = np.flatnonzero(rows)
        if len(numbers):
            named = ", ".join(str(self.index.entry(int(row)).path) for row in numbers[:NAMED])
            more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
            logger.warning(
                f"{len(numbers)} of {len(self)} recordings are {reason} and left out: {named}{more}"
            )

    def __getitem__(self, row: int) -> Item:
        return replace(super().__getitem__(row), label=self.transcripts[int(row)])

    def collater(self, samples: Sequence[Item]) -> dict[str, Any]:
        """Make a batch: see `AudioDataset.collater`.

        Besides, "target" (B, L), "target_lengths" (B,), "ntokens" = their sum, and in "net_input" "seeds" (B,).
        """
        batch = super().collater(samples)
        return {**batch, "ntokens": int(batch["target_lengths"].sum())}

    def _batch(self, rows: list[int], waveforms: list[Tensor], labels: Sequence[Any]) -> dict[str, Any]:
        batch = super()._batch(rows, waveforms, labels)
        # The rows of a weightless batch have a class label for a transcript, and row -1: seeds cannot be negative.
        tokens = [label if isinstance(label, Tensor) else NO_TOKENS for label in labels]
        batch["target"] = pad_sequence(tokens, batch_first=True, padding_value=PAD)
        batch["target_lengths"] = torch.tensor([len(row) for row in tokens])
        seeds = [self.draw_seed(max(row, 0), self.num_views) for row in rows]
        batch["net_input"]["seeds"] = torch.tensor(seeds)
        return batch

    def ordered_indices(self) -> NDArray[np.int64]:
        """Return the rows by length, see `AudioDataset.ordered_indices`, without those that are dropped."""
        rows = super().ordered_indices()
        return rows[~self.left_out[rows]]
