"""Open audio files and read stretches of them at their own rate, with soundfile or, for other formats, PyAV.

Shapes: `(S,)` float32, the mean of the channels. Every reader gives the same samples for a stretch as for the
whole file. Where a library's seek does not (libsndfile's Ogg, containers with coarse time stamps) the file is
decoded from its start to the end of the stretch, at some 2 ms per second of audio.
"""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from . import mp3
from .integrity import AudioError, broken_off, check_not_cut_off
from .not_audio import what_else

Samples = NDArray[np.float32]

# Samples decoded and dropped after a seek, until a decoder with memory has settled. The bit reservoir of MP3
# reaches back 511 bytes (ISO 11172-3), 14 frames of 576 samples at the lowest rate; AAC overlaps by a frame.
_PRE_ROLL = 16384
_BLOCK = 1 << 20  # samples decoded at once
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000  # what recorders use; a damaged header may state anything


class Reader(Protocol):
    """An open audio file.

    Attributes:
        sample_rate_hz: sample rate of the file, Hz.
        num_channels: number of channels of the file.
        num_samples: length in samples, or None until decoding to the end has shown it.
    """

    sample_rate_hz: int
    num_channels: int
    num_samples: int | None

    def read(self, start: int, stop: int | None) -> Samples:
        """Read samples `start` to `stop` (None: the end), fewer where the file ends before."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_audio(path: str | os.PathLike[str]) -> Reader:
    """Open a file with the library that reads its format.

    Args:
        path: the file.

    Returns:
        A reader, to be used in a `with` block.

    Raises:
        AudioError: for a missing, empty, cut-off or unreadable file.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: this is a folder, not an audio file; name the files in it")
    if not path.is_file():
        raise AudioError(
            f"{path}: no such audio file; check the path, or the root of a manifest that names it"
        )
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty; copy it again or leave it out")
    reader = _open(path)
    if not MIN_RATE_HZ <= reader.sample_rate_hz <= MAX_RATE_HZ:
        reader.__exit__(None, None, None)
        raise AudioError(
            f"{path}: expected a sample rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, "
            f"found {reader.sample_rate_hz} Hz; its header is damaged: copy it again or leave it out"
        )
    return reader


def _open(path: Path) -> Reader:
    try:
        reader = SoundFileReader(path)
    except soundfile.LibsndfileError:
        return ContainerReader(path)
    if reader.counted is None or reader.counted == reader.num_samples:
        return reader
    reader.__exit__(None, None, None)  # libsndfile would stop before the end
    return ContainerReader(path, reader.counted)


class SoundFileReader:
    """A reader of wav, flac, ogg, opus, mp3 and the other formats of libsndfile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = soundfile.SoundFile(os.fsencode(path))  # file names need not be UTF-8
        self.sample_rate_hz = int(self._file.samplerate)
        self.num_channels = int(self._file.channels)
        self._total = int(self._file.frames)
        self._is_mp3 = self._file.subtype == "MPEG_LAYER_III"
        try:
            check_not_cut_off(path, self._total / self.sample_rate_hz)
            # Only needed where libsndfile guesses the length.
            self.counted = mp3.unstated_length(path) if self._is_mp3 else None
        except AudioError:
            self._file.close()
            raise
        if self.counted is not None:
            self._total = min(self._total, self.counted)
        self.num_samples: int | None = self._total

    def read(self, start: int, stop: int | None) -> Samples:
        end = self._total if stop is None else min(stop, self._total)
        pieces = [np.zeros(0, dtype=np.float32)]
        if start < end:
            pieces += self._pieces(start, end)
        return np.concatenate(pieces)

    def _pieces(self, start: int, end: int) -> Iterator[Samples]:
        """Decode in blocks, since a damaged header may ask for more memory than there is.

        soundfile seeks after every read, and libsndfile's seek near the end of Ogg Opus is wrong: the last
        read takes up to two blocks, so that none ends shortly before the end.
        """
        position = self._first_to_decode(start)
        if position:
            self._file.seek(position)
        while position < end:
            wanted = end - position if end - position < 2 * _BLOCK else _BLOCK
            try:
                block: Samples = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise broken_off(self._path, self._damage(position, "damage behind")) from error
            if len(block) < wanted:  # damage, even where the next read would go on: at a lost page of Ogg
                raise broken_off(self._path, self._damage(position + len(block), "a gap or the end at"))
            mono: Samples = block.mean(axis=1, dtype=np.float32) if self.num_channels > 1 else block[:, 0]
            yield mono[max(0, start - position) :]
            position += wanted

    def _damage(self, position: int, what: str) -> str:
        at_s, total_s = position / self.sample_rate_hz, self._total / self.sample_rate_hz
        return (self._is_mp3 and mp3.where_broken(self._path)) or f"{what} {at_s:.2f} of {total_s:.2f} s"

    def _first_to_decode(self, start: int) -> int:
        if self._file.format == "OGG":
            return 0  # libsndfile's seek in Ogg is not exact (its issue 885)
        return max(0, start - _PRE_ROLL) if self._file.subtype.startswith("MPEG") else start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


class ContainerReader:
    """A reader of m4a, webm, mp4 and other formats of FFmpeg; reads the first audio stream."""

    num_samples: int | None = None

    def __init__(self, path: Path, counted: int | None = None) -> None:
        """Open a file; `counted` is its number of samples where the length and times of the container are wrong."""
        self._path, self._counted = path, counted
        try:
            options = {"partition_whitelist": "file"}  # a playlist must not reach the network
            self._container: Any = av.open(str(path), metadata_errors="ignore", options=options)
        except (av.error.FFmpegError, ValueError) as error:
            raise _not_audio(path) from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{path}: it has no audio stream; leave it out")
        self._stream: Any = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise AudioError(f"{path}: FFmpeg has no decoder for its codec; convert it")
        self.sample_rate_hz = int(self._stream.rate or 0)
        if not self.sample_rate_hz:  # FFmpeg chose the format by the name of the file alone
            self._container.close()
            raise _not_audio(path)
        self.num_channels = int(self._stream.channels or 0)

    def read(self, start: int, stop: int | None) -> Samples:
        pieces: list[Samples] = []
        reached = 0
        for position, piece in self._pieces(start):
            reached = position + len(piece)
            first, last = max(start - position, 0), len(piece) if stop is None else max(stop - position, 0)
            pieces.append(piece[first:last])
            if stop is not None and reached >= stop:
                break
        else:
            self._check_duration(reached)
            self.num_samples = reached  # known once decoded to the end
        return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])

    def _pieces(self, start: int) -> Iterator[tuple[int, Samples]]:
        """Yield (index of the first sample, samples), from `start` or before it to the end of the file."""
        converter = av.AudioResampler(format="fltp")
        position, frames = self._seek(start)
        for frame in frames:
            for converted in converter.resample(frame):
                piece = converted.to_ndarray().mean(axis=0, dtype=np.float32)
                yield position, piece
                position += len(piece)

    def _seek(self, start: int) -> tuple[int, Iterator[Any]]:
        """Return the index of a sample some way before `start`, and the frames from there on."""
        frames = self._frames()
        first = next(frames, None)
        target = start - _PRE_ROLL
        if target <= 0 or first is None or first.pts is None or not self._can_seek():
            return 0, chain([] if first is None else [first], frames)
        self._container.seek(first.pts + self._ticks(target), stream=self._stream)
        frames = self._frames()
        reached = next(frames, None)
        if reached is None:  # sought past the end: decode all to find it
            self._container.seek(first.pts, stream=self._stream)
            return 0, self._frames()
        return self._index(reached) - self._index(first), chain([reached], frames)

    def _frames(self) -> Iterator[Any]:
        """Decode packet by packet, so that a damaged packet raises instead of being skipped."""
        try:
            for packet in self._container.demux(self._stream):
                for frame in packet.decode():
                    if frame.sample_rate != self.sample_rate_hz:
                        raise broken_off(self._path, f"a change of rate to {frame.sample_rate} Hz")
                    yield frame
        except av.error.FFmpegError as error:
            raise broken_off(self._path, f"damage ({error.strerror})") from error

    def _can_seek(self) -> bool:
        """Return whether a time stamp names one sample; WebM counts in milliseconds."""
        base = self._stream.time_base
        return (
            self._counted is None and base is not None and (1 / (base * self.sample_rate_hz)).denominator == 1
        )

    def _index(self, frame: Any) -> int:
        return int(frame.pts * self._stream.time_base * self.sample_rate_hz)

    def _ticks(self, num_samples: int) -> int:
        return int(num_samples / (self._stream.time_base * self.sample_rate_hz))

    def _check_duration(self, num_samples: int) -> None:
        """Compare the decoded length with the length that the file states for its audio."""
        stated_s = None
        if self._counted is not None:
            stated_s = self._counted / self.sample_rate_hz
        elif self._stream.duration:
            stated_s = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration and len(self._container.streams) == 1:
            stated_s = self._container.duration / av.time_base
        found_s = num_samples / self.sample_rate_hz
        if stated_s is not None and found_s < stated_s - 0.1:  # encoders pad by less
            raise broken_off(self._path, f"only {found_s:.2f} of {stated_s:.2f} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()


def _not_audio(path: Path) -> AudioError:
    return AudioError(
        f"{path}: neither soundfile nor FFmpeg can read it ({what_else(path)}); copy it again, convert it or leave it "
        "out"
    )
