"""Which stream of a container is used, and how far its time stamps may jump: one rule for pictures and sound."""

from typing import Any

import av

# Time stamps of one recording go back by a few frames at most (B-frames, rounding). Files joined with `cat` start again
# near zero: shorter recordings than this are not told from damage.
MAX_BACK_S = 0.5


def choose_stream(container: Any, kind: str) -> tuple[Any, str]:
    """Return the stream to read, or None, and how it was chosen among several.

    The one that the file marks as default is taken, else the first. Cover pictures, and streams for which FFmpeg has no
    decoder, do not count.

    Args:
        container: open container of PyAV.
        kind: "video" or "audio".

    Returns:
        The stream, and a text such as "audio 2 of 2, default"; "" where there is no choice.
    """
    streams = [s for s in getattr(container.streams, kind) if _is_usable(s)]
    if not streams:
        return None, ""
    default = [s for s in streams if s.disposition & av.stream.Disposition.default]
    stream = (default or streams)[0]
    how = "default" if 0 < len(default) < len(streams) else "first"
    text = f"{kind} {streams.index(stream) + 1} of {len(streams)}, {how}"
    return stream, text if len(streams) > 1 else ""


def jumps_back(time_s: float, last_s: float) -> bool:
    """Return whether a time stamp is so far before the last that another recording begins."""
    return time_s < last_s - MAX_BACK_S


def joined(last_s: float, time_s: float) -> str:
    """Return what to say of a stream whose time stamps jump back.

    Neither stream is used beyond the jump: the joints of picture and sound lie in different places of the file, so that
    the sound of one recording would come under the picture of the other.
    """
    return (
        f"its time stamps jump back from {last_s:.2f} to {time_s:.2f} s: several recordings one after the other; join "
        "them with ffmpeg's concat demuxer, or copy each by itself"
    )


def _is_usable(stream: Any) -> bool:
    if stream.codec_context is None or stream.disposition & av.stream.Disposition.attached_pic:
        return False
    return stream.type != "audio" or bool(stream.rate)
