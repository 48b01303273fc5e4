"""Load a lip reader from the path of its checkpoint, and read raw videos; only the file is needed.

    reader = load_lip_reader("checkpoint_best.pt")
    print(reader.read("interview.mp4").text)

Shapes: B clips, T frames at 25 Hz, V symbols, E width of the encoded frames. A clip is (T, 96, 96) uint8.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from fairseq.dataclass.utils import merge_with_parent
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from .. import compat  # noqa: F401 - lets torch read the file
from ..checkpoints.devices import check_device
from ..decoding.alignment import TokenSpan, align, greedy_spans, timed_words
from ..decoding.ctc import Hypothesis
from ..decoding.joint import JointSearch
from ..decoding.stretches import stretches
from ..decoding.subtitles import TimedWord
from ..decoding.windows import WINDOW_S, log_probs_of_long, overlap_of, window_of
from ..line_index import AudioEntry
from ..media.mouth.frames import MouthFrames, decode_frames
from ..media.mouth.settings import FRAMES_PER_S, MouthSettings
from ..media.mouth.table import ClipRow
from ..media.sound import SAMPLE_RATE_HZ
from ..media.video import VideoError
from ..models.av_ctc_attention import AvCtcAttentionConfig, ExtAvCtcAttention
from ..modules.checkpoint_file import checkpoint_weights, describe, read_checkpoint
from .mouth_track import MouthTrack, track_mouth

MODEL = "ext_av_ctc_attention"
SEARCH_S = 60.0  # searched at a time
Crops = NDArray[np.uint8]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class LipText:
    """What was read of a video.

    Attributes:
        words: words with their times in the video.
        notes: what a user should know: a choice among faces, stretches without a mouth.
    """

    words: tuple[TimedWord, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class LipReader:
    """A trained lip reader with what is needed to use it.

    Attributes:
        model: network in evaluation mode.
        symbols: (V,) symbols of its outputs, fairseq's four first.
        cfg: whole configuration of its training.
        num_updates: number of updates it was trained for.
        window_s: length of the windows that longer clips are cut into: that of the longest clip in training.
    """

    model: ExtAvCtcAttention
    symbols: list[str]
    cfg: DictConfig
    num_updates: int
    window_s: float = WINDOW_S
    reads_lips: bool = field(default=True, init=False)
    sample_rate_hz: int = field(default=SAMPLE_RATE_HZ, init=False)
    hop_s: float = field(default=1 / FRAMES_PER_S, init=False)

    @torch.no_grad()
    def encode(self, clips: Sequence[Crops]) -> tuple[Tensor, Tensor, Tensor]:
        """Encode clips of some seconds; a result does not depend on the others.

        Returns ln p (B, T, V) of CTC, float32, the valid frames (B,), and what the decoder attends to (B, T, E), on the
        model's device.
        """
        batch = self._batch(clips)
        memory, lengths = self.model.encode(**batch)
        return self.model.proj(memory).float().log_softmax(2), lengths, memory

    def log_probs(self, clips: Sequence[Crops]) -> tuple[Tensor, Tensor]:
        """Return ln p (B, T, V) of CTC and the valid frames (B,), see `encode`."""
        log_probs, lengths, _ = self.encode(clips)
        return log_probs, lengths

    def search(self, clips: Sequence[Crops], search: JointSearch) -> list[list[Hypothesis]]:
        """Return the best texts of each clip of some seconds, by CTC and, where there is one, the decoder."""
        log_probs, lengths, memory = self.encode(clips)
        return search(log_probs, lengths, self.model.decoder, memory)

    def read_row(self, entry: AudioEntry) -> Crops:
        """Read the mouth clip of a row of a manifest.

        Raises:
            VideoError: it cannot be read.
        """
        return np.stack([*decode_frames(video_of_row(entry.path))])

    def read(
        self,
        video: str | os.PathLike[str],
        search: JointSearch | None = None,
        *,
        settings: MouthSettings | None = None,
        window_s: float | None = None,
        overlap_s: float | None = None,
        on_track: Callable[[MouthTrack, Sequence[Sequence[TimedWord]]], None] | None = None,
    ) -> LipText:
        """Read a raw video of any size, rate and length.

        Args:
            video: the file.
            search: beam search; None = greedy CTC.
            settings: how the mouth is found; None = as usual.
            window_s: length of a window; shorter clips are one window. None: `window_s` of the reader.
            overlap_s: overlap of neighbouring windows. None: a third of a window, 4 s at most.
            on_track: receives the clips, and the words of each by time in it, before they are removed.

        Raises:
            VideoError: the file cannot be read, or shows no mouth.
        """
        with tempfile.TemporaryDirectory(prefix="lipread-") as folder:
            track = track_mouth(video, Path(folder), settings)
            of_clips = [self.read_clip(track, clip, search, window_s, overlap_s) for clip in track.clips]
            if on_track is not None:
                on_track(track, of_clips)
            pairs = zip(track.clips, of_clips, strict=True)
            words = [_later(word, clip.start_s or 0.0) for clip, own in pairs for word in own]
            return LipText(tuple(words), tuple(track.notes()))

    def read_clip(
        self,
        track: MouthTrack,
        clip: ClipRow,
        search: JointSearch | None = None,
        window_s: float | None = None,
        overlap_s: float | None = None,
    ) -> list[TimedWord]:
        """Read a clip of any length; arguments as of `read`."""
        frames = MouthFrames(track.video(clip), clip.num_frames)
        window_s = self.window_s if window_s is None else window_s
        if search is not None and search.config.ctc_weight < 1 and self.model.decoder is not None:
            return list(self._read_windows(frames, search, window_s))
        scores = log_probs_of_long(
            cast(Any, frames),
            lambda pictures: self.log_probs([pictures.numpy()])[0][0],
            sample_rate_hz=FRAMES_PER_S,
            hop_samples=1,
            window_s=window_s,
            overlap_s=overlap_of(window_s) if overlap_s is None else overlap_s,
        )
        words: list[TimedWord] = []
        start = 0
        for stretch in stretches(scores, round(SEARCH_S * FRAMES_PER_S), self.symbols):
            spans = _spans(stretch, search)
            words += timed_words(spans, self.symbols, self.hop_s, start_s=start * self.hop_s)
            start += len(stretch)
        return words

    def _read_windows(self, frames: MouthFrames, search: JointSearch, window_s: float) -> Iterator[TimedWord]:
        """Read window by window, cut at the pauses that CTC finds: the decoder needs the frames of whole sentences."""
        size, start = round(window_s * FRAMES_PER_S), 0
        while start < len(frames):
            crops = frames[start : start + size]
            log_probs, lengths, memory = self.encode([crops])
            if start + size < len(frames):
                cut = next(iter(stretches([log_probs[0]], size // 2, self.symbols)))
                # Without a pause the whole window is taken: a word may be cut.
                log_probs, memory = log_probs[:, : len(cut)], memory[:, : len(cut)]
                lengths = lengths.clamp(max=len(cut))
            ((best, *_),) = search(log_probs, lengths, self.model.decoder, memory)
            spans = _aligned(log_probs[0], best)
            yield from timed_words(spans, self.symbols, self.hop_s, start_s=start * self.hop_s)
            start += log_probs.shape[1]

    def _batch(self, clips: Sequence[Crops]) -> dict[str, Tensor | None]:
        if not clips or any(clip.ndim != 3 for clip in clips):
            raise ValueError(
                f"lip reader: one or more clips of shape (T, 96, 96) expected, found {[c.shape for c in clips]}"
            )
        device = self.model.proj.weight.device
        videos = [prepared_crops(clip) for clip in clips]
        lengths = torch.tensor([len(video) for video in videos])
        video = torch.nn.utils.rnn.pad_sequence(videos, batch_first=True)[:, None].to(
            device
        )  # (B, 1, T, H, W)
        padding = torch.arange(video.shape[2]) >= lengths[:, None]
        return {
            "video": video,
            "audio": None,
            "padding_mask": padding.to(device) if padding.any() else None,
        }


def _aligned(log_probs: Tensor, best: Hypothesis) -> list[TokenSpan]:
    """Return the times of a hypothesis; of one with more tokens than frames, which CTC gave no weight, those it has."""
    tokens = list(best.tokens)
    while tokens:
        try:
            return align(log_probs, tokens)
        except ValueError:
            tokens.pop()
    return []


def _spans(scores: Tensor, search: JointSearch | None) -> list[TokenSpan]:
    """Decode frames (T, V) by CTC to the symbols and their times."""
    if search is None:
        return greedy_spans(scores)
    ((best, *_),) = search(scores[None], torch.tensor([len(scores)]))
    return align(scores, best.tokens)


def _later(word: TimedWord, start_s: float) -> TimedWord:
    return replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s)


# TODO
def prepared_crops(clip):
    return (torch.from_numpy(clip)[:, 4:92, 4:92].float() / 255 - 0.421) / 0.165


def video_of_row(audio: Path) -> Path:
    """Return the pictures that belong to the sound of a row, `.../audio/ID.wav`, whose id may contain slashes.

    Raises:
        VideoError: there is no `.../video/ID.mp4`.
    """
    parts = audio.parts
    for place in reversed([i for i, part in enumerate(parts[:-1]) if part == "audio"]):
        found = Path(*parts[:place], "video", *parts[place + 1 :]).with_suffix(".mp4")
        if found.is_file():
            return found
    raise VideoError(f"{audio}: no video/ID.mp4 beside audio/ID.wav; give manifests of prepared mouth clips")


def holds_lip_reader(path: str | os.PathLike[str]) -> bool:
    """Return whether a checkpoint is that of a lip reader; raise as `load_lip_reader` for what is no checkpoint."""
    cfg = read_checkpoint(Path(path)).get("cfg") or {}
    return str((cfg.get("model") or {}).get("_name")) == MODEL


def load_lip_reader(path: str | os.PathLike[str], device: str = "cpu") -> LipReader:
    """Load a checkpoint of `ext_av_ctc_attention`, with its averaged (EMA) weights when it has them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of fairseq, of another model, or without its symbols; or no such device.
    """
    check_device(device)
    state = read_checkpoint(Path(path))
    cfg = OmegaConf.create(dict(state.get("cfg") or {}), flags={"allow_objects": True})
    if str((cfg.get("model") or {}).get("_name")) != MODEL:
        raise ValueError(
            f"{path} is not a lip reader ({MODEL}): it holds {describe(state)}; give another file, or for sound "
            "fairseq-ext transcribe"
        )
    kept = state.get("task_state") or {}
    if not kept.get("symbols"):
        raise ValueError(f"{path} lacks the symbols of its outputs; train it by ext_av_recognition")
    # Keys that came after the checkpoint was written have their defaults.
    config = merge_with_parent(AvCtcAttentionConfig(), cfg.model)
    symbols = list(kept["symbols"])
    weights = checkpoint_weights(state)
    num_frame_classes = len(weights["frame_proj.bias"]) if "frame_proj.bias" in weights else 0
    num_starts = 0
    if "decoder.embed_tokens.weight" in weights:
        num_starts = len(weights["decoder.embed_tokens.weight"]) - len(symbols)
    model = ExtAvCtcAttention(config, len(symbols), num_frame_classes, num_starts)
    model.load_state_dict(weights)
    updates = int((state.get("optimizer_history") or [{}])[-1].get("num_updates", 0))
    return LipReader(model.to(device).eval(), symbols, cfg, updates, window_of(kept.get("long_s")))
