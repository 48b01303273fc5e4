"""Walk the frames of an MP3 file without decoding them, to find its length and where it breaks off.

Most encoders put an index ("Xing" or "Info") into a first, silent frame. Without it the length is stated nowhere, and
decoders guess it from the bit rate of the first frame: wrongly, when the bit rate varies. Layout of frames: ISO
11172-3, 2.4.1.3 and 2.4.2.3, and for the lower rates ISO 13818-3 and "MPEG 2.5".
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from .integrity import AudioError, broken_off

_KBIT_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44100, 48000, 32000)  # in MPEG 1; halved in MPEG 2, and again in 2.5
_DIVISORS = {3: 1, 2: 2, 0: 4}  # bits of the version -> divisor of the rate; 1 is reserved
_INDEX_AT = (13, 21, 36)  # bytes from a frame's start, by channels and version
_JUNK_BEFORE = 1 << 16  # bytes searched for the first frame
_LARGEST_FRAME = 1441  # bytes: 320 kbit/s at 32 kHz
# Some encoders count the silent frame or tags at the end, some do not.
_INDEX_SLACK = 2 * _LARGEST_FRAME

Bytes = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class _Frame:
    """Content of a frame header."""

    divisor: int  # of the sample rate
    rate_hz: int
    num_bytes: int

    @property
    def num_samples(self) -> int:
        return 1152 if self.divisor == 1 else 576


@dataclass(frozen=True, slots=True)
class _Walk:
    """Number of samples up to the end or the first break, and a description of the break."""

    num_samples: int
    problem: str


def tag_end(data: Bytes, position: int) -> int:
    """Skip a tag (title, cover) of the types ID3v2, ID3v1 or APE.

    Args:
        data: content of the file.
        position: position where a tag may begin.

    Returns:
        Position of its end, which may be beyond the data; `position` when there is no tag.
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


def unstated_length(path: Path) -> int | None:
    """Count the samples of a file that does not state its length.

    Args:
        path: path of an MP3 file.

    Returns:
        Number of samples; None for a file that states it, or that is not MP3.

    Raises:
        AudioError: when the frames break off or contradict the index.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _first_frame(data)
        if start is None:
            return None
        stated = _stated_bytes(data, start)
        if stated is not None:
            _check_stated(path, data, start, stated)
            return None
        found = _walk(data, start)
    if found.problem:
        raise broken_off(path, found.problem)
    return found.num_samples


def where_broken(path: Path) -> str:
    """Describe where the frames of a file break off.

    Args:
        path: path of an MP3 file.

    Returns:
        Description for a message; empty when the file is complete.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _first_frame(data)
        return "" if start is None else _walk(data, start).problem


def _frame(data: Bytes, position: int) -> _Frame | None:
    """Read the 4 bytes of a Layer III header: 11 set bits, version, layer, then rates and padding."""
    head = data[position : position + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    divisor = _DIVISORS.get(head[1] >> 3 & 3)
    kbit, rate = head[2] >> 4, head[2] >> 2 & 3
    if divisor is None or not 0 < kbit < 15 or rate == 3:
        return None
    rate_hz = _RATES_HZ[rate] // divisor
    bit_rate = 1000 * (_KBIT_1 if divisor == 1 else _KBIT_2)[kbit - 1]
    num_bytes = (144 if divisor == 1 else 72) * bit_rate // rate_hz + (head[2] >> 1 & 1)
    return _Frame(divisor, rate_hz, num_bytes)


def _first_frame(data: Bytes) -> int | None:
    """Find the first header that is followed by another one, or the end, at the right distance."""
    position = 0
    while (after := tag_end(data, position)) != position:
        position = after
    for start in range(position, min(position + _JUNK_BEFORE, len(data) - 3)):
        frame = _frame(data, start) if data[start] == 0xFF else None
        if frame is not None:
            after = start + frame.num_bytes
            if after == len(data) or _like(frame, _frame(data, after)):
                return start
    return None


def _like(first: _Frame, other: _Frame | None) -> bool:
    return other is not None and (other.divisor, other.rate_hz) == (first.divisor, first.rate_hz)


def _stated_bytes(data: Bytes, start: int) -> int | None:
    """Return the size in bytes stated in the index. Flags: 1 = number of frames stated, 2 = bytes stated."""
    for at in _INDEX_AT:
        head = data[start + at : start + at + 16]
        if head[:4] in {b"Xing", b"Info"} and len(head) == 16:
            flags, _, num_bytes = struct.unpack(">III", head[4:])
            return int(num_bytes) if flags & 3 == 3 and num_bytes else None
    return None


def _check_stated(path: Path, data: Bytes, start: int, stated: int) -> None:
    found = len(data) - start
    if found < stated - _INDEX_SLACK:
        raise AudioError(
            f"{path}: expected {stated} bytes of audio by its first frame, found {found}; the file was cut off: copy "
            "it again or leave it out"
        )
    position = start + stated
    while (after := tag_end(data, position)) != position:
        position = after
    if position + _INDEX_SLACK < len(data) and _frame(data, position) is not None:
        raise AudioError(
            f"{path}: more audio follows the {stated} bytes that its first frame states, as in recordings that were "
            "joined; convert it with ffmpeg or leave it out"
        )


def _walk(data: Bytes, start: int) -> _Walk:
    first = _frame(data, start)
    assert first is not None  # `_first_frame` found it
    position, num_samples = start, 0
    while (frame := _frame(data, position)) is not None and _like(first, frame):
        if position + frame.num_bytes > len(data):
            at_s = num_samples / first.rate_hz
            return _Walk(num_samples, f"cut off after {at_s:.2f} s, in the middle of a frame")
        position += frame.num_bytes
        num_samples += first.num_samples
        while (after := tag_end(data, position)) != position:
            position = after
    rest = len(data) - position
    if rest < _LARGEST_FRAME:  # padding
        return _Walk(num_samples, "")
    at_s = num_samples / first.rate_hz
    return _Walk(num_samples, f"a break after {at_s:.2f} s, {rest} bytes before its end")
