"""Which stream of a container is used, and how it shows joined recordings: one rule for pictures and sound."""

import os
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np

SILENCE = 1e-3  # peak of a silent track, full scale = 1: dither, codecs and a muted input stay below -60 dB
# Time stamps of one recording go back by a few frames at most (B-frames, rounding). Files joined with `cat` start again
# near zero: shorter recordings than this are not told from damage.
MAX_BACK_S = 0.5


def open_container(path: str | os.PathLike[str], **options: str) -> Any:
    """Open a file with FFmpeg, whose options a playlist cannot use to reach the network."""
    local = {"protocol_whitelist": "file"}
    return av.open(os.fspath(path), metadata_errors="ignore", options=local | options)


def choose_stream(container: Any, kind: str) -> tuple[Any, str]:
    """Return the stream to read, or None, and how it was chosen, such as "audio 2 of 2, default"; "" without a choice.

    Of `kind`, "video" or "audio", the one that the file marks as default is taken, else the first; of sound the first
    that is not silent, the default one before the others. Cover pictures, and streams for which FFmpeg has no decoder,
    do not count.
    """
    streams = [s for s in getattr(container.streams, kind) if _is_usable(s)]
    if not streams:
        return None, ""
    if len(streams) == 1:
        return streams[0], ""
    default = [s for s in streams if s.disposition & av.stream.Disposition.default]
    in_order = default + [s for s in streams if s not in default]
    stream, how = in_order[0], "default" if 0 < len(default) < len(streams) else "first"
    if kind == "audio" and not _sounds(container.name, stream.index):
        others = (s for s in in_order[1:] if _sounds(container.name, s.index))
        stream, how = next(((s, f"{how} is silent") for s in others), (stream, how))
    return stream, f"{kind} {streams.index(stream) + 1} of {len(streams)}, {how}"


def _sounds(path: str, index: int) -> bool:
    """Return whether a stream of sound is not silent, in a container of its own, as reading moves on."""
    with open_container(path) as container:
        stream: Any = container.streams[index]
        floats: Any = av.AudioResampler(format="fltp")
        try:
            for packet in container.demux(stream):
                for frame in (part for whole in packet.decode() for part in floats.resample(whole)):
                    if np.abs(frame.to_ndarray()).max(initial=0.0) > SILENCE:
                        return True
        except (av.error.FFmpegError, ValueError):
            return False  # what cannot be decoded is not better than silence
    return False


def jumps_back(time_s: float, last_s: float) -> bool:
    """Return whether a time stamp is so far before the last that another recording begins."""
    return time_s < last_s - MAX_BACK_S


# Neither stream is used beyond the joint, which lies in different places of the file for picture and sound: the sound
# of one recording would come under the picture of the other.
JOINED = (
    "several recordings one after the other; join them with ffmpeg's concat demuxer, or copy each by itself"
)


def holds_second_recording(path: str | os.PathLike[str], container: Any, last_byte: int) -> bool:
    """Return whether a file that was read to its end holds another recording, which FFmpeg passes over.

    The other containers tell by their time stamps (`jumps_back`). `last_byte` is the position of the last packet.
    """
    name = container.format.name
    if name.startswith("mov"):
        return _count_boxes(Path(path), b"ftyp") > 1
    tail = container.size - last_byte
    indexed = container.size / 20 + 4096  # the index at the end of ASF is smaller
    return name in {"asf", "flv", "tta"} and tail > indexed


def _count_boxes(path: Path, name: bytes) -> int:
    """Count boxes of the top level (ISO 14496-12, 4.2: size and name, 4 bytes each, big endian)."""
    found, position, end = 0, 0, path.stat().st_size
    with open(path, "rb") as file:
        while position + 8 <= end:
            file.seek(position)
            size, box = struct.unpack(">I4s", file.read(8))
            if size == 1:  # 64 bits follow
                size = int.from_bytes(file.read(8), "big")
            found += box == name
            position = position + size if size >= 8 else end  # 0: to the end of the file
    return found


def _is_usable(stream: Any) -> bool:
    if stream.codec_context is None or stream.disposition & av.stream.Disposition.attached_pic:
        return False
    return stream.type != "audio" or bool(stream.rate)
