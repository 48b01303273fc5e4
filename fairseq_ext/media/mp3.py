"""Read MP3 and MP2 frame by frame: their length and where they break off are known before anything is decoded.

Most encoders put an index ("Xing" or "Info") into a first, silent frame. Without it the length is stated nowhere, and
libraries guess it from the bit rate of the first frame: wrongly, when the bit rate varies. libsndfile's decoder
(mpg123) takes two thirds of the time of FFmpeg's (0.75 and 1.15 ms per second of audio at 48 kHz), but writes to
standard error, and redirecting that would lose what other threads write. Layout of frames: ISO 11172-3, 2.4.1.3 and
2.4.2.3, and for the lower rates ISO 13818-3 and "MPEG 2.5".
"""

import mmap
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .channels import MixedReader
from .chunks import MAGICS
from .integrity import AudioError, broken_off, cut_off

_KBIT_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_1_LAYER_2 = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_KBIT_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44100, 48000, 32000)  # in MPEG 1; halved in MPEG 2, and again in 2.5
_DIVISORS = {3: 1, 2: 2, 0: 4}  # bits of the version -> divisor of the rate; 1 is reserved
_INDEX_AT = (13, 21, 36)  # bytes from a frame's start, by channels and version
_JUNK_BEFORE = 1 << 16  # bytes searched for the first frame
_LARGEST_FRAME = 1729  # bytes: 384 kbit/s at 32 kHz, layer II
# Some encoders count the silent frame or tags at the end, some do not.
_INDEX_SLACK = 2 * 1441
# Frames decoded and dropped before a stretch: the bit reservoir reaches back 511 bytes (ISO 11172-3), 14 frames of 576
# samples at the lowest rate.
_PRE_ROLL = 16
_FRAMES_AT_ONCE = 1024
_DECODER_DELAY = 529  # samples by which a decoder of layer III is late, as LAME's index counts them

Bytes = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class _Frame:
    """Content of a frame header."""

    layer: int
    divisor: int  # of the sample rate
    rate_hz: int
    num_bytes: int
    num_channels: int

    @property
    def num_samples(self) -> int:
        return 576 if self.layer == 3 and self.divisor > 1 else 1152


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where the frames begin and end, (2, F), up to the end or the first break, and a description of the break."""

    frames: NDArray[np.int64]
    problem: str


def tag_end(data: Bytes, position: int) -> int:
    """Return the end of a tag (title, cover) of the types ID3v2, ID3v1 or APE at a position.

    It may lie beyond the data; it is `position` when there is no tag.
    """
    head = data[position : position + 32]
    if head.startswith(b"ID3") and len(head) >= 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return position + 10 + size
    if head.startswith(b"TAG"):
        return position + 128
    if head.startswith(b"APETAGEX") and len(head) == 32:  # its size counts the items and the footer
        return position + 32 + int(struct.unpack_from("<I", head, 12)[0])
    return position


def _behind_tags(data: Bytes, position: int) -> int:
    while (after := tag_end(data, position)) != position:
        position = after
    return position


def starts_as_mp3(path: Path) -> bool:
    """Return whether a file begins with a frame, or a tag and a frame; junk before it may be in a file of that name."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        by_name = path.suffix.lower() in {".mp2", ".mp3", ".mpga"}
        # Quiet samples of 16 bits are full of 0xFFFB.
        is_other = data[:4] in MAGICS | {b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3"} or data[4:8] == b"ftyp"
        junk = _JUNK_BEFORE if by_name and not is_other else 1
        return _first_frame(data, junk) is not None


class Mp3Reader(MixedReader):
    """A reader of MPEG audio of layers II and III."""

    is_float = False

    def __init__(self, path: Path) -> None:
        self._path = path
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._open()
        except AudioError:
            self._data.close()
            raise

    def _open(self) -> None:
        start = _first_frame(self._data, _JUNK_BEFORE)
        assert start is not None, "starts_as_mp3 found it"
        first = _frame(self._data, start)
        assert first is not None
        index = _index(self._data, start)
        if index is not None and index.num_bytes:
            _check_stated(self._path, self._data, start, index.num_bytes)
        walk = _walk(self._data, start)
        if walk.problem:
            raise broken_off(self._path, walk.problem)
        num_frames = walk.frames.shape[1]
        if index is not None and num_frames < index.num_frames:
            found = f"{num_frames} frames of {index.num_frames}"
            raise broken_off(self._path, f"{found} that its first one states; it was cut off")
        self._frames = walk.frames[:, int(index is not None) :]
        self._first = first
        self._delay = 0 if index is None else index.delay
        self.sample_rate_hz, self.num_channels = first.rate_hz, first.num_channels
        padding = 0 if index is None else index.padding
        self.num_samples = max(0, self._frames.shape[1] * first.num_samples - self._delay - padding)
        self.notes = {}

    def blocks(self, start: int, end: int) -> Iterator[NDArray[np.float32]]:
        size = self._first.num_samples
        first = max(0, (start + self._delay) // size - _PRE_ROLL)
        last = -(-(end + self._delay) // size)
        decoder: Any = av.CodecContext.create(f"mp{self._first.layer}float", "r")
        for begin in range(first, last, _FRAMES_AT_ONCE):
            frames = self._frames[:, begin : min(begin + _FRAMES_AT_ONCE, last)].T.tolist()
            block = np.zeros((self.num_channels, len(frames) * size), np.float32)
            for index, (at, behind) in enumerate(frames):
                position = (begin + index) * size - self._delay
                try:
                    (decoded,) = decoder.decode(av.Packet(self._data[at:behind]))
                except (av.error.FFmpegError, ValueError) as error:
                    if position < start:
                        continue  # what it refers to may lie before the first frame that is decoded
                    at_s = max(0, position) / self.sample_rate_hz
                    raise broken_off(self._path, f"a damaged frame at {at_s:.2f} s") from error
                for channel, plane in zip(block, decoded.planes, strict=False):
                    channel[index * size :][:size] = np.frombuffer(plane, np.float32, size)
            position = begin * size - self._delay
            yield block[:, max(0, start - position) : end - position]
            _let_go(self._data)

    def __exit__(self, *exception: object) -> None:
        self._data.close()


def _frame(data: Bytes, position: int) -> _Frame | None:
    return _parsed(data[position : position + 4])


@lru_cache(maxsize=4096)  # a file has a few different ones
def _parsed(head: bytes) -> _Frame | None:
    """Read the 4 bytes of a header: 11 set bits, version, layer, then rates, padding and channels."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 not in {0xE2, 0xE4}:
        return None
    layer = 4 - (head[1] >> 1 & 3)
    divisor = _DIVISORS.get(head[1] >> 3 & 3)
    kbit, rate = head[2] >> 4, head[2] >> 2 & 3
    if divisor is None or not 0 < kbit < 15 or rate == 3:
        return None
    rate_hz = _RATES_HZ[rate] // divisor
    kbits = _KBIT_2 if divisor > 1 else _KBIT_1 if layer == 3 else _KBIT_1_LAYER_2
    num_bytes = (72 if divisor > 1 and layer == 3 else 144) * 1000 * kbits[kbit - 1] // rate_hz
    return _Frame(layer, divisor, rate_hz, num_bytes + (head[2] >> 1 & 1), 1 if head[3] >> 6 == 3 else 2)


def _first_frame(data: Bytes, junk: int) -> int | None:
    """Find the first header in `junk` bytes that is followed by another one, or the end, at the right distance."""
    position = _behind_tags(data, 0)
    last, start = min(position + junk, len(data) - 3), position - 1
    while (start := data.find(b"\xff", start + 1, last)) >= 0:
        frame = _frame(data, start)
        if frame is not None:
            after = start + frame.num_bytes
            if after == len(data) or _like(frame, _frame(data, after)):
                return start
    return None


def _like(first: _Frame, other: _Frame | None) -> bool:
    return other is not None and (
        (other.layer, other.divisor, other.rate_hz) == (first.layer, first.divisor, first.rate_hz)
    )


@dataclass(frozen=True, slots=True)
class _Index:
    """What the first frame states; 0 for what it does not."""

    num_bytes: int
    num_frames: int
    delay: int
    padding: int


def _index(data: Bytes, start: int) -> _Index | None:
    """Read the index. Flags: 1 = number of frames stated, 2 = bytes, 4 = 100 bytes of times, 8 = quality.

    LAME's part, which FFmpeg writes too, has 12 bits of delay and 12 of padding behind 21 bytes.
    """
    for at in _INDEX_AT:
        head = data[start + at : start + at + 160]
        if head[:4] not in {b"Xing", b"Info"} or len(head) < 16:
            continue
        flags, num_frames, num_bytes = struct.unpack(">III", head[4:16])
        own = 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
        lame = head[own : own + 24]
        delay = padding = 0
        if len(lame) == 24 and lame[:4] in {b"LAME", b"Lavc", b"Lavf"}:
            both = int.from_bytes(lame[21:24], "big")
            delay, padding = (both >> 12) + _DECODER_DELAY, max(0, (both & 0xFFF) - _DECODER_DELAY)
        both_stated = flags & 3 == 3
        return _Index(num_bytes * both_stated, num_frames * both_stated, delay, padding)
    return None


def _check_stated(path: Path, data: Bytes, start: int, stated: int) -> None:
    found = len(data) - start
    if found < stated - _INDEX_SLACK:
        raise cut_off(path, f"{stated} bytes of audio by its first frame", f"{found}")
    position = _behind_tags(data, start + stated)
    if position + _INDEX_SLACK < len(data) and _frame(data, position) is not None:
        raise AudioError(
            f"{path}: more audio follows the {stated} bytes that its first frame states, as in recordings that were "
            "joined; convert it with ffmpeg or leave it out"
        )


def _walk(data: Bytes, start: int) -> _Walk:
    first = _frame(data, start)
    assert first is not None  # `_first_frame` found it
    position, starts, ends = start, array("q"), array("q")
    problem = ""
    while True:
        frame = _frame(data, position)
        if frame is None or not _like(first, frame):
            if (after := tag_end(data, position)) == position:
                break
            position = after
            continue
        if position + frame.num_bytes > len(data):
            problem = "cut off after {at_s:.2f} s, in the middle of a frame"
            break
        starts.append(position)
        position += frame.num_bytes
        ends.append(position)
        if not len(ends) % _FRAMES_AT_ONCE:
            _let_go(data)
    rest = len(data) - position
    if not problem and rest >= _LARGEST_FRAME:  # less is padding
        problem = f"a break after {{at_s:.2f}} s, {rest} bytes before its end"
    at_s = len(ends) * first.num_samples / first.rate_hz
    return _Walk(np.array([starts, ends], np.int64), problem.format(at_s=at_s))


def _let_go(data: Bytes) -> None:
    """Let the system take back the memory of a mapped file, which else counts as that of the process."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        data.madvise(mmap.MADV_DONTNEED)
