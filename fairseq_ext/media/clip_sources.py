"""Videos of the visual speech corpora and the clips to cut from them, the input of `media.mouth`."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..corpora import avspeech, mtedx, voxceleb2
from ..files import read_lines
from .clips import VideoFile, from_utterances, segment_of, videos_in, whole_files
from .media_files import Found


def find_videos(
    source: Path,
    *,
    corpus: str | None = None,
    listed: Path | None = None,
    on_passed_over: Callable[[Found], None] | None = None,
) -> tuple[Path, Iterable[VideoFile]]:
    """Return the folder that the paths start from, and the videos of a folder in any layout that can be prepared.

    Args:
        corpus: its layout: mtedx, voxceleb2, avspeech, "all" for folders of these names; None = any videos.
        listed: file with a path per line, relative to `source`, that names the videos to take; without `corpus`.
        on_passed_over: as for `videos_in`, where neither of them is given.

    Raises:
        FileNotFoundError: if "all" finds none of the corpora.
    """
    if corpus == "all":
        return source, _all_videos(source)
    if corpus:
        return Path(_MODULES[corpus].recordings_folder(source)), videos(corpus, source)
    if listed:
        return source, whole_files(source, filter(None, read_lines(listed)))
    return source, videos_in(source, on_passed_over)


def videos(
    corpus: str, root: str | os.PathLike[str], *, only: Container[str] | None = None, **options: Any
) -> Iterator[VideoFile]:
    """Yield the videos of a corpus, each once with all its segments, in one order, without opening them.

    Args:
        root: root folder of the corpus, as for its reader; paths are relative to its `recordings_folder`.
        only: ids of the clips to keep, for example those of a label list; None for all.
        **options: options of `mtedx.read`, `voxceleb2.clips` or `avspeech.clips`, such as `languages` and `on_problem`.

    Raises:
        ValueError: for an unknown corpus.
    """
    if corpus not in _SOURCES:
        raise ValueError(f"corpus: expected one of {sorted(_SOURCES)}, found {corpus!r}")
    for video in _SOURCES[corpus](root, **options):
        segments = tuple(s for s in video.segments if only is None or s.id in only)
        if segments:
            yield replace(video, segments=segments)


def _all_videos(root: str | os.PathLike[str]) -> Iterator[VideoFile]:
    """Yield the videos of `mtedx/`, `voxceleb2/` and `avspeech/` (or links) in `root`, with paths relative to it."""
    there = [name for name in _SOURCES if (Path(root) / name).is_dir()]
    if not there:
        raise FileNotFoundError(f"{root}: no folder {', '.join(_SOURCES)} in it; move or link one there")
    for name in there:
        folder = Path(root) / name
        prefix = _MODULES[name].recordings_folder(folder).relative_to(root)
        for video in videos(name, folder):
            audio = None if video.audio is None else str(prefix / video.audio)
            yield replace(video, path=str(prefix / video.path), audio=audio)


def _mtedx(root: str | os.PathLike[str], **options: Any) -> Iterator[VideoFile]:
    """Yield the talks that have a video."""
    yield from from_utterances((utterance, None) for utterance in mtedx.read(root, video=True, **options))


def _voxceleb2(root: str | os.PathLike[str], **options: Any) -> Iterator[VideoFile]:
    for utterance, sound in voxceleb2.clips(root, **options):
        yield VideoFile(utterance.path, (segment_of(utterance),), audio=sound)


def _avspeech(root: str | os.PathLike[str], **options: Any) -> Iterator[VideoFile]:
    """Yield pieces that were cut out already, then whole videos with their pieces."""
    of_whole_videos = []
    for utterance, face_at in avspeech.clips(root, **options):
        if utterance.start_s is None:
            yield VideoFile(utterance.path, (segment_of(utterance, face_at),))
        else:
            of_whole_videos.append((utterance, face_at))
    yield from from_utterances(of_whole_videos)


_MODULES = {"mtedx": mtedx, "voxceleb2": voxceleb2, "avspeech": avspeech}
_SOURCES: Mapping[str, Callable[..., Iterator[VideoFile]]] = {
    "mtedx": _mtedx,
    "voxceleb2": _voxceleb2,
    "avspeech": _avspeech,
}
