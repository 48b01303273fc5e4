"""Prepare the clips of a video file in one pass; the same as work for `fairseq_ext.jobs`."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import atomic_write
from ..clips import Segment, VideoFile, check_id
from ..video import JoinedError, MediaReader, VideoError, VideoMissingError
from .clip import REJECTED, Clip
from .crops import Crops, FaceCrops, MouthCrops
from .landmarker import Landmarker, import_models
from .settings import MouthSettings
from .speaker import SpeakerCrops
from .table import ClipRow, read_clips, write_clips_table
from .warp import opencv
from .writer import FOLDERS, PARTIAL

if TYPE_CHECKING:
    from ...jobs import Item, Outcome, Work

# The id of a clip and the stretches of the file that show its mouth, s.
OnSeen = Callable[[str, list[tuple[float, float]]], None]
UNLISTED = "unlisted.txt"
_START_BEFORE_S = 0.5  # the first frame may come from before the segment


def prepare_file(
    root: str | os.PathLike[str],
    video: VideoFile,
    out: str | os.PathLike[str],
    settings: MouthSettings,
    landmarker: Landmarker,
    *,
    on_seen: OnSeen | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[ClipRow]:
    """Make the clips of a video in the folder `out`: one decoding, pictures and sound together, in bounded memory.

    Args:
        root: folder that the paths of the video start from.
        video: the video and its segments.
        out: folder of the clips.
        settings: how mouths are found, cut out and judged.
        landmarker: the models.
        on_seen: receives, of each clip, its id and the stretches of the file that show the mouth, s, also where the
            clip is rejected.
        on_progress: called with the time in the file that has been reached, s.

    Returns a row per segment, in the order given; for a file that cannot be used, all have its reason.
    """
    rows: dict[str, ClipRow] = {}
    reason, detail = "no_video", "no stream of moving pictures"
    try:
        audio = None if video.audio is None else Path(root) / video.audio
        with MediaReader(Path(root) / video.path, audio) as reader:
            if reader.has_video:
                made = _rows(video, reader, out, settings, landmarker, on_seen, on_progress)
                rows.update((row.id, row) for row in made)
    except VideoError as error:
        reason, detail = _reason_of(error), str(error)
    return [rows.get(segment.id) or _rejected(video, segment, reason, detail) for segment in video.segments]


def _reason_of(error: VideoError) -> str:
    if isinstance(error, VideoMissingError):
        return "missing"
    return "joined" if isinstance(error, JoinedError) else "unreadable"


def _rejected(video: VideoFile, segment: Segment, reason: str, detail: str) -> ClipRow:
    where = segment.id, video.path, segment.start_s, segment.end_s
    return ClipRow(*where, status="rejected", reason=reason, detail=detail)


def _rows(
    video: VideoFile,
    reader: MediaReader,
    out: str | os.PathLike[str],
    settings: MouthSettings,
    landmarker: Landmarker,
    on_seen: OnSeen | None,
    on_progress: Callable[[float], None] | None,
) -> Iterator[ClipRow]:
    """Start each clip shortly before its segment; finish it when all of it has come."""

    def start(segment: Segment) -> Clip:
        return Clip(video.path, segment, out, settings, crops_of(segment), reader)

    def crops_of(segment: Segment) -> Crops:
        if settings.input == "mouth":
            return MouthCrops()
        if segment.face_at is not None:
            return FaceCrops(landmarker, settings, segment.face_at)
        return SpeakerCrops(partial(FaceCrops, landmarker, settings), settings)

    def finish(clip: Clip) -> ClipRow:
        row = clip.finish()
        if on_seen is not None:
            on_seen(row.id, clip.seen_s)
        return row

    waiting = sorted(video.segments, key=lambda s: s.start_s or 0.0)
    spans = [(s.start_s or 0.0, float("inf") if s.end_s is None else s.end_s) for s in waiting]
    active: list[Clip] = []
    try:
        for event in reader.events(spans):
            while waiting and event.time_s >= (waiting[0].start_s or 0.0) - _START_BEFORE_S:
                active.append(start(waiting.pop(0)))
            for clip in active:
                clip.add(event)
            if on_progress is not None:
                on_progress(event.time_s)
            yield from (finish(clip) for clip in active if clip.done)
            active = [clip for clip in active if not clip.done]
            if not active and not waiting:
                return
        active += map(start, waiting)
        yield from (finish(clip) for clip in active)
    finally:
        for clip in active:
            clip.close()


def items(root: str | os.PathLike[str], videos: Iterable[VideoFile]) -> Iterator["Item"]:
    """Yield an item of work per video; a changed size of its files shows that one was fixed or replaced.

    The id is that of the clip, or the path of a video with several clips.

    Raises:
        ValueError: for an id that cannot name files.
    """
    from ...jobs import Item

    for video in videos:
        for segment in video.segments:
            check_id(segment.id, video.path)
        files = [video.path] if video.audio is None else [video.path, video.audio]
        data = {**asdict(video), "num_bytes": [_num_bytes(Path(root) / path) for path in files]}
        yield Item(video.segments[0].id if len(video.segments) == 1 else video.path, data)


def _num_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


class MouthWork:
    """Work that makes the clips of one video per item; each process has its own, with its own models."""

    def __init__(self, root: str, out: str, settings: MouthSettings) -> None:
        """Set folders and settings; the models are loaded with the first video."""
        self._prepare = partial(prepare_file, root, out=out, settings=settings, landmarker=Landmarker())

    def __call__(self, item: "Item") -> dict[str, Any]:
        """Prepare a video; `clips` of the result are rows.

        Raises:
            Rejected: with the rows, when all clips of the video are rejected.
        """
        from ...jobs import Rejected

        rows = self._prepare(_video(item.data))
        result = {"clips": [row.to_json() for row in rows]}
        if all(row.status == "rejected" for row in rows):
            raise Rejected(rows[0].reason, rows[0].detail, result)
        return result


def make_work(root: str, out: str, settings: MouthSettings) -> "Work":
    """Make the work of one process, one video per item; pass `functools.partial` of this to `jobs.run`.

    Raises:
        ImportError: if OpenCV or, to find faces, MediaPipe is not installed.
    """
    from ...jobs import one_by_one

    # Here, since an error ends the run at once; inside of an item it would only reject the video.
    opencv()
    if settings.input == "face":
        import_models()
    return one_by_one(MouthWork(root, out, settings))


def _rows_of(outcomes: Iterable["Outcome"]) -> Iterator[ClipRow]:
    """Yield the rows of all videos; one that made the work fail has one, rejected as `failed`."""
    for outcome in outcomes:
        for values in outcome.result.get("clips", ()):
            yield ClipRow.from_json(values)
        if "clips" not in outcome.result:
            detail = f"{outcome.reason} {outcome.detail}".strip()
            yield ClipRow(outcome.id, outcome.id, status="rejected", reason="failed", detail=detail)


def merge(out: str | os.PathLike[str], outcomes: Iterable["Outcome"]) -> tuple[Counter[str], int]:
    """Write the tables of a finished run and remove what killed processes left.

    Files of clips that are no longer listed stay; `unlisted.txt` names them, and is gone where there are none.
    Returns clips by reason, "" for those that are ok; and the number of files that belong to no clip.
    """
    counts = write_clips_table(out, _rows_of(outcomes))
    shutil.rmtree(Path(out) / PARTIAL, ignore_errors=True)
    unlisted = _unlisted(Path(out))
    (Path(out) / UNLISTED).unlink(missing_ok=True)
    if unlisted:
        with atomic_write(Path(out) / UNLISTED) as file:
            file.writelines(f"{name}\n" for name in unlisted)
    return counts, len(unlisted)


def _unlisted(out: Path) -> list[str]:
    """Return the files of clips that the table does not list as what they are, accepted or rejected."""
    status = {row.id: row.status for row in read_clips(out, status=None)}
    found = []
    for folder, suffix in (FOLDERS | {REJECTED: ".jpg"}).items():
        expected = "rejected" if folder == REJECTED else "ok"
        for path in (out / folder).rglob(f"*{suffix}"):
            name = path.relative_to(out / folder).as_posix().removesuffix(suffix)
            if status.get(name) != expected:
                found.append(f"{folder}/{name}{suffix}")
    return sorted(found)


def _video(data: Mapping[str, Any]) -> VideoFile:
    return VideoFile(data["path"], tuple(map(_segment, data["segments"])), data["audio"])


def _segment(values: Mapping[str, Any]) -> Segment:
    at = values["face_at"]
    return Segment(**{**values, "face_at": None if at is None else (at[0], at[1])})
