"""Clips of mouths with their sound as a fairseq dataset: pictures, stacked filterbank frames, or both, in step.

What an item is depends on (seed, epoch, row) alone. A clip that cannot be read is reported once, counted, and left out
of its batch; a batch without any has no weight (`row_dataset`).

Shapes: B clips, T frames at 25 Hz, S samples, H, W sides of the crop, A audio features, L tokens.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from ..media import audio
from ..media.grey_clip import Pictures
from ..media.video import VideoError
from ..modules.padding import valid_mask
from .av_augment import PictureTransform
from .av_rows import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, AvRows
from .av_sound import NUM_FEATURES, StackedFilterbank
from .frame_labels import FrameLabels, FrameLabelStreams
from .label_streams import NOT_KNOWN
from .labels import PAD, TokenLabels
from .noise import NoiseMixer
from .row_dataset import RowDataset

logger = logging.getLogger(__name__)

NAMED = 10  # left-out clips that a warning names
NUM_WEIGHTLESS, WEIGHTLESS_FRAMES = 2, 12
# Numbers of the choices of a row, see `draw_seed`.
_PICTURES, _NOISE, _CUT, _MASKS = range(4)

# Reads pictures (T, H, W) of a row: (row, first picture, T).
ReadPictures = Callable[[int, int, int], Pictures]


@dataclass(frozen=True)
class AvItem:
    """A row; it holds neither pictures nor sound when it cannot be read.

    Attributes:
        row: number of the row.
        num_frames: T.
        video: (T, H, W) float32, or None.
        audio: (T, A) float32, or None.
        target: (L,) tokens, or None.
        frame_target: (T,) or (T, K) labels, or None.
    """

    row: int
    num_frames: int
    video: Tensor | None = None
    audio: Tensor | None = None
    target: Tensor | None = None
    frame_target: Tensor | None = None


class AvDataset(RowDataset):
    """Rows of clips.

    Args:
        rows: the split.
        read_pictures: reads pictures; None = none are wanted.
        pictures: transforms them.
        sound: whether sound is wanted.
        transcripts: tokens of each row; None = none.
        frame_labels: labels of each frame; None = none.
        min_frames: shorter clips are left out.
        max_frames: longer clips are cut to so many frames, at random in training, if there are no transcripts, and left
            out otherwise; None = no limit. Clips of a split that is not shuffled are always whole.
        leave_out: leave out what training cannot use: clips longer than `max_frames` or with more tokens than frames.
        shuffle: batches of another mixture at each epoch; off = sorted by length.
        seed: seed of all that is drawn.

    Raises:
        ValueError: labels with another number of rows.
    """

    def __init__(
        self,
        rows: AvRows,
        *,
        read_pictures: ReadPictures | None,
        pictures: PictureTransform,
        sound: bool,
        transcripts: TokenLabels | None = None,
        frame_labels: FrameLabels | FrameLabelStreams | None = None,
        min_frames: int = 0,
        max_frames: int | None = None,
        leave_out: bool = False,
        shuffle: bool = True,
        seed: int = 1,
    ) -> None:
        super().__init__(rows.root, len(rows), shuffle=shuffle, seed=seed, min_size=min_frames)
        for labels in (transcripts, frame_labels):
            if labels is not None and len(labels) != len(rows):
                raise ValueError(
                    f"{rows.path}: it has {len(rows)} rows, the labels {len(labels)}; write both again"
                )
        self.rows, self.read_pictures, self.pictures, self.sound = rows, read_pictures, pictures, sound
        self.transcripts, self.frame_labels = transcripts, frame_labels
        self.max_frames = max_frames if shuffle and transcripts is None else None
        self.noise: NoiseMixer | None = None
        self._filterbank = StackedFilterbank() if sound else None
        self.sizes: NDArray[Any] = rows.num_frames
        if self.max_frames is not None:
            self.sizes = np.minimum(self.sizes, self.max_frames)
        self.left_out: NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
        self._leave_out(self.sizes < max(1, min_frames), f"shorter than {max(1, min_frames)} frames")
        if leave_out and transcripts is not None:
            if max_frames is not None:
                self._leave_out(self.sizes > max_frames, f"longer than {max_frames} frames")
            self._leave_out(transcripts.misfits(self.sizes), "too short for their transcripts")

    def _leave_out(self, rows: NDArray[np.bool_], reason: str) -> None:
        self.left_out |= rows
        numbers = np.flatnonzero(rows)
        if len(numbers):
            named = ", ".join(self.rows[int(row)].id for row in numbers[:NAMED])
            more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
            logger.warning(f"{len(numbers)} of {len(self)} clips are {reason} and left out: {named}{more}")

    def __getitem__(self, row: int) -> AvItem:
        row = int(row)
        try:
            item = self.read(row)
        except (audio.AudioError, VideoError, OSError) as error:
            self._report_unreadable(row, error)
            return AvItem(row, 0)
        self._failed_in_a_row = 0
        return item

    def read(self, row: int) -> AvItem:
        """Read a row.

        Raises:
            AudioError, VideoError: it cannot be read.
        """
        start, size = self._stretch(row)
        video, heard = self._video(row, start, size), self._audio(row, start, size)
        target = None if self.transcripts is None else self.transcripts[row]
        frame_target = None
        if self.frame_labels is not None:
            whole = self.frame_labels.get(row, int(self.rows.num_frames[row]))
            frame_target = whole[start : start + size]
        return AvItem(row, size, video, heard, target, frame_target)

    def _stretch(self, row: int) -> tuple[int, int]:
        """Return the first frame of what is used of a row, and how many; at random in training."""
        total, size = int(self.rows.num_frames[row]), int(self.sizes[row])
        return int(torch.randint(total - size + 1, (), generator=self._generator(row, _CUT))), size

    def _generator(self, row: int, purpose: int) -> Generator:
        return torch.Generator().manual_seed(self.draw_seed(row, purpose))

    def _video(self, row: int, start: int, size: int) -> Tensor | None:
        if self.read_pictures is None:
            return None
        grey = torch.from_numpy(self.read_pictures(row, start, size))
        try:
            return self.pictures(grey, self._generator(row, _PICTURES))
        except ValueError as error:
            raise VideoError(f"{self.rows[row].video}: {error}") from error

    def _audio(self, row: int, start: int, size: int) -> Tensor | None:
        if self._filterbank is None:
            return None
        waveform = self._waveform(row)
        if self.noise is not None:
            waveform = self.noise(waveform, self._generator(row, _NOISE), without=row)
        return self._filterbank(waveform[start * SAMPLES_PER_FRAME :], size)

    def _waveform(self, row: int) -> Tensor:
        """Read the sound (S,) of a row, from the start of its first picture on."""
        entry = self.rows[row]
        waveform = torch.from_numpy(audio.load_row(entry.audio, SAMPLE_RATE_HZ))
        # A segment may start between two pictures.
        late = entry.audio.start_sample - entry.start_frame * SAMPLES_PER_FRAME
        return F.pad(waveform, (late, 0)) if late >= 0 else waveform[-late:]

    def voice(self, row: int) -> Tensor:
        """Read the sound of a row for babble; one that cannot be read is reported and silent."""
        try:
            return self._waveform(row)
        except (audio.AudioError, OSError) as error:
            self._report_unreadable(row, error)
            return torch.zeros(1)

    def collater(self, samples: Sequence[AvItem]) -> dict[str, Any]:
        """Make a batch; when none of its clips could be read, one without weight ("nsentences" 0, noise).

        Returns:
            "id" (B,), "nsentences" B, "ntokens" tokens, or frames without transcripts; "net_input": {"video"
            (B, 1, T, H, W) or None, "audio" (B, A, T) or None, "padding_mask" (B, T) bool, True = padding, "seeds"
            (B,)}; "target" (B, L) and "target_lengths" (B,) with transcripts, "frame_targets" (B, T) with labels of
            frames, (B, T, K) with several streams of them, -100 = none.
        """
        items = [item for item in samples if item.num_frames]
        weight = len(items)
        batch = self._batch(items or self._weightless())
        num_tokens = sum(item.num_frames for item in items)
        if self.transcripts is not None:
            num_tokens = int(batch["target_lengths"].sum()) if items else 0
        return {**batch, "nsentences": weight, "ntokens": num_tokens}

    def _batch(self, items: Sequence[AvItem]) -> dict[str, Any]:
        lengths = torch.tensor([item.num_frames for item in items])
        videos = [item.video for item in items if item.video is not None]
        sounds = [item.audio for item in items if item.audio is not None]
        batch: dict[str, Any] = {
            "id": torch.tensor([item.row for item in items]),
            "net_input": {
                "video": pad_sequence(videos, batch_first=True)[:, None] if videos else None,
                "audio": pad_sequence(sounds, batch_first=True).transpose(1, 2) if sounds else None,
                "padding_mask": ~valid_mask(lengths, int(lengths.max())),
                # A weightless batch has row -1, and seeds cannot be negative.
                "seeds": torch.tensor([self.draw_seed(max(item.row, 0), _MASKS) for item in items]),
            },
        }
        if self.transcripts is not None:
            tokens = [torch.zeros(0, dtype=torch.long) if i.target is None else i.target for i in items]
            batch["target"] = pad_sequence(tokens, batch_first=True, padding_value=PAD)
            batch["target_lengths"] = torch.tensor([len(row) for row in tokens])
        if self.frame_labels is not None:
            rows = [
                self.frame_labels.unknown(i.num_frames) if i.frame_target is None else i.frame_target
                for i in items
            ]
            batch["frame_targets"] = pad_sequence(rows, batch_first=True, padding_value=NOT_KNOWN)
        return batch

    def _weightless(self) -> list[AvItem]:
        """Return clips of noise, for a batch with weight 0: on silence or an empty batch some networks fail."""
        generator = torch.Generator().manual_seed(1)
        side, size = self.pictures.config.crop_px, WEIGHTLESS_FRAMES
        video = torch.randn(NUM_WEIGHTLESS, size, side, side, generator=generator)
        sound = torch.randn(NUM_WEIGHTLESS, size, NUM_FEATURES, generator=generator)
        return [
            AvItem(
                -1,
                size,
                None if self.read_pictures is None else video[number],
                sound[number] if self.sound else None,
            )
            for number in range(NUM_WEIGHTLESS)
        ]

    def ordered_indices(self) -> NDArray[np.int64]:
        """Return the rows by length, see `RowDataset.ordered_indices`, without those that are left out."""
        rows = super().ordered_indices()
        return rows[~self.left_out[rows]]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch (called by fairseq); what a scored split draws is the same in all."""
        self.epoch = epoch if self.shuffle else 1
