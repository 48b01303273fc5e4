"""Open audio files and read stretches of them at their own rate, with soundfile or, for other formats, PyAV.

Shapes: `(S,)` float32, one channel (`channels`). Every reader gives the same samples for a stretch as for the whole
file. Where a library's seek does not (libsndfile's Ogg, containers with coarse time stamps) the file is decoded from
its start to the end of the stretch, at some 2 ms per second of audio.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..file_errors import explain
from .channels import MixedReader
from .containers import ContainerReader
from .integrity import AudioError, broken_off, check_seconds, states_length
from .mp3 import Mp3Reader, starts_as_mp3

Samples = NDArray[np.float32]

_MPEG = frozenset({b"ID", *(bytes([0xFF, second]) for second in range(0xE0, 0x100))})  # tags, frames
_BLOCK = 1 << 20  # samples decoded at once
_MAX_SAMPLES = 1 << 48  # libsndfile's length of FLAC that states none is larger
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000  # what recorders use; a damaged header may state anything


class Reader(Protocol):
    """An open audio file."""

    sample_rate_hz: int
    num_channels: int
    is_float: bool
    """Whether the samples are stored as floating-point numbers, so that their scale is the writer's choice."""
    notes: dict[str, Any]
    """What was chosen or filled in by `read`: a key of `convert.NOTES`, and how much."""

    @property
    def num_samples(self) -> int | None:
        """Length in samples; None until decoding to the end has shown it."""
        ...

    def count(self) -> int:
        """Return the length in samples, by decoding to the end where it is not known; nothing is kept."""
        ...

    def read(self, start: int, stop: int | None) -> Samples:
        """Read samples `start` to `stop` (None: the end), fewer where the file ends before."""
        ...

    def pieces(self) -> Iterator[Samples]:
        """Yield the whole, (S,) samples at a time; `num_samples` and `notes` are known after the last."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_audio(path: str | os.PathLike[str]) -> Reader:
    """Open a file with the library that reads its format, as a reader to be used in a `with` block.

    Raises:
        AudioError: for a missing, empty, cut-off or unreadable file, and for several recordings in one.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise AudioError(f"{path}: this is a folder, not an audio file; name the files in it")
        if not path.is_file():
            raise AudioError(
                f"{path}: no such audio file; check the path, or the root of a manifest that names it"
            )
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty; copy it again or leave it out")
        reader = _open(path)
    except OSError as error:
        raise AudioError(explain(error, path, "an audio file", to="read")) from error
    if not MIN_RATE_HZ <= reader.sample_rate_hz <= MAX_RATE_HZ:
        reader.__exit__(None, None, None)
        raise AudioError(
            f"{path}: expected a sample rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, "
            f"found {reader.sample_rate_hz} Hz; its header is damaged: copy it again or leave it out"
        )
    return reader


def _open(path: Path) -> Reader:
    if not states_length(path):
        return ContainerReader(path, ignore_length=True)
    if starts_as_mp3(path):
        return Mp3Reader(path)
    with open(path, "rb") as file:
        if file.read(2) in _MPEG:  # libsndfile would write to standard error what is wrong with it
            return ContainerReader(path)
    try:
        reader = SoundFileReader(path)
    except soundfile.LibsndfileError:
        return ContainerReader(path)
    if not reader.is_mpeg and reader.num_samples < _MAX_SAMPLES:
        return reader
    reader.__exit__()
    return ContainerReader(path)


class SoundFileReader(MixedReader):
    """A reader of wav, flac, ogg, opus and the other formats of libsndfile; not MP3, whose length it guesses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = soundfile.SoundFile(os.fsencode(path))  # file names need not be UTF-8
        self.sample_rate_hz = int(self._file.samplerate)
        self.num_channels = int(self._file.channels)
        self.num_samples = int(self._file.frames)
        self.is_float = self._file.subtype in {"FLOAT", "DOUBLE"}
        self.is_mpeg = self._file.subtype.startswith("MPEG")
        self.notes = {}
        try:
            check_seconds(path, self.num_samples / self.sample_rate_hz)
        except AudioError:
            self._file.close()
            raise

    def blocks(self, start: int, end: int) -> Iterator[Samples]:
        """Decode in blocks, since a damaged header may ask for more memory than there is.

        soundfile seeks after every read, and libsndfile's seek near the end of Ogg Opus is wrong: the last
        read takes up to two blocks, so that none ends shortly before the end.
        """
        # libsndfile's seek in Ogg is not exact (its issue 885).
        position = 0 if self._file.format == "OGG" else start
        if position:
            self._file.seek(position)
        while position < end:
            wanted = end - position if end - position < 2 * _BLOCK else _BLOCK
            try:
                block: Samples = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise self._broken_off("damage behind", position) from error
            if len(block) < wanted:  # damage, even where the next read would go on: at a lost page of Ogg
                raise self._broken_off("a gap or the end at", position + len(block))
            yield block[max(0, start - position) :].T
            position += wanted

    def _broken_off(self, what: str, position: int) -> AudioError:
        at_s, total_s = position / self.sample_rate_hz, self.num_samples / self.sample_rate_hz
        return broken_off(self._path, f"{what} {at_s:.2f} of {total_s:.2f} s")

    def __exit__(self, *exception: object) -> None:
        self._file.close()
