"""Any data set with a folder per class: `<root>/<class>/**/<any name>.{wav,flac,mp3,...}`.

Speakers come from the path: a folder on the way (`<class>/<speaker>/x.wav` is level 2) or a part of the name that a
regular expression finds (`(?P<speaker>[a-z]+)_[0-9]+` finds anna in `<class>/anna_03.wav`).
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ..text.published import Report
from .labelled_corpus import Recording

LABEL_FILE = "SYNTHETIC.txt"  # says that a corpus is synthetic; no recording, and nothing to report


def read(
    root: str | os.PathLike[str],
    *,
    suffixes: Collection[str],
    speaker: str | None = None,
    group: str | None = None,
    on_problem: Report,
) -> Iterator[Recording]:
    """List the recordings of a folder per class, sorted by path.

    Args:
        root: folder of the class folders; links are followed.
        suffixes: suffixes of audio files, lower case with their dot, such as `media.media_files.SUFFIXES`.
        speaker: where the speaker is, see `part_of_path`; None: not known.
        group: where the group is, likewise.
        on_problem: receives a line for each file that is skipped.

    Raises:
        FileNotFoundError: the root is no folder.
        ValueError: a pattern is unusable.
    """
    root = Path(root)
    speaker_of = part_of_path(speaker, "speaker") if speaker else None
    group_of = part_of_path(group, "group") if group else None
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: there is no such folder; give the folder of the class folders")
    for path in files_below(root):
        problem = None
        if "/" not in path:
            problem = "it is in no class folder"
        elif Path(path).suffix.lower() not in suffixes:
            problem = f"{Path(path).suffix or 'a name without suffix'} is no audio format"
        elif speaker_of and not speaker_of(path):
            problem = f"its path has no speaker ({speaker})"
        elif group_of and not group_of(path):
            problem = f"its path has no group ({group})"
        if problem:
            on_problem(f"{root / path}: {problem}; skipped")
            continue
        yield Recording(
            where=str(root / path),
            path=path,
            label=path.split("/")[0],
            speaker=speaker_of(path) if speaker_of else "",
            group=group_of(path) if group_of else "",
        )


def files_below(root: Path) -> list[str]:
    """Return the paths of all files, relative and sorted, without hidden ones.

    Raises:
        OSError: a folder cannot be read.
    """
    found = []
    for folder, folders, names in os.walk(root, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(folder).relative_to(root)
        found += [(relative / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(path for path in found if path != LABEL_FILE)


def _refuse(error: OSError) -> None:
    raise error


def part_of_path(pattern: str, name: str) -> Callable[[str], str]:
    """Return a function that finds the speaker or group in a path relative to the root; "" where the path has none.

    Args:
        pattern: number of a folder of the path (1 is the first), or a regular expression with a group of the name.
        name: "speaker" or "group".

    Raises:
        ValueError: the expression is not valid or has no such group.
    """
    if pattern.isdigit() and int(pattern) > 0:
        level = int(pattern)
        return lambda path: (path.split("/")[:-1][level - 1 :] or [""])[0]
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--{name} {pattern!r}: {error}; correct the regular expression") from error
    if name not in expression.groupindex:
        raise ValueError(
            f"--{name} {pattern!r}: it is neither the number of a folder in the path (1 is the first) nor a regular "
            f"expression with a group (?P<{name}>...)"
        )

    def find(path: str) -> str:
        match = expression.search(path)
        return (match[name] or "") if match else ""

    return find
