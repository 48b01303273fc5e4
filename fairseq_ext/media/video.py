"""Video and its sound, decoded in one pass in step with their time stamps; damaged packets are skipped and counted.

Time 0 is the start of the file. `picture` and `sound` hold what comes out, `seeking` skips what no span needs,
`streams` chooses among several.
"""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from .picture import Picture, PictureReader
from .seeking import NeededSpans, Skipper, Span
from .sound import Sound, SoundConverter
from .streams import JOINED, choose_stream, holds_second_recording, jumps_back, open_container

_AFTER_S = 5.0  # decoded after the last span, for sound that is stored late in the file
_MAX_ERRORS_IN_A_ROW = 20


class VideoError(ValueError):
    """A video that cannot be used; the message says which, what is wrong and what to do."""


class VideoMissingError(VideoError):
    """A missing video or sound file."""


class JoinedError(VideoError):
    """A video whose time stamps start again, since several recordings were joined without care."""


class MediaReader:
    """A reader of a video, with the sound in it or in a separate file.

    Attributes:
        tracks: which streams were chosen among several, and how; "" where there was no choice.
        duration_s: length stated in the file, s; None where it states none.
        num_bad_packets: number of packets skipped so far, those with sound included.
    """

    def __init__(self, path: str | os.PathLike[str], audio: str | os.PathLike[str] | None = None) -> None:
        """Open the video and the file with its sound; None: the video itself.

        Raises:
            VideoError: for an empty or unreadable file; for one without a video stream `has_video` is False.
            VideoMissingError: for a missing file.
        """
        self._path = Path(path)
        self._container = _open(self._path)
        self._other = _open(Path(audio)) if audio is not None else None
        self._video, video_text = choose_stream(self._container, "video")
        self._audio, audio_text = choose_stream(self._other or self._container, "audio")
        self.tracks = "; ".join(filter(None, (video_text, audio_text)))
        if self._video is not None:
            self._video.codec_context.thread_count = 1  # one process per core is faster than threads
        self._sought = False  # since the last picture that is later than those before it
        self.has_video = self._video is not None
        self.has_audio = self._audio is not None
        stated = self._container.duration
        self.duration_s: float | None = stated / av.time_base if stated else None
        self.num_bad_packets = 0
        self.num_bad_audio_packets = 0

    def events(self, spans: Sequence[Span]) -> Iterator[Picture | Sound]:
        """Decode what the spans need; long stretches between them are skipped where the format allows it.

        Spans are (start, end) in seconds, sorted by start; the end may be infinite. Pictures between them may be
        yielded too, sound is not. Each kind comes in the order of time; both interleaved as in the file, or by time
        where they come from two files.
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
        pictures = self._video and PictureReader(self._video, start_s, container.format.name)
        skipper = Skipper(container, streams[0], start_s, needed)
        last_s, last_sound_s = -math.inf, -math.inf
        skipper.skip(0.0)
        for packet in self._packets(container, streams, skipper):
            is_sound = packet.stream.type == "audio"
            if is_sound:
                last_sound_s = self._check_time(packet, last_sound_s)
                if not needed.holds_packet(packet, start_s):
                    continue
            for frame in self._frames_of(packet):
                if is_sound:
                    yield from converter.convert(frame)
                    continue
                picture = pictures.read(frame)
                if skipper.overshot(picture.time_s):
                    break
                if picture.time_s > last_s:
                    last_s, self._sought = picture.time_s, False
                    yield picture
                    skipper.skip(last_s)
                elif not self._sought:
                    if jumps_back(picture.time_s, last_s):
                        raise self._joined(last_s, picture.time_s)
                    self.num_bad_packets += 1
            if last_s > needed.end_s + _AFTER_S:
                break
        yield from converter.flush()

    def _check_time(self, packet: Any, last_s: float) -> float:
        """Return the time stamp of a packet of sound, or the last one where it has none."""
        if packet.pts is None:
            return last_s
        time_s = float(packet.pts * packet.time_base)
        if jumps_back(time_s, last_s) and not self._sought:
            raise self._joined(last_s, time_s)
        return time_s

    def _joined(self, last_s: float, time_s: float) -> JoinedError:
        return JoinedError(
            f"{self._path}: its time stamps jump back from {last_s:.2f} to {time_s:.2f} s: {JOINED}"
        )

    def _packets(self, container: Any, streams: list[Any], skipper: Skipper) -> Iterator[Any]:
        """Yield the packets, also after one that cannot be read, and from the new position after a seek."""
        errors = last_byte = 0
        while errors < _MAX_ERRORS_IN_A_ROW:
            try:
                for packet in container.demux(streams):
                    errors = 0
                    last_byte = max(last_byte, packet.pos or 0)
                    yield packet
                    if skipper.take_seek():
                        self._sought = True
                        break
                else:
                    if holds_second_recording(container.name, container, last_byte):
                        raise JoinedError(f"{container.name}: {JOINED}")
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
        return open_container(path)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: FFmpeg cannot read this video ({error}); copy it again or leave it out"
        ) from error
