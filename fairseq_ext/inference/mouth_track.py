"""From a raw video to the mouths in it: clips of the whole video, or of the stretches that show a face."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..media.clips import Segment, VideoFile
from ..media.mouth.faces import Faces, find_faces
from ..media.mouth.landmarker import Landmarker, import_models
from ..media.mouth.prepare import prepare_file
from ..media.mouth.settings import FRAMES_PER_S, MouthSettings
from ..media.mouth.table import REASONS, ClipRow
from ..media.mouth.warp import opencv
from ..media.video import MediaReader, VideoError

# What is wrong with the sound or the end of a file does not keep lips from being read: it is said instead.
READING = MouthSettings(max_missing_s=math.inf, max_av_difference_s=math.inf)
# What is rejected for more than a face that is out of sight is cut into stretches of this length, each judged by
# itself: a sentence or two, so that a look away costs little of what is before and after it.
STRETCH_S = 15.0
_WAV_HEADER_BYTES = 44  # as the module `wave` writes it
# What a second look at stretches cannot change: the file, not what is seen somewhere in it.
_OF_THE_FILE = {"missing", "unreadable", "joined", "no_video", "not_square"}
_OUT_OF_SIGHT = {"face_lost", "face_late"}
_SAID_S = 0.5  # shorter stretches without a mouth are not named

# Receives the share of a video that is done, 0 to 1, and what is being done.
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class MouthTrack:
    """The clips of a face in a video.

    Attributes:
        folder: folder with `video/ID.mp4`, `audio/ID.wav` and `landmarks/ID.npz` of each clip.
        clips: the clips that show a mouth, in order of time.
        rejected: the other stretches, with their reasons.
        face: name of the face where each of several is followed; "" for the one that speaks.
        faces: the faces of the video, where there are several.
    """

    folder: Path
    clips: tuple[ClipRow, ...]
    rejected: tuple[ClipRow, ...]
    face: str = ""
    faces: Faces = field(default_factory=Faces)

    def video(self, clip: ClipRow) -> Path:
        """Return the pictures of a clip."""
        return self.folder / "video" / f"{clip.id}.mp4"

    def audio(self, clip: ClipRow) -> Path:
        """Return the sound of a clip."""
        return self.folder / "audio" / f"{clip.id}.wav"

    def landmarks(self, clip: ClipRow) -> Path:
        """Return the landmarks of a clip, a file that is missing where the mouth was cut out already."""
        return self.folder / "landmarks" / f"{clip.id}.npz"

    def sound(self, clip: ClipRow) -> NDArray[np.int16] | None:
        """Return the sound of a clip, (S,) at 16 kHz, on the disk until it is used; None where it has none."""
        if clip.audio == "none":
            return None
        return np.memmap(self.audio(clip), "<i2", "r", offset=_WAV_HEADER_BYTES)

    def notes(self) -> Iterator[str]:
        """Describe what a user should know: choices among faces, damage, stretches without a mouth."""
        for clip in self.clips:
            if (clip.num_faces or 0) > 1 and not self.face:
                yield (
                    f"{clip.num_faces} faces{_when(clip)}; {self._chosen(clip)} is read, chosen by "
                    f"{clip.choice or 'its place'}; --faces each reads each of them"
                )
            if clip.num_bad_packets:
                yield f"damaged{_when(clip)}: {clip.num_bad_packets} packets could not be decoded; copy the file again"
            if clip.missing_s > _SAID_S:
                yield f"the last {clip.missing_s:.1f} s that the file states show no picture; it may be cut off"
        for clip in self.rejected:
            yield f"not read{_when(clip)}: {describe(clip)}"

    def _chosen(self, clip: ClipRow) -> str:
        """Name the face that a clip shows; `one` where its place among the others is not known."""
        if len(self.faces.places) < 2 or not self.landmarks(clip).is_file():
            return "one"
        with np.load(self.landmarks(clip), allow_pickle=False) as file:
            x, y = file["points"][0].mean(axis=0).tolist()
        number = self.faces.nearest(x, y)
        return "one" if number is None else f"the {self.faces.name(number)}"


def describe(clip: ClipRow) -> str:
    """Return why a clip was rejected and what can be done."""
    detail = f" ({clip.detail})" if clip.detail else ""
    return f"{clip.reason}{detail}: {REASONS.get(clip.reason, 'see fairseq-ext prepare mouth')}"


def _when(clip: ClipRow) -> str:
    if clip.start_s is None or clip.end_s is None:
        return ""
    return f" from {clip.start_s:.1f} to {clip.end_s:.1f} s"


def track_mouth(
    video: str | os.PathLike[str],
    folder: Path,
    settings: MouthSettings | None = None,
    on_progress: OnProgress | None = None,
) -> MouthTrack:
    """Cut the mouth that speaks out of a video of any size, rate and length, into files below `folder`.

    The whole video is one clip. Where that is rejected, the stretches in which the face is seen are tried, and of what
    is rejected for other reasons stretches of `STRETCH_S`.

    Raises:
        VideoError: nothing of it shows a mouth that can be read.
        ImportError: OpenCV or MediaPipe is not installed.
    """
    tracking = _Tracking(video, folder, settings, on_progress)
    segment = Segment("whole")
    track = tracking.track([segment])[segment.id]
    if any((clip.num_faces or 0) > 1 for clip in track.clips):
        start_s = track.clips[0].start_s or 0.0
        track = replace(track, faces=find_faces(tracking.path, tracking.landmarker, start_s))
    return track


def track_each_face(
    video: str | os.PathLike[str],
    folder: Path,
    settings: MouthSettings | None = None,
    on_progress: OnProgress | None = None,
) -> list[MouthTrack]:
    """Cut the mouth of each face out of a video, from left to right as they are in its first ten seconds.

    A face that cannot be read has a track without clips.

    Raises:
        VideoError: there is no face, or none that can be read.
        ImportError: OpenCV or MediaPipe is not installed.
    """
    tracking = _Tracking(video, folder, settings, on_progress)
    faces = find_faces(tracking.path, tracking.landmarker)
    if not faces.places:
        raise VideoError(
            f"{video}: no face in its first ten seconds, one expected; leave --faces out, which searches all of it"
        )
    segments = [Segment(f"face{i}", face_at=at) for i, at in enumerate(faces.places, 1)]
    tracks = tracking.track(segments)
    names = [faces.name(i) for i in range(len(segments))]
    return [replace(tracks[s.id], face=name, faces=faces) for s, name in zip(segments, names, strict=True)]


class _Tracking:
    """Rounds of preparation of one video; each takes what the last one rejected, in shorter stretches."""

    def __init__(
        self,
        video: str | os.PathLike[str],
        folder: Path,
        settings: MouthSettings | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._video, self._folder, self._on_progress = video, folder, on_progress
        self.path, self.landmarker = Path(video).resolve(), Landmarker()
        self._settings = settings or READING
        if not self.path.is_file():
            raise VideoError(f"{video}: no such file; check its name")
        opencv()
        if self._settings.input == "face":
            import_models()
        with MediaReader(self.path) as reader:
            self._duration_s = reader.duration_s or 0.0
        self._seen: dict[str, list[tuple[float, float]]] = {}

    def track(self, segments: Sequence[Segment]) -> dict[str, MouthTrack]:
        """Return the track of each segment, by its id.

        Raises:
            VideoError: nothing shows a mouth that can be read.
        """
        rows = self._prepare(segments, "find the mouth")
        for row in rows:
            if row.reason in _OF_THE_FILE:
                raise VideoError(
                    row.detail if str(self.path) in row.detail else f"{self._video}: {describe(row)}"
                )
        found = {row.id: [row] for row in rows}
        places = {segment.id: segment.face_at for segment in segments}
        for parts_of in (self._stretches_seen, self._even_stretches):
            again: list[Segment] = []
            owner: dict[str, str] = {}
            for name, own in found.items():
                parts = [part for row in own if row.status != "ok" for part in parts_of(row)]
                again += [replace(part, face_at=places[name]) for part in parts]
                owner.update((part.id, name) for part in parts)
            if not again:
                continue
            replaced = {part.id.rpartition("-")[0] for part in again}
            found = {name: [row for row in own if row.id not in replaced] for name, own in found.items()}
            for row in self._prepare(again, "look again"):
                found[owner[row.id]].append(row)
        if not any(row.status == "ok" for own in found.values() for row in own):
            raise VideoError(f"{self._video}: no mouth that can be read: {describe(rows[0])}")
        return {name: self._as_track(own) for name, own in found.items()}

    def _prepare(self, segments: Sequence[Segment], doing: str) -> list[ClipRow]:
        def progress(time_s: float) -> None:
            if self._on_progress is not None and self._duration_s:
                self._on_progress(min(1.0, time_s / self._duration_s), doing)

        return prepare_file(
            self.path.parent,
            VideoFile(self.path.name, tuple(segments)),
            self._folder,
            self._settings,
            self.landmarker,
            on_seen=self._seen.__setitem__,
            on_progress=progress,
        )

    def _stretches_seen(self, row: ClipRow) -> list[Segment]:
        """Return the stretches that show the face, of a clip that was rejected because it does not all the time."""
        if row.reason not in _OUT_OF_SIGHT:
            return []
        least_s = self._settings.min_frames / FRAMES_PER_S
        return _numbered(row, [span for span in self._seen.get(row.id, []) if span[1] - span[0] >= least_s])

    def _even_stretches(self, row: ClipRow) -> list[Segment]:
        start_s, end_s = row.start_s or 0.0, row.end_s or self._duration_s
        if end_s - start_s <= STRETCH_S or row.reason in {"no_face", "face_small"}:
            return []
        count = math.ceil((end_s - start_s) / STRETCH_S)
        times = [
            start_s + round(FRAMES_PER_S * (end_s - start_s) * i / count) / FRAMES_PER_S
            for i in range(count + 1)
        ]
        return _numbered(row, pairwise(times))

    def _as_track(self, rows: Iterable[ClipRow]) -> MouthTrack:
        """Sort the rows of a face, and add those of the stretches between them in which it was out of sight."""
        in_order = sorted(rows, key=lambda row: row.start_s or 0.0)
        if all(row.start_s is None for row in in_order):
            between: list[ClipRow] = []
        else:
            edges = [
                0.0,
                *(t for row in in_order for t in (row.start_s or 0.0, row.end_s or 0.0)),
                self._duration_s,
            ]
            pairs = zip(edges[::2], edges[1::2], strict=True)
            between = [
                ClipRow("", self.path.name, a, b, status="rejected", reason="face_lost")
                for a, b in pairs
                if b - a > _SAID_S
            ]
        clips = tuple(row for row in in_order if row.status == "ok")
        rejected = sorted(
            [*between, *(row for row in in_order if row.status != "ok")], key=lambda row: row.start_s or 0.0
        )
        return MouthTrack(self._folder, clips, tuple(rejected))


def _numbered(row: ClipRow, spans: Iterable[tuple[float, float]]) -> list[Segment]:
    return [Segment(f"{row.id}-{i:05d}", start_s, end_s) for i, (start_s, end_s) in enumerate(spans)]
