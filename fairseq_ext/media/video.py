"""Video and its sound, decoded in one pass in step with their time stamps; damaged packets are skipped and counted.

Time 0 is the start of the file. `picture` and `sound` hold what comes out, `seeking` skips what no span needs.
"""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from ..file_errors import FileError
from .picture import Picture, to_picture
from .seeking import NeededSpans, Skipper, Span
from .sound import Sound, SoundConverter

_AFTER_S = 5.0  # decoded after the last span, for sound that is stored late in the file
_MAX_ERRORS_IN_A_ROW = 20


class VideoError(FileError):
    """A video that cannot be used; the message says which, what is wrong and what to do."""


class VideoMissingError(VideoError):
    """A missing video or sound file."""


class MediaReader:
    """A reader of a video, with the sound in it or in a separate file.

    Attributes:
        has_audio: whether there is a sound stream.
        duration_s: length stated in the file, s; None where it states none.
        num_bad_packets: number of packets skipped so far.
        num_bad_audio_packets: number of those with sound.
    """

    def __init__(self, path: str | os.PathLike[str], audio: str | os.PathLike[str] | None = None) -> None:
        """Open the files.

        Args:
            path: path of the video.
            audio: path of the file with its sound; None: the video itself.

        Raises:
            VideoError: for an empty or unreadable file; for one without a video stream `has_video` is False.
            VideoMissingError: for a missing file.
        """
        self._path = Path(path)
        self._container = _open(self._path)
        self._other = _open(Path(audio)) if audio is not None else None
        self._video = _moving_picture(self._container)
        self._audio = _first_audio(self._other or self._container)
        self.has_video = self._video is not None
        self.has_audio = self._audio is not None
        stated = self._container.duration
        self.duration_s: float | None = stated / av.time_base if stated else None
        self.num_bad_packets = 0
        self.num_bad_audio_packets = 0

    def events(self, spans: Sequence[Span]) -> Iterator[Picture | Sound]:
        """Decode what the spans need; long stretches between them are skipped where the format allows it.

        Args:
            spans: (start, end) in seconds, sorted by start; the end may be infinite. Pictures between them may
                be yielded too, sound is not.

        Yields:
            Pictures and stretches of sound, each in the order of time; interleaved as in the file, or by time where
            they come from two files.
        """
        if self._other is None:
            streams = [s for s in (self._video, self._audio) if s is not None]
            yield from self._decode(self._container, streams, spans)
            return
        sounds = self._decode(self._other, [self._audio], spans) if self._audio is not None else iter(())
        sound = next(sounds, None)
        for picture in self._decode(self._container, [self._video], spans):
            while sound is not None and sound.time_s <= picture.time_s:
                yield sound
                sound = next(sounds, None)
            yield picture
        while sound is not None:
            yield sound
            sound = next(sounds, None)

    def _decode(self, container: Any, streams: list[Any], spans: Sequence[Span]) -> Iterator[Picture | Sound]:
        start_s = (container.start_time or 0) / av.time_base
        needed = NeededSpans(spans)
        converter = SoundConverter(start_s)
        skipper = Skipper(container, streams[0], start_s, needed)
        last_s = -math.inf
        skipper.skip(0.0)
        for packet in self._packets(container, streams, skipper):
            is_sound = packet.stream.type == "audio"
            if is_sound and not needed.holds_packet(packet, start_s):
                continue
            for frame in self._frames_of(packet):
                if is_sound:
                    yield from converter.convert(frame)
                    continue
                picture = to_picture(frame, packet.stream, start_s, last_s)
                if picture is None:  # its time stamp is not later than the last
                    self.num_bad_packets += 1
                elif skipper.overshot(picture.time_s):
                    break
                else:
                    last_s = picture.time_s
                    yield picture
                    skipper.skip(last_s)
            if last_s > needed.end_s + _AFTER_S:
                break
        yield from converter.flush()

    def _packets(self, container: Any, streams: list[Any], skipper: Skipper) -> Iterator[Any]:
        """Yield the packets, also after one that cannot be read, and from the new position after a seek."""
        errors = 0
        while errors < _MAX_ERRORS_IN_A_ROW:
            try:
                for packet in container.demux(streams):
                    errors = 0
                    yield packet
                    if skipper.take_seek():
                        break
                else:
                    return
            except av.error.FFmpegError:
                errors += 1
                self.num_bad_packets += 1

    def _frames_of(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = packet.decode()
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.num_bad_packets += 1
            self.num_bad_audio_packets += packet.stream.type == "audio"
            return []
        self.num_bad_packets += sum(bool(getattr(frame, "is_corrupt", False)) for frame in frames)
        return frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
        if self._other is not None:
            self._other.close()


def _open(path: Path) -> Any:
    if not path.is_file():
        raise VideoMissingError(f"{path}: no such file; check the root and the list")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty; copy it again or leave it out")
    try:
        options = {"partition_whitelist": "file"}  # a playlist must not reach the network
        return av.open(str(path), metadata_errors="ignore", options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: FFmpeg cannot read this video ({error}); copy it again or leave it out"
        ) from error


def _moving_picture(container: Any) -> Any:
    for stream in container.streams.video:
        cover = stream.disposition & av.stream.Disposition.attached_pic  # album art
        if not cover and stream.codec_context is not None:
            stream.codec_context.thread_count = 1  # one process per core is faster than threads
            return stream
    return None


def _first_audio(container: Any) -> Any:
    return next((s for s in container.streams.audio if s.codec_context is not None and s.rate), None)
