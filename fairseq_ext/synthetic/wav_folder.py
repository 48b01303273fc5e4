"""Synthetic corpora of spoken recordings as wav files, 16 bit, mono, with their settings in the name."""

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..files import atomic_path
from ..leftovers import remove_leftovers
from .corpus_folder import claim, making, refuse_others
from .voices import Samples

__all__ = ["WavFolder"]

_ABOUT = (
    "This corpus is synthetic: spoken by the espeak-ng synthesiser, not by people. "
    "Results on it say nothing about real speech."
)
_HEADER_BYTES = 44
_BATCH_SIZE = 20  # a recording takes some milliseconds


@dataclass(frozen=True)
class WavFolder:
    """What the recordings of a corpus have in common.

    Attributes:
        title: title of the progress bar.
        folder: folder below the root that holds them; "" is the root.
        sample_rate_hz: their sample rate, Hz.
        version: version of the audio; a folder of an older one is not continued.
        say: name without .wav, seed -> samples, (S,) in [-1, 1]; other processes must be able to pickle it.
        pattern: glob of the names below the folder.
    """

    title: str
    folder: str
    sample_rate_hz: int
    version: int
    say: Callable[[str, int], Samples]
    pattern: str = "*"

    def write(
        self,
        root: Path,
        names: Sequence[str],
        *,
        seed: int,
        num_workers: int,
        progress: bool,
        write_tables: Callable[[], None] = lambda: None,
    ) -> int:
        """Write the recordings of some names, or those that are missing, then the tables; return how many there are.

        Args:
            root: folder of the corpus, created when missing.
            names: file names, with .wav, or paths below the folder.
            seed: random seed; a recording depends on it and its name only.
            num_workers: number of processes.
            progress: show a progress bar.
            write_tables: writes what lies beside the recordings, once all of them are there.
        """
        claim(root, _ABOUT, {"version": self.version, "seed": seed})
        place = root / self.folder
        place.mkdir(exist_ok=True)
        remove_leftovers(root)  # where earlier versions left theirs
        refuse_others(place, names, self.pattern)
        for parent in {(place / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(parent)
        is_whole = partial(self._is_whole, place)
        missing, make = [name for name in names if not is_whole(name)], partial(self._make, place, seed)
        options: dict[str, Any] = {
            "batch_size": _BATCH_SIZE,
            "num_workers": num_workers,
            "progress": progress,
        }
        with making(root, missing, make, is_there=is_whole, title=self.title, **options):
            write_tables()
        return len(names)

    def _make(self, place: Path, seed: int, name: str) -> dict[str, Any]:
        """Write a recording, which appears when it is complete."""
        samples = self.say(name.removesuffix(".wav"), seed)
        pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
        with atomic_path(place / name, durable=False) as temporary:
            soundfile.write(temporary, pcm, self.sample_rate_hz, subtype="PCM_16", format="WAV")
        return {}

    def _is_whole(self, place: Path, name: str) -> bool:
        path = place / name
        try:
            with wave.open(str(path), "rb") as clip:
                num_bytes = clip.getnframes() * clip.getsampwidth()
                size = path.stat().st_size
                return (
                    clip.getframerate() == self.sample_rate_hz
                    and size == _HEADER_BYTES + num_bytes > _HEADER_BYTES
                )
        except (OSError, EOFError, wave.Error):
            return False
