"""Load a lip reader from the path of its checkpoint, and read raw videos; only the file is needed.

    reader = load_lip_reader("checkpoint_best.pt")
    print(reader.read("interview.mp4").text)

Shapes: B clips, T frames at 25 Hz, S samples at 16 kHz, H, W sides of a crop, V symbols, E width of the encoded frames.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .. import compat  # noqa: F401 - lets torch read the file
from ..checkpoints.devices import check_device
from ..data.av_augment import PictureConfig, crop, normalize
from ..data.av_rows import SAMPLES_PER_FRAME, first_frame
from ..data.av_sound import StackedFilterbank
from ..data.labels import BLANK
from ..decoding.ctc import Hypothesis
from ..decoding.joint import JointSearch
from ..decoding.subtitles import TimedWord
from ..decoding.windows import WINDOW_S, window_of
from ..line_index import AudioEntry
from ..media.audio import load_row
from ..media.grey_clip import load_clip
from ..media.mouth.frames import MouthFrames
from ..media.mouth.settings import FRAMES_PER_S, MouthSettings
from ..media.mouth.table import ClipRow
from ..media.sound import SAMPLE_RATE_HZ
from ..media.stretches import Stretches
from ..media.video import VideoError
from ..models.av_ctc_attention import AvCtcAttentionConfig, ExtAvCtcAttention
from ..modules.av_encoder_input import trained_modality
from ..modules.checkpoint_file import checkpoint_weights, describe, read_checkpoint
from ..modules.padding import valid_mask
from .lip_windows import read_stretches
from .mouth_clip import Mix, MouthClip, Stretch, video_of_row
from .mouth_track import MouthTrack, OnProgress, track_each_face, track_mouth

MODEL = "ext_av_ctc_attention"


@dataclass(frozen=True)
class LipText:
    """What was read of a video.

    Attributes:
        words: words with their times in the video.
        notes: what a user should know: a choice among faces, stretches without a mouth.
        face: name of the face, where each of several is read.
    """

    words: tuple[TimedWord, ...]
    notes: tuple[str, ...] = ()
    face: str = ""

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
        languages: languages that its decoder can be told; empty = it is not told any.
        language: the one that is spoken, where there are languages.
    """

    model: ExtAvCtcAttention
    symbols: list[str]
    cfg: DictConfig
    num_updates: int
    window_s: float = WINDOW_S
    languages: tuple[str, ...] = ()
    language: str = ""
    sample_rate_hz: int = field(default=SAMPLE_RATE_HZ, init=False)
    hop_s: float = field(default=1 / FRAMES_PER_S, init=False)

    @torch.no_grad()
    def encode(self, clips: Sequence[MouthClip]) -> tuple[Tensor, Tensor, Tensor]:
        """Encode clips of some seconds; a result does not depend on the others.

        Returns ln p (B, T, V) of CTC, float32, the valid frames (B,), and what the decoder attends to (B, T, E), on the
        model's device.
        """
        batch = self._batch(clips)
        memory, lengths = self.model.encode(**batch)
        return self.model.proj(memory).float().log_softmax(2), lengths, memory

    def log_probs(self, clips: Sequence[MouthClip]) -> tuple[Tensor, Tensor]:
        """Return ln p (B, T, V) of CTC and the valid frames (B,), see `encode`."""
        log_probs, lengths, _ = self.encode(clips)
        return log_probs, lengths

    def search(self, clips: Sequence[MouthClip], search: JointSearch) -> list[list[Hypothesis]]:
        """Return the best texts of each clip of some seconds, by CTC and, where there is one, the decoder."""
        return self.decode(search, *self.encode(clips))

    def decode(
        self, search: JointSearch, log_probs: Tensor, lengths: Tensor, memory: Tensor
    ) -> list[list[Hypothesis]]:
        """Search in what `encode` returned, on any device."""
        device = self.model.proj.weight.device
        starts = torch.full((len(log_probs),), self.start_token, device=device)
        frames = log_probs.to(device), lengths.to(device)
        return search(*frames, self.model.decoder, memory.to(device), starts)

    @property
    def start_token(self) -> int:
        """Return the token that the decoder's transcripts start with.

        Raises:
            ValueError: the reader needs to know the language, and it is none of its own.
        """
        if not self.languages:
            return BLANK
        if self.language not in self.languages:
            raise ValueError(
                f"lip reader: one of the languages {', '.join(self.languages)} expected, found {self.language!r}; "
                "name the one that is spoken"
            )
        return len(self.symbols) + self.languages.index(self.language)

    def speaking(self, language: str) -> "LipReader":
        """Return the reader for a language."""
        return replace(self, language=language)

    @property
    def modality(self) -> str:
        """Return what it reads of a clip: video, audio or both, as in its training."""
        return trained_modality(
            self.model.config.modality, OmegaConf.select(self.cfg, "task.modality", default="both")
        )

    @property
    def hears_sound(self) -> bool:
        """Return whether it takes the sound of a clip."""
        return self.modality != "video"

    @property
    def crop_px(self) -> int:
        """Return the side of the pictures that it sees, px."""
        return int(OmegaConf.select(self.cfg, "task.pictures.crop_px", default=PictureConfig().crop_px))

    def read_row(self, entry: AudioEntry, mix: Mix | None = None) -> MouthClip:
        """Read the mouth clip of a row of a manifest.

        Args:
            entry: the row.
            mix: changes the sound (S,), such as by noise; None = as it is.

        Raises:
            VideoError, AudioError: it cannot be read.
        """
        num_frames, first = entry.num_samples // SAMPLES_PER_FRAME, first_frame(entry.start_sample)
        pictures = sound = None
        if self.modality != "audio":
            pictures = load_clip(video_of_row(entry.path), first, num_frames)
        if self.hears_sound:
            sound = load_row(entry, SAMPLE_RATE_HZ)
            sound = sound if mix is None else mix(sound)
        return MouthClip(num_frames, pictures, sound)

    def clip_of(self, track: MouthTrack, clip: ClipRow) -> MouthClip:
        """Return a whole clip of a track, in memory."""
        return self._stretches(track, clip)(0, clip.num_frames)

    def features_of(self, clip: MouthClip) -> Tensor | None:
        """Return the features of a clip's sound (1, A, T); None where the reader hears nothing."""
        return None if clip.sound is None else self._batch([clip])["audio"]

    def read(
        self,
        video: str | os.PathLike[str],
        search: JointSearch | None = None,
        **options: Any,
    ) -> LipText:
        """Read the face that speaks in a raw video of any size, rate and length; options as of `read_faces`.

        Raises:
            VideoError: the file cannot be read, or shows no mouth.
        """
        (found,) = self.read_faces(video, search, **options)
        return found

    def read_faces(
        self,
        video: str | os.PathLike[str],
        search: JointSearch | None = None,
        *,
        each: bool = False,
        settings: MouthSettings | None = None,
        window_s: float | None = None,
        overlap_s: float | None = None,
        on_track: Callable[[MouthTrack, Sequence[Sequence[TimedWord]]], None] | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[LipText]:
        """Read one face or each face of a raw video.

        Args:
            video: the file.
            search: beam search; None = greedy CTC.
            each: read every face, from left to right; otherwise the one that speaks.
            settings: how the mouth is found; None = as usual.
            window_s: length of a window; shorter clips are one window. None: `window_s` of the reader.
            overlap_s: overlap of neighbouring windows. None: a third of a window, 4 s at most.
            on_track: receives the clips of a face, and the words of each by time in it, before they are removed.
            on_progress: receives the share that is done of a step, 0 to 1, and the step.

        Raises:
            VideoError: the file cannot be read, shows no mouth, or has no sound for a reader of sound.
        """
        found = []
        with tempfile.TemporaryDirectory(prefix="lipread-") as folder:
            where = Path(folder), settings, on_progress
            tracks = track_each_face(video, *where) if each else [track_mouth(video, *where)]
            for track in tracks:
                notes = [*track.notes(), *self._about_sound(video, track)]
                of_clips = []
                for number, clip in enumerate(track.clips):

                    def report(share: float, number: int = number, count: int = len(track.clips)) -> None:
                        if on_progress is not None:
                            on_progress((number + share) / count, "read")

                    of_clips.append(self.read_clip(track, clip, search, window_s, overlap_s, report))
                if on_track is not None:
                    on_track(track, of_clips)
                pairs = zip(track.clips, of_clips, strict=True)
                words = [_later(word, clip.start_s or 0.0) for clip, own in pairs for word in own]
                found.append(LipText(tuple(words), tuple(notes), track.face))
        return found

    def _about_sound(self, video: str | os.PathLike[str], track: MouthTrack) -> list[str]:
        """Return a note where a reader that hears has nothing to hear.

        Raises:
            VideoError: it reads nothing but sound.
        """
        silent = {clip.audio for clip in track.clips} & {"none", "silent"}
        if self.modality == "video" or not silent:
            return []
        what = "no sound" if "none" in silent else "silence for sound"
        if self.modality == "audio":
            raise VideoError(f"{video}: a sound track expected, found {what}: the reader reads sound alone")
        return [f"{what}, so lips are read without it, as a reader of both does in silence"]

    def read_clip(
        self,
        track: MouthTrack,
        clip: ClipRow,
        search: JointSearch | None = None,
        window_s: float | None = None,
        overlap_s: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[TimedWord]:
        """Read a clip of any length; arguments as of `read_faces`, but `on_progress` receives the share alone."""
        return read_stretches(
            self,
            self._stretches(track, clip),
            clip.num_frames,
            search,
            window_s=self.window_s if window_s is None else window_s,
            overlap_s=overlap_s,
            on_progress=on_progress,
        )

    def _stretches(self, track: MouthTrack, clip: ClipRow) -> Stretch:
        """Return what reads stretches of a clip, from one frame to another."""
        pictures = MouthFrames(track.video(clip), clip.num_frames) if self.modality != "audio" else None
        sound = Stretches(track.audio(clip), SAMPLE_RATE_HZ) if self.hears_sound else None

        def stretch(start: int, end: int) -> MouthClip:
            samples = slice(start * SAMPLES_PER_FRAME, end * SAMPLES_PER_FRAME)
            return MouthClip(
                end - start,
                None if pictures is None else pictures[start:end],
                None if sound is None else np.asarray(sound[samples]),
            )

        return stretch

    def _batch(self, clips: Sequence[MouthClip]) -> dict[str, Tensor | None]:
        if not clips:
            raise ValueError("lip reader: one or more clips expected, found none")
        device = self.model.proj.weight.device
        lengths = torch.tensor([clip.num_frames for clip in clips])
        padding = ~valid_mask(lengths, int(lengths.max()))
        videos = [
            normalize(crop(torch.from_numpy(clip.pictures), self.crop_px, None))
            for clip in clips
            if clip.pictures is not None
        ]
        filterbank = StackedFilterbank()
        sounds = [
            filterbank(torch.from_numpy(clip.sound), clip.num_frames)
            for clip in clips
            if clip.sound is not None
        ]
        return {
            "video": pad_sequence(videos, batch_first=True)[:, None].to(device) if videos else None,
            "audio": pad_sequence(sounds, batch_first=True).transpose(1, 2).to(device) if sounds else None,
            "padding_mask": padding.to(device) if padding.any() else None,
        }


def _later(word: TimedWord, start_s: float) -> TimedWord:
    return replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s)


def is_lip_reader(state: Mapping[str, Any]) -> bool:
    """Return whether the entries of a checkpoint, as `read_checkpoint` gives them, are those of a lip reader."""
    model = (state.get("cfg") or {}).get("model")
    return isinstance(model, Mapping) and str(model.get("_name")) == MODEL


def holds_lip_reader(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is the checkpoint of a lip reader; raise as `load_lip_reader` for what is no checkpoint."""
    return is_lip_reader(read_checkpoint(Path(path)))


def load_lip_reader(
    path: str | os.PathLike[str], device: str = "cpu", *, state: Mapping[str, Any] | None = None
) -> LipReader:
    """Load a checkpoint of `ext_av_ctc_attention`, with its averaged (EMA) weights when it has them.

    Args:
        path: the file.
        device: torch device.
        state: its entries, where they have been read already.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of fairseq, of another model, or without its symbols; or no such device.
    """
    check_device(device)
    state = read_checkpoint(Path(path)) if state is None else state
    if not is_lip_reader(state):
        raise ValueError(
            f"{path} is not a lip reader ({MODEL}): it holds {describe(state)}; give another file, or for sound "
            "fairseq-ext transcribe"
        )
    cfg = OmegaConf.create(dict(state["cfg"]), flags={"allow_objects": True})
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
    languages = tuple(kept.get("languages") or ())
    return LipReader(model.to(device).eval(), symbols, cfg, updates, window_of(kept.get("long_s")), languages)
