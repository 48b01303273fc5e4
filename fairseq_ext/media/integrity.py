"""Find audio files that were cut off, without decoding them.

libsndfile reads a truncated wav or ogg file without an error. Both formats state their length: a wav file in its chunk
sizes, an ogg file in the sizes of its pages and the time stamp of the last one. For MP3 see `mp3`.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from ..file_errors import FileError

_UNKNOWN_SIZE = 0x7FFFF000  # writers that cannot seek put 0 or a size near 2 or 4 GiB into the header
_OGG_HEADER = struct.Struct("<4sBBqIIIB")  # RFC 3533, section 6
_OGG_MAX_PAGE = 27 + 255 + 255 * 255
_OPUS_RATE_HZ = 48000  # rate of its time stamps, whatever that of the recording (RFC 7845, section 4)


class AudioError(FileError):
    """A media file that cannot be used; the message says which, what is wrong and what to do."""


def check_not_cut_off(path: str | os.PathLike[str], duration_s: float) -> None:
    """Raise for a wav or ogg file that is shorter than it states; other formats pass.

    Args:
        path: the file.
        duration_s: length reported by the decoder, s.

    Raises:
        AudioError: with both sizes.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            _check_wav(Path(path), file)
        elif magic == b"OggS":
            _check_ogg(Path(path), file, duration_s)


def broken_off(path: Path, found: str) -> AudioError:
    """Return the error for a file that cannot be decoded to its end."""
    return AudioError(f"{path}: it does not decode to its end: {found}; copy it again or leave it out")


def _check_wav(path: Path, file: BinaryIO) -> None:
    """Walk the chunks to the audio data. Layout of a chunk: id (4 bytes), size (4, little endian), content, padding to
    even length."""
    total = os.fstat(file.fileno()).st_size
    position = 12
    while position + 8 <= total:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        position += 8
        if name == b"data":
            if total - position < size < _UNKNOWN_SIZE:
                raise _cut_off(path, f"{size} bytes of audio", f"{total - position}")
            return
        position += size + size % 2


def _check_ogg(path: Path, file: BinaryIO, duration_s: float) -> None:
    total = os.fstat(file.fileno()).st_size
    file.seek(max(0, total - _OGG_MAX_PAGE))
    tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) - start < _OGG_HEADER.size:
        raise _cut_off(path, "a whole page at the end", "a part of one")
    _, _, _, time_stamp, _, _, _, num_segments = _OGG_HEADER.unpack_from(tail, start)
    segments = tail[start + _OGG_HEADER.size :][:num_segments]
    if len(tail) - start < _OGG_HEADER.size + num_segments + sum(segments):
        raise _cut_off(path, "a whole page at the end", "a part of one")
    file.seek(0)
    stated_s = _ogg_seconds(file.read(200), time_stamp)
    if stated_s is not None and duration_s < stated_s - 0.02:  # libsndfile rounds down to whole packets
        raise _cut_off(path, f"{stated_s:.2f} s by its last time stamp", f"{duration_s:.2f} s")


def _ogg_seconds(head: bytes, time_stamp: int) -> float | None:
    """Return the time of the end of the last page, by the header of the codec (Vorbis I 4.2.2, RFC 7845 5.1)."""
    opus, vorbis = head.find(b"OpusHead"), head.find(b"\x01vorbis")
    if opus >= 0:
        pre_skip = int(struct.unpack_from("<H", head, opus + 10)[0])
        return (time_stamp - pre_skip) / _OPUS_RATE_HZ
    if vorbis >= 0:
        return time_stamp / int(struct.unpack_from("<I", head, vorbis + 12)[0])
    return None


def _cut_off(path: Path, expected: str, found: str) -> AudioError:
    return AudioError(
        f"{path}: expected {expected}, found {found}; the file was cut off: copy it again or leave it out"
    )
