"""Videos and the segments to cut from them: the input of `media.mouth`, from a corpus reader or a folder of videos."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path, PurePosixPath

from ..manifest import Utterance
from .media_files import Found, media_files

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video that becomes one clip.

    Attributes:
        id: unique id of the clip and name of its files; may contain "/".
        start_s: start in the file; None: the start of the file.
        end_s: end in the file; None: the end of the file.
        face_at: (x, y) of the face of the speaker when the segment starts, from 0 to 1 in the upright picture; None:
            unknown.
    """

    id: str
    start_s: float | None = None
    end_s: float | None = None
    face_at: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video and the clips to cut from it in one pass; paths are relative to the root of the corpus.

    Segments come in any order and may overlap. Without `audio`, the sound is in the video.
    """

    path: str
    segments: tuple[Segment, ...]
    audio: str | None = None


def check_id(clip_id: str, where: str) -> str:
    """Return an id that can name files within a folder; `where` it is from is for the message.

    Raises:
        ValueError: for an empty id, one that leaves the folder, or one with characters that a table cannot hold.
    """
    parts = clip_id.split("/")
    if (
        any(part in {"", ".", ".."} or part.startswith(".partial") for part in parts)
        or not clip_id.isprintable()
    ):
        raise ValueError(
            f"{where}: {clip_id!r} cannot be the name of a file (such as a/b_1); rename the file, or give the clip "
            "another id"
        )
    return clip_id


def videos_in(
    source: str | os.PathLike[str], on_passed_over: Callable[[Found], None] | None = None
) -> list[VideoFile]:
    """List the videos of a folder and its subfolders, sorted; each is one clip, named as by `whole_files`.

    A broken link becomes a rejected clip. `on_passed_over` receives what was passed over, with the reasons; None: its
    number is logged as a warning.

    Raises:
        ValueError: when there is no video.
    """
    found = media_files(source, pictures=True)
    if on_passed_over is not None:
        on_passed_over(found)
    elif found.passed_over:
        name, reason = found.passed_over[0]
        log.warning("%s: %d files passed over, such as %s: %s", source, len(found.passed_over), name, reason)
    return whole_files(source, found.paths)


def with_sound_beside(source: str | os.PathLike[str], video: VideoFile) -> VideoFile:
    """Return a mouth crop with `audio` set if `X.wav` is beside `X.mp4`, or `audio/X.wav` beside `video/X.mp4`."""
    sound = Path(source, video.path).with_suffix(".wav")
    parts = sound.absolute().parts
    places = [i for i, part in enumerate(parts[:-1]) if part == "video"]
    beside = [Path(*parts[:i], "audio", *parts[i + 1 :]) for i in reversed(places)]
    found = next((path for path in (sound, *beside) if path.is_file()), None)
    return video if found is None else replace(video, audio=os.path.relpath(found, source))


def whole_files(source: str | os.PathLike[str], paths: Iterable[str]) -> list[VideoFile]:
    """Make each video one clip, named after its path without the suffix, in the order of the paths without duplicates.

    Of several that differ in their suffix alone the first in sorted order gets this name; the clip of `talk.mkv` beside
    `talk.avi` is `talk_mkv`. Their number is logged as a warning.

    Raises:
        ValueError: for no path, and when none of them is a file.
    """
    wanted = list(dict.fromkeys(str(PurePosixPath(path)) for path in paths))
    if not wanted:
        raise ValueError(f"{source}: no videos found; pass the folder that holds them")
    if not any((Path(source) / path).is_file() for path in wanted):
        raise ValueError(
            f"{source}: none of the {len(wanted)} listed videos exists, such as {wanted[0]}; "
            "pass the folder that their paths start from"
        )
    ids = _clip_ids(source, wanted)
    return [VideoFile(path, (Segment(ids[path]),)) for path in wanted]


def _clip_ids(source: str | os.PathLike[str], paths: Iterable[str]) -> dict[str, str]:
    """Return the clip ids by path, whatever the order of the paths."""
    stems = {path: str(PurePosixPath(path).with_suffix("")) for path in sorted(paths)}
    first: dict[str, str] = {}
    twins = [path for path, stem in stems.items() if first.setdefault(stem, path) != path]
    taken = set(first)
    for path in twins:
        name = f"{stems[path]}_{PurePosixPath(path).suffix[1:]}"
        stems[path] = next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in taken)
        taken.add(stems[path])
    if twins:
        log.warning(
            "%s: %d videos have the same name as another except for the suffix, such as %s, whose clip is %s (drop one "
            "with --list where both show the same)",
            source, len(twins), twins[0], stems[twins[0]],
        )  # fmt: skip
    return {path: check_id(stem, f"{source}: {path}") for path, stem in stems.items()}


def from_utterances(
    utterances: Iterable[tuple[Utterance, tuple[float, float] | None]],
) -> list[VideoFile]:
    """Group utterances of videos by their file, so that every file is decoded once: sorted by path, segments by start.

    Each comes with the position of its face as in `Segment`.
    """
    files: dict[str, list[Segment]] = defaultdict(list)
    for utterance, face_at in utterances:
        files[utterance.path].append(segment_of(utterance, face_at))
    return [
        VideoFile(path, tuple(sorted(segments, key=lambda s: (s.start_s or 0.0, s.id))))
        for path, segments in sorted(files.items())
    ]


def segment_of(utterance: Utterance, face_at: tuple[float, float] | None = None) -> Segment:
    """Return the segment of an utterance; raise ValueError for an id that cannot name files."""
    return Segment(check_id(utterance.id, utterance.path), utterance.start_s, utterance.end_s, face_at)
