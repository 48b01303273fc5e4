"""Converts a folder of recordings to mono FLAC at one rate: read quickly, sought exactly, checked once.

Training then meets no damaged file and no slow seek. The conversion is resumable: what is there already is
kept.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from ..files import atomic_path, atomic_write
from .audio import AudioError, load
from .readers import MAX_RATE_HZ, MIN_RATE_HZ
from .threads import one_thread

SUFFIXES = frozenset({
    ".aac", ".aif", ".aiff", ".amr", ".au", ".avi", ".caf", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3", ".mp4",
    ".mpg", ".oga", ".ogg", ".opus", ".sph", ".wav", ".webm", ".wma",
})  # fmt: skip
_CHUNK = 16  # recordings handed to a process at once


@dataclass(slots=True)
class Conversion:
    """What became of the recordings of a folder.

    Attributes:
        num_converted: written by this call.
        num_kept: there already.
        problems: (path relative to the source, why it was skipped), sorted.
    """

    num_converted: int = 0
    num_kept: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


def recordings(source: str | os.PathLike[str]) -> list[str]:
    """Lists the media files of a folder and of those below it.

    Args:
        source: the folder.

    Returns:
        Paths relative to it, sorted.
    """
    root = Path(source)
    return sorted(
        str(p.relative_to(root)) for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
    )


def convert_file(source: Path, target: Path, sample_rate_hz: int) -> None:
    """Converts one recording to 16-bit mono FLAC; louder samples than full scale are clipped.

    Args:
        source: any file that `media.audio` reads.
        target: the FLAC file; it appears when it is whole.
        sample_rate_hz: its rate.

    Raises:
        AudioError: when the recording cannot be used.
    """
    waveform = np.clip(load(source, sample_rate_hz=sample_rate_hz), -1.0, 1.0)
    with atomic_path(target) as temporary, open(temporary, "wb") as file:
        soundfile.write(file, waveform, sample_rate_hz, format="FLAC", subtype="PCM_16")


def convert_folder(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    sample_rate_hz: int,
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Converts every recording of a folder; `a/b.mp3` becomes `a/b.flac`.

    A recording that cannot be used is skipped, counted and listed in `dest/problems.tsv` (path, reason).

    Args:
        source: folder of recordings; not changed.
        dest: folder of the FLAC files, in the same tree; those that are there already are kept.
        sample_rate_hz: their rate.
        num_workers: processes.
        on_progress: called with the number of recordings done and the number of all.

    Returns:
        What was converted, kept and skipped.

    Raises:
        ValueError: for no recording, two that would get one name, a destination within the source or that is a file,
            or a rate that no recorder uses.
    """
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise ValueError(
            f"sample_rate_hz: {MIN_RATE_HZ} to {MAX_RATE_HZ} expected, found {sample_rate_hz}; 16000 is the usual one"
        )
    root, target_root = Path(source).resolve(), Path(dest).resolve()
    if target_root.is_relative_to(root):
        raise ValueError(f"{dest}: a folder outside {source} expected, found one within; choose another")
    if target_root.exists() and not target_root.is_dir():
        raise ValueError(f"{dest}: a folder to write to expected, found a file; choose another")
    targets = _targets(recordings(root), root)
    result = Conversion()
    todo = [(p, t) for p, t in targets.items() if not (target_root / t).exists()]
    result.num_kept = len(targets) - len(todo)
    jobs = [(root / p, target_root / t, sample_rate_hz) for p, t in todo]
    for done, (index, problem) in enumerate(_run(jobs, num_workers), result.num_kept + 1):
        if problem is None:
            result.num_converted += 1
        else:
            result.problems.append((todo[index][0], problem))
        if on_progress is not None:
            on_progress(done, len(targets))
    result.problems.sort()
    with atomic_write(target_root / "problems.tsv") as file:
        file.writelines(
            _as_text(f"{path}\t{' '.join(problem.split())}\n") for path, problem in result.problems
        )
    return result


def _as_text(line: str) -> str:
    """Bytes of a file's name that are not UTF-8 as escapes."""
    return os.fsencode(line).decode(errors="backslashreplace")


def _targets(paths: Iterable[str], root: Path) -> dict[str, str]:
    targets = {path: str(Path(path).with_suffix(".flac")) for path in paths}
    first: dict[str, str] = {}
    for path, target in targets.items():
        if first.setdefault(target, path) != path:
            raise ValueError(
                f"{root}: one {target} expected, found {first[target]} and {path}; rename one of them"
            )
    if not targets:
        raise ValueError(f"{root}: recordings expected, found none; pass the folder that holds them")
    return targets


def _run(jobs: list[tuple[Path, Path, int]], num_workers: int) -> Iterator[tuple[int, str | None]]:
    """Yields (index of the job, why it failed or None) in the order of the jobs."""
    if num_workers <= 1 or not jobs:
        with one_thread():
            yield from ((index, _attempt(*job)) for index, job in enumerate(jobs))
        return
    with ProcessPoolExecutor(num_workers, get_context("spawn"), initializer=_start_worker) as pool:
        # In chunks: a future for every one of millions of clips would take gigabytes.
        yield from enumerate(pool.map(_attempt, *zip(*jobs, strict=True), chunksize=_CHUNK))


def _start_worker() -> None:
    """On a clip of seconds, torch's threads cost four times what they do (200 clips, 2 busy cores).

    Torch is not imported for it, which takes seconds: a worker does so when it has to change a rate."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _attempt(source: Path, target: Path, sample_rate_hz: int) -> str | None:
    if _as_text(str(target)) != str(target):  # no manifest could hold it
        return f"{source}: a name in UTF-8 expected, found one in another encoding; rename it, as convmv does"
    try:
        convert_file(source, target, sample_rate_hz)
    except AudioError as error:
        return str(error)
    return None
