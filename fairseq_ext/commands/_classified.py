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


_A = TypeVar("_A", bound=_Answer, covariant=True)


class _Asked(Protocol[_A]):
    @property
    def sample_rate_hz(self) -> int:
        """Sample rate at which it listens, Hz."""

    def __call__(self, recording: Path, on_progress: Callable[[float], None]) -> _A:
        """Return the answer; report the seconds of audio as they are listened to."""


def print_each(files: Sequence[str], ask: _Asked[_A], line: Callable[[str, _A], str]) -> None:
    """Print a line per recording, on stderr what may mislead about one (`inference.doubts`), and at the end the speed.

    Raises:
        ValueError: some could not be classified; each is named on stderr.
    """
    from tqdm import tqdm

    from ..file_errors import FileError
    from ..inference.doubts import doubts
    from ..media.audio import announced_s

    failed, audio_s, start = 0, 0.0, time.perf_counter()
    # A bar of each recording that takes longer than a moment.
    with tqdm(unit="s of audio", unit_scale=True, delay=1, disable=None, leave=False) as bar:

        def heard(seconds: float) -> None:
            bar.update(seconds)

        for number, path in enumerate(files, 1):
            bar.set_description(f"{number} of {len(files)}: {path}", refresh=False)
            try:
                bar.reset(announced_s(Path(path)) or float("inf"))  # infinite = not known
                found = ask(Path(path), heard)
            except FileError as error:
                failed += 1
                tqdm.write(f"skipped: {error}", file=sys.stderr)
                continue
            audio_s += found.duration_s
            tqdm.write(line(path, found), file=sys.stdout)
            sys.stdout.flush()
            with bar.external_write_mode():
                print_doubts(path, doubts(Path(path), ask.sample_rate_hz))
    print_speed(audio_s, time.perf_counter() - start)
    if failed:
        raise ValueError(f"{failed} of {len(files)} recordings could not be classified; see above")


def print_doubts(name: str, doubts: Sequence[str]) -> None:
    """Print what may mislead about a recording on stderr."""
    for doubt in doubts:
        print(f"warning: {name}: {doubt}", file=sys.stderr)


def print_speed(audio_s: float, spent_s: float) -> None:
    """Print how many seconds of audio took how many; nothing where there was no audio."""
    if audio_s:
        times = audio_s / max(spent_s, 1e-9)
        print(f"{audio_s:.1f} s of audio in {spent_s:.1f} s: {times:.1f} times real time", file=sys.stderr)
