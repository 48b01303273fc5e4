"""Compare the length that a file states with what is there, both ways, without decoding: cut off, or more behind it.

Libraries read a truncated file, or the first of two recordings in one file, without an error. Here are chunks
(`chunks`), the pages of Ogg, the markers of FLAC and AMR; MP3 is checked by its frames (`mp3`), what only FFmpeg reads
where it is decoded (`containers`).
"""

import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO

from ..file_errors import FileError
from . import chunks
from .streams import JOINED

_OGG_HEADER = struct.Struct("<4sBBqIIIB")  # RFC 3533, section 6
_OGG_FIRST_PAGE = b"OggS\x00\x02"  # of each stream
# What files begin with: FLAC with its marker and STREAMINFO of 34 bytes.
_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22", b"#!AMR\n", b"#!AMR-WB\n")
_WINDOW = 1 << 22  # bytes searched at once
_OPUS_RATE_HZ = 48000  # rate of its time stamps, whatever that of the recording (RFC 7845, section 4)


class AudioError(FileError):
    """A media file that cannot be used; the message says which, what is wrong and what to do."""


def states_length(path: str | os.PathLike[str]) -> bool:
    """Check the length that a file states; False: a WAV header states none, and the file is read to its end.

    Raises:
        AudioError: for a file that is shorter or longer than it states, with both sizes.
    """
    path = Path(path)
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic in chunks.MAGICS:
            return _check_chunks(path, chunks.extent(file))
        if magic == b"OggS":
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _check_ogg(path, data)
                first_behind = _end_of_first_pages(data)
            if _holds(file, (_OGG_FIRST_PAGE,), first_behind):
                raise joined(path, "it is chained Ogg: ")
        if magic in {b"fLaC", b"#!AM"} and _holds(file, _STARTS, 1):  # what is missing shows in decoding
            raise joined(path)
    return True


def broken_off(path: Path, found: str) -> AudioError:
    """Return the error for a file that cannot be decoded to its end."""
    return AudioError(f"{path}: it does not decode to its end: {found}; copy it again or leave it out")


def joined(path: Path, found: str = "") -> AudioError:
    """Return the error for a file that holds several recordings; `found` is how it shows."""
    return AudioError(f"{path}: {found}{JOINED}")


def check_seconds(path: Path, duration_s: float) -> None:
    """Raise AudioError for an Ogg file whose last page states a later time than the decoder's length, s."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stamp = _OGG_HEADER.unpack_from(data, data.rfind(b"OggS"))[3]
            stated_s = _ogg_seconds(data[:200], stamp)
    if stated_s is not None and duration_s < stated_s - 0.02:  # libsndfile rounds down to whole packets
        raise cut_off(path, f"{stated_s:.2f} s by its last time stamp", f"{duration_s:.2f} s")


def _check_chunks(path: Path, found: chunks.Extent | None) -> bool:
    if found is None or found.stated is None:
        return found is None
    if found.stated > found.available:
        raise cut_off(path, f"{found.stated} bytes of audio", f"{found.available}")
    if found.rest[:4] in chunks.MAGICS:
        raise joined(path, f"it states {found.stated} bytes of audio, and another header follows: ")
    if found.rest:
        raise AudioError(
            f"{path}: expected {found.stated} bytes of audio by its header, found {found.available}; where all of it "
            "is one recording, write the header again (sox --ignore-length), or leave it out"
        )
    return True


def _check_ogg(path: Path, data: mmap.mmap) -> None:
    start = data.rfind(b"OggS")
    if len(data) - start < _OGG_HEADER.size:
        raise cut_off(path, "a whole page at the end", "a part of one")
    num_segments = _OGG_HEADER.unpack_from(data, start)[7]
    first = start + _OGG_HEADER.size
    if len(data) - first < num_segments + sum(data[first : first + num_segments]):
        raise cut_off(path, "a whole page at the end", "a part of one")


def _end_of_first_pages(data: mmap.mmap) -> int:
    """Return where the first page of another kind begins; those of all streams come before (RFC 3533, section 4)."""
    end = len(data)
    for kind in (b"\x00", b"\x01", b"\x04"):
        if (at := data.find(b"OggS\x00" + kind, 0, end)) >= 0:
            end = at
    return end


def _holds(file: BinaryIO, patterns: tuple[bytes, ...], start: int) -> bool:
    """Return whether one of some patterns begins at `start` or behind it; a window of the file is in memory."""
    file.seek(start)
    overlap, window = max(map(len, patterns)) - 1, b""
    while block := file.read(_WINDOW):
        window = window[-overlap:] + block
        if any(pattern in window for pattern in patterns):
            return True
    return False


def _ogg_seconds(head: bytes, time_stamp: int) -> float | None:
    """Return the time of the end of the last page, by the header of the codec (Vorbis I 4.2.2, RFC 7845 5.1)."""
    opus, vorbis = head.find(b"OpusHead"), head.find(b"\x01vorbis")
    if opus >= 0:
        pre_skip = int(struct.unpack_from("<H", head, opus + 10)[0])
        return (time_stamp - pre_skip) / _OPUS_RATE_HZ
    if vorbis >= 0:
        return time_stamp / int(struct.unpack_from("<I", head, vorbis + 12)[0])
    return None


def cut_off(path: Path, expected: str, found: str) -> AudioError:
    """Return the error for a file that holds less than it states."""
    return AudioError(
        f"{path}: expected {expected}, found {found}; the file was cut off: copy it again or leave it out"
    )


def not_numbers(path: str | os.PathLike[str], num_wrong: int, num_samples: int) -> AudioError:
    """Return the error for samples that are NaN or infinite."""
    return AudioError(
        f"{path}: its samples contain NaN or infinity ({num_wrong} of {num_samples}); convert it again or leave it out"
    )
