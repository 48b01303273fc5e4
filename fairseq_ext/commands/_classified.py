"""The loop of the commands that say something about recordings, one after another, as fast as they can."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar


class _Answer(Protocol):
    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""


_A = TypeVar("_A", bound=_Answer)


def print_each(files: Sequence[str], ask: Callable[[Path], _A], line: Callable[[str, _A], str]) -> None:
    """Print a line per recording, and at the end the speed on stderr.

    Raises:
        ValueError: some could not be classified; each is named on stderr.
    """
    from ..file_errors import FileError

    failed, audio_s, start = 0, 0.0, time.perf_counter()
    for path in files:
        try:
            found = ask(Path(path))
        except FileError as error:
            failed += 1
            print(f"skipped: {error}", file=sys.stderr)
            continue
        audio_s += found.duration_s
        print(line(path, found), flush=True)
    print_speed(audio_s, time.perf_counter() - start)
    if failed:
        raise ValueError(f"{failed} of {len(files)} recordings could not be classified; see above")


def print_speed(audio_s: float, spent_s: float) -> None:
    """Print how many seconds of audio took how many; nothing where there was no audio."""
    if audio_s:
        times = audio_s / max(spent_s, 1e-9)
        print(f"{audio_s:.1f} s of audio in {spent_s:.1f} s: {times:.1f} times real time", file=sys.stderr)
