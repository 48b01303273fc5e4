"""From a raw video to the mouth that speaks in it: clips of the whole video, or of the stretches that show a face."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ..media.clips import Segment, VideoFile
from ..media.mouth.landmarker import Landmarker, import_models
from ..media.mouth.prepare import prepare_file
from ..media.mouth.settings import MouthSettings
from ..media.mouth.table import REASONS, ClipRow
from ..media.mouth.warp import opencv
from ..media.video import MediaReader, VideoError

# A video whose face is out of sight somewhere is cut into stretches of this length, each judged by itself: a sentence
# or two, so that a look away costs little of what is before and after it.
STRETCH_S = 15.0
# What a second look at stretches cannot change: the file, not what is seen somewhere in it.
_OF_THE_FILE = {"missing", "unreadable", "joined", "no_video", "not_square"}


@dataclass(frozen=True)
class MouthTrack:
    """The clips of a video.

    Attributes:
        folder: folder with `video/ID.mp4` and `audio/ID.wav` of each clip.
        clips: the clips that show a mouth, in order of time.
        rejected: the other stretches, with their reasons.
    """

    folder: Path
    clips: tuple[ClipRow, ...]
    rejected: tuple[ClipRow, ...]

    def video(self, clip: ClipRow) -> Path:
        """Return the pictures of a clip."""
        return self.folder / "video" / f"{clip.id}.mp4"

    def audio(self, clip: ClipRow) -> Path:
        """Return the sound of a clip."""
        return self.folder / "audio" / f"{clip.id}.wav"

    def notes(self) -> Iterator[str]:
        """Describe what a user should know of how the mouth was found: choices among faces, stretches without one."""
        for clip in self.clips:
            if (clip.num_faces or 0) > 1:
                yield f"{clip.num_faces} faces{_when(clip)}; one is read, chosen by {clip.choice or 'its place'}"
        for clip in self.rejected:
            yield f"not read{_when(clip)}: {describe(clip)}"


def describe(clip: ClipRow) -> str:
    """Return why a clip was rejected and what can be done."""
    detail = f" ({clip.detail})" if clip.detail else ""
    return f"{clip.reason}{detail}: {REASONS.get(clip.reason, 'see fairseq-ext prepare mouth')}"


def _when(clip: ClipRow) -> str:
    if clip.start_s is None or clip.end_s is None:
        return ""
    return f" from {clip.start_s:.0f} to {clip.end_s:.0f} s"


def track_mouth(
    video: str | os.PathLike[str], folder: Path, settings: MouthSettings | None = None
) -> MouthTrack:
    """Cut the mouth out of a video of any size, rate and length, into files below `folder`.

    The whole video is one clip; where that is rejected and it is longer than `STRETCH_S`, its stretches are tried.

    Raises:
        VideoError: nothing of it shows a mouth that can be read.
        ImportError: OpenCV or MediaPipe is not installed.
    """
    opencv()
    settings = settings or MouthSettings()
    if settings.input == "face":
        import_models()
    path, landmarker = Path(video).resolve(), Landmarker()

    def prepare(segments: tuple[Segment, ...]) -> list[ClipRow]:
        return prepare_file(path.parent, VideoFile(path.name, segments), folder, settings, landmarker)

    (whole,) = prepare((Segment("whole"),))
    if whole.status == "ok":
        return MouthTrack(folder, (whole,), ())
    rows: list[ClipRow] = []
    if whole.reason not in _OF_THE_FILE and (duration_s := _duration_s(path)) > STRETCH_S:
        rows = prepare(tuple(_stretches(duration_s)))
    clips = tuple(row for row in rows if row.status == "ok")
    if not clips:
        raise VideoError(f"{video}: no mouth that can be read: {describe(whole)}")
    return MouthTrack(folder, clips, tuple(row for row in rows if row.status != "ok"))


def _duration_s(path: Path) -> float:
    with MediaReader(path) as reader:
        return reader.duration_s or 0.0


def _stretches(duration_s: float) -> Iterator[Segment]:
    """Yield stretches of equal length, `STRETCH_S` at most, of whole frames."""
    count = -(-duration_s // STRETCH_S)
    times = [round(25 * duration_s * i / count) / 25 for i in range(int(count) + 1)]
    for number, (start_s, end_s) in enumerate(pairwise(times)):
        yield replace(Segment(f"{number:05d}"), start_s=start_s, end_s=end_s)
