"""Walk the chunks of a file: how much audio it states, and how much there is.

libsndfile and FFmpeg read what the header states, or what is there, whichever is less, and say nothing. Layouts: WAV,
RF64 and W64 (EBU Tech 3306, Sony), AVI, AIFF (Apple, 1989), CAF (Apple), AU (Sun), SPH (NIST).
"""

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

_UNKNOWN_SIZE = 0x7FFFF000  # writers that cannot seek put 0 or a size near 2 or 4 GiB into the header
_MAX_REST = 4096  # bytes behind the audio that may be padding


@dataclass(frozen=True, slots=True)
class _Layout:
    """How chunks follow one another: name and size, content, padding."""

    first: int  # position of the first chunk
    head: struct.Struct  # name and size
    size_holds_head: bool = False
    padded_to: int = 2


_RIFF = _Layout(12, struct.Struct("<4sI"))
_LAYOUTS = {
    b"RIFF": _RIFF,
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"RIFX": _Layout(12, struct.Struct(">4sI")),
    b"FORM": _Layout(12, struct.Struct(">4sI")),
    b"caff": _Layout(8, struct.Struct(">4sQ"), padded_to=1),
    b"riff": _Layout(40, struct.Struct("<4s12xQ"), size_holds_head=True, padded_to=8),  # names are GUIDs
}
_FORMS = frozenset({b"WAVE", b"AIFF", b"AIFC", b"8SVX", b"16SV"})
_AUDIO = frozenset({b"data", b"SSND", b"BODY"})
MAGICS = frozenset({*_LAYOUTS, b".snd", b"NIST"})


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the audio of a file lies.

    Attributes:
        stated: bytes of audio that the header states; None: unknown, up to the end of the file.
        available: bytes from the start of the audio to the end of the file.
        rest: what lies behind the audio and is no chunk, its first bytes; empty for padding.
    """

    stated: int | None
    available: int
    rest: bytes = b""


def extent(file: BinaryIO) -> Extent | None:
    """Return where the audio lies in a file with one of `MAGICS`; None where it is not found."""
    total = file.seek(0, 2)
    file.seek(0)
    head = file.read(1024)
    if len(head) < 12:
        return None
    if head[:4] == b".snd":
        start, size = struct.unpack(">II", head[4:12])
        return _behind(file, start, None if size == 0xFFFFFFFF else size, total)
    if head[:4] == b"NIST":
        return _sphere(file, head, total)
    layout = _LAYOUTS[head[:4]]
    if head[8:12] == b"AVI ":
        return _avi(file, total)
    if layout.first == 12 and head[8:12] not in _FORMS:
        return None
    return _chunked(file, layout, total)


def _chunked(file: BinaryIO, layout: _Layout, total: int) -> Extent | None:
    position, long_size = layout.first, None
    while found := _chunk(file, position, layout):
        name, start, size = found
        if name == b"ds64" and len(content := file.read(16)) == 16:
            long_size = struct.unpack("<8xQ", content)[0]  # of RF64: sizes beyond 4 GiB
        elif name in _AUDIO:
            stated = _stated(size, long_size, total - start)
            return _behind(file, start, stated, total, layout)
        position = start + size + -size % layout.padded_to
    return None


def _chunk(file: BinaryIO, position: int, layout: _Layout) -> tuple[bytes, int, int] | None:
    """Return name, start and size of the content of the chunk at a position; None where there is none."""
    file.seek(min(position, 1 << 62))  # a damaged size leads anywhere
    head = file.read(layout.head.size)
    if len(head) < layout.head.size:
        return None
    name, size = layout.head.unpack(head)
    size -= layout.head.size if layout.size_holds_head else 0
    return (name, position + layout.head.size, size) if size >= 0 else None


def _stated(size: int, long_size: int | None, available: int) -> int | None:
    if long_size is not None and size == 0xFFFFFFFF:
        size = long_size
    if size < 1 << 32 <= available and long_size is None:  # only the lowest 32 bits were written
        return size + (available - size >> 32 << 32)
    unknown = _UNKNOWN_SIZE <= size < 1 << 32 and size > available
    return None if unknown or size == (1 << 64) - 1 else size


def _behind(file: BinaryIO, start: int, stated: int | None, total: int, layout: _Layout = _RIFF) -> Extent:
    """Return the extent, with what lies behind the audio unless it is further chunks, a tag or padding."""
    if stated is None or start + stated >= total:
        return Extent(stated, total - start)
    end = start + stated
    # Some writers forget to pad an odd number of bytes.
    rests = [_rest(file, at, total, layout) for at in (end + -end % layout.padded_to, end)]
    rest = min(rests, key=len)
    return Extent(None if rest and not stated else stated, total - start, rest)


def _rest(file: BinaryIO, position: int, total: int, layout: _Layout) -> bytes:
    while (found := _chunk(file, position, layout)) and re.fullmatch(rb"[\x20-\x7e]{4}", found[0]):
        end = found[1] + found[2]
        if found[0] in MAGICS or end > total:
            break
        position = end + -end % layout.padded_to
    file.seek(min(position, 1 << 62))
    rest = file.read(_MAX_REST + 1)
    is_padding = len(rest) <= _MAX_REST and (not any(rest) or len(rest) < 8 or rest[:3] in {b"TAG", b"ID3"})
    return b"" if is_padding else rest


def _avi(file: BinaryIO, total: int) -> Extent | None:
    """Walk the parts of an AVI file: beyond 1 GiB others follow the first (OpenDML 1.02)."""
    position = 0
    while (found := _chunk(file, position, _RIFF)) and found[0] == b"RIFF":
        if position and file.read(4) != b"AVIX":
            break
        if not found[2]:
            return None  # of a recorder that could not write it
        position = found[1] + found[2] + found[2] % 2
    position -= position == total + 1  # padding
    return Extent(position, total, _rest(file, position, total, _RIFF))


def _sphere(file: BinaryIO, head: bytes, total: int) -> Extent | None:
    """Read the text header of NIST: lines `name -i value`, the second line its size."""
    fields = dict(re.findall(rb"^(\w+) -i (\d+)", head, re.MULTILINE))
    size = re.match(rb"NIST_1A\s+(\d+)", head)
    names = (b"sample_count", b"sample_n_bytes", b"channel_count")
    if (
        size is None
        or (b"sample_coding -s" in head and b"shorten" in head)
        or not fields.keys() >= set(names[:2])
    ):
        return None
    count, width, channels = (int(fields.get(name, b"1")) for name in names)
    return _behind(file, int(size[1]), count * width * channels, total)
