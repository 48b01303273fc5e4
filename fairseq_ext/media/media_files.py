"""List the recordings of a folder: by their suffix where it is a usual one, else by their content.

Whatever is passed over is named with the reason, so that nothing vanishes because its suffix is on no list.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..file_errors import explain
from ..files import write_reasons

# Usual suffixes, taken without a look inside: opening a million files would take a quarter of an hour.
_SOUND = frozenset({
    ".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".sph",
    ".wav", ".wma",
})  # fmt: skip
_PICTURES = frozenset(
    {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"}
)
SUFFIXES = _SOUND | _PICTURES
_MAX_PACKETS = 100  # in which a recording has to show a frame
_STILL = ("gif", "apng", "image2", "webp", "tty")  # formats that FFmpeg shows as videos, as `*_pipe`


@dataclass(slots=True)
class Found:
    """The recordings of a folder, and (path, reason) of the other files and folders that were passed over; both sorted.

    Paths are relative to the folder; those passed over have escapes for what a table cannot hold.
    """

    paths: list[str] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)


def media_files(source: str | os.PathLike[str], *, pictures: bool = False) -> Found:
    """List the recordings of a folder and its subfolders; links are followed, hidden files passed over.

    A broken link, or a file without permission to read, with a usual suffix is listed: opening it says what is wrong.
    With `pictures` videos are wanted, not any sound; then files whose names are no text are passed over.
    """
    root, found = Path(source), Found()
    for path, problem in _below(root):
        relative = path.relative_to(root).as_posix()
        problem = problem or _why_not(path, pictures=pictures)
        if not problem and pictures and printable(relative) != relative:
            problem = "its name is not UTF-8, or holds control characters; rename it, with convmv for example"
        if problem:
            found.passed_over.append((printable(relative), problem))
        else:
            found.paths.append(relative)
    found.paths.sort()
    found.passed_over.sort()
    return found


def write_passed_over(path: Path, found: Found) -> None:
    """Write a table of what was passed over, and why."""
    write_reasons(path, found.passed_over)


def printable(path: str) -> str:
    """Return a path with escapes for what an id or a table cannot hold, such as bytes that are not UTF-8."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    spaces = len(text) - len(text.lstrip(" "))
    return r"\x20" * spaces + text[spaces:]


def _below(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file with a problem or "", and the folders that are not read, with theirs."""
    unread: list[OSError] = []
    seen: set[str] = set()  # a link may lead back to a folder above
    for folder, below, names in os.walk(root, followlinks=True, onerror=unread.append):
        if os.path.realpath(folder) in seen:
            below.clear()
            yield Path(folder), "a link to a folder that is read already"
            continue
        seen.add(os.path.realpath(folder))
        for name in [name for name in below if name.startswith(".")]:
            below.remove(name)
            yield Path(folder, name), "a hidden folder"
        below.sort()
        yield from ((Path(folder, name), "a hidden file" if name.startswith(".") else "") for name in names)
    yield from ((Path(error.filename), explain(error, to="read")) for error in unread)


def _why_not(path: Path, *, pictures: bool) -> str:
    """Return why a file is not a recording, or ""."""
    suffix = path.suffix.lower()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "no regular file"
    except OSError as error:
        return "" if suffix in SUFFIXES else explain(error, path, to="read")
    if suffix in (_PICTURES if pictures else SUFFIXES):
        return ""
    if pictures and suffix in _SOUND:
        return "a sound file, by its suffix"
    return _why_no_content(path, pictures=pictures)


def _why_no_content(path: Path, *, pictures: bool) -> str:
    """Decode a frame, since FFmpeg takes some files of other kinds for media until then."""
    import av  # slow to import, and rarely needed

    from .not_audio import is_text, what_else
    from .streams import choose_stream, open_container

    try:
        if path.stat().st_size == 0 or is_text(path):
            return what_else(path)
        with open_container(path) as container:
            stream, _ = choose_stream(container, "video" if pictures else "audio")
            kind = container.format.name
            if stream is None or kind.startswith(_STILL) or kind.endswith("_pipe"):
                return f"no {'moving pictures' if pictures else 'sound'} in it"
            for packet in islice(container.demux(stream), _MAX_PACKETS):
                with suppress(av.error.FFmpegError):  # damage is for those who read it
                    if packet.size and packet.decode():
                        return ""
    except (av.error.FFmpegError, ValueError):
        pass
    except OSError as error:
        return explain(error, path, to="read")
    return f"no recording: {what_else(path)}"
