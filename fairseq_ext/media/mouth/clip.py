"""One clip: pictures and sound of its video stream in, its files and its row come out."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..clips import Segment
from ..picture import Picture
from ..sound import SAMPLE_RATE_HZ, Sound
from ..video import MediaReader
from .clock import FrameClock
from .crops import Crop, Crops, jpeg
from .judge import judged
from .settings import FRAMES_PER_S, MouthSettings
from .table import ClipRow
from .warp import thumbnail
from .writer import ClipFiles

SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FRAMES_PER_S
REJECTED = "rejected"  # folder with a source frame of each rejected clip
_THUMBNAIL_PX = 320
_MAX_EARLY = 30 * SAMPLE_RATE_HZ  # samples kept until the first picture comes
_SOUND_AFTER_S = 0.1  # once sound comes from this far behind the end, all sound of the clip is there


def rejected_image(clips: str | os.PathLike[str], clip_id: str) -> Path:
    """Return the path of the source frame of a rejected clip, which is missing if no frame was decoded."""
    return Path(clips) / REJECTED / f"{clip_id}.jpg"


class Clip:
    """A clip while its video is decoded, from `start_s` to `end_s` of the file, infinite for a whole file."""

    def __init__(
        self,
        source: str,
        segment: Segment,
        out: str | os.PathLike[str],
        settings: MouthSettings,
        crops: Crops,
        reader: MediaReader,
    ) -> None:
        """Start an empty clip; `source` is the path of the video in the row, `crops` makes the crop of each frame."""
        self.start_s = segment.start_s or 0.0
        self.end_s = math.inf if segment.end_s is None else segment.end_s
        self._row = ClipRow(segment.id, source, segment.start_s, segment.end_s)
        self._settings, self._out, self._crops, self._reader = settings, out, crops, reader
        self._num_bad_before = reader.num_bad_packets, reader.num_bad_audio_packets
        self._clock = FrameClock(segment.start_s, segment.end_s)
        self._files = ClipFiles(out, segment.id, settings.crf)
        self._early: list[Sound] = []  # before the origin is known
        self._sound_until_s = 0.0
        self._num_chosen = 0  # samples of one channel of several
        self._thumbnail: NDArray[np.uint8] | None = None
        self._lost_shown = False

    @property
    def seen_s(self) -> list[tuple[float, float]]:
        """Stretches of the file that show the mouth, s; once the clip is finished."""
        start_s = self._clock.origin_s or 0.0
        return [(start_s + a / FRAMES_PER_S, start_s + b / FRAMES_PER_S) for a, b in self._crops.seen]

    @property
    def done(self) -> bool:
        """Whether all pictures and sound of the clip have come."""
        has_sound = not self._reader.has_audio or self._sound_until_s >= self.end_s + _SOUND_AFTER_S
        return self._clock.done and has_sound

    def add(self, event: Picture | Sound) -> None:
        """Add the next picture or stretch of sound of the file."""
        if isinstance(event, Sound):
            self._sound_until_s = event.time_s
            self._add_sound(event)
        elif not self._clock.done:
            for picture in self._clock.add(event):
                self._take(picture)

    def finish(self) -> ClipRow:
        """Write the files, or remove them when the clip is rejected, and return its row."""
        for picture in self._clock.finish():
            self._take(picture)
        self._write(self._crops.finish())
        if self._clock.origin_s is not None:
            self._write_sound(self._early)
        row = judged(
            self._crops.measured(self._measured()),
            self._settings,
            problem=self._crops.problem,
            gap_s=self._clock.gap_s,
        )
        rejected_image(self._out, row.id).unlink(missing_ok=True)
        if row.status == "ok":
            self._files.commit(row.num_samples, self._crops.landmarks())
        elif self._thumbnail is not None:
            self._files.show(jpeg(self._thumbnail), rejected_image(self._out, row.id))
        self.close()
        return row

    def close(self) -> None:
        """Remove unfinished files and return the models."""
        self._crops.close()
        self._files.close()

    def _take(self, picture: Picture) -> None:
        if self._clock.gap_s > self._settings.max_gap_s:
            return  # the clip is rejected; filling a gap of hours would only cost time
        self._write(self._crops.add(picture))
        first_lost = self._crops.lost and not self._lost_shown
        if self._thumbnail is None or first_lost:  # the frame that shows the problem
            self._thumbnail = thumbnail(picture, _THUMBNAIL_PX)
            self._lost_shown = self._crops.lost

    def _write(self, crops: list[Crop]) -> None:
        for crop in crops:
            self._files.add(crop)

    def _add_sound(self, sound: Sound) -> None:
        self._early.append(sound)
        if self._clock.origin_s is not None:
            self._write_sound(self._early)
            self._early = []
        elif sum(len(s.samples) for s in self._early) > _MAX_EARLY:
            self._early.pop(0)

    def _write_sound(self, sounds: list[Sound]) -> None:
        assert self._clock.origin_s is not None
        wanted = self._clock.wanted
        limit = None if wanted is None else wanted * SAMPLES_PER_FRAME
        origin = round(self._clock.origin_s * SAMPLE_RATE_HZ)
        for sound in sounds:
            self._num_chosen += sound.num_chosen
            self._files.sound.add(sound, origin, limit)
            self._crops.add_sound(sound.start_sample - origin, sound.samples)

    def _measured(self) -> ClipRow:
        """Return the row with what was measured on pictures and sound, before the crops are considered."""
        clock, reader = self._clock, self._reader
        num_samples = clock.num_frames * SAMPLES_PER_FRAME
        difference_s = (self._files.sound.end_sample - num_samples) / SAMPLE_RATE_HZ
        return replace(
            self._row,
            num_frames=clock.num_frames,
            num_samples=num_samples,
            av_difference_s=round(difference_s, 4) if reader.has_audio else None,
            missing_s=round(self._missing_s(), 3),
            num_bad_packets=reader.num_bad_packets - self._num_bad_before[0],
            audio=self._state_of_sound(),
            tracks="; ".join(filter(None, (reader.tracks, self._channels()))),
        )

    def _channels(self) -> str:
        chosen_s = self._num_chosen / SAMPLE_RATE_HZ
        return f"one channel for {chosen_s:.1f} s, opposite phase" if chosen_s else ""

    def _missing_s(self) -> float:
        if self._clock.wanted is not None:
            return (self._clock.wanted - self._clock.num_frames) / FRAMES_PER_S
        return max(0.0, (self._reader.duration_s or 0.0) - self._clock.end_s)

    def _state_of_sound(self) -> str:
        if not self._reader.has_audio:
            return "none"
        if self._reader.num_bad_audio_packets > self._num_bad_before[1]:
            return "damaged"
        return "ok" if self._files.sound.peak else "silent"
