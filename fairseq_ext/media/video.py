"""Video and its sound, decoded in one pass in step with their time stamps; damaged packets are passed over.

Shapes: `luma` is (H, W) uint8, the picture's brightness as the decoder left it, without a copy. Points are (x, y) in
pixels of the upright picture with square pixels ("display"), pixel centres at whole numbers; `to_display` is the (2, 3)
matrix that takes luma pixels there, so that a rotated phone video or 720x576 anamorphic PAL costs nothing: the matrix
is merged into the one warp that cuts the crop. Time 0 is the start of the file.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
Span = tuple[float, float]

_PRE_ROLL_S = 0.5  # sound decoded before a span, so that a decoder with memory has settled
_MAX_DRIFT_S = 0.06  # sound further from its time stamps is put back in its place
_SEEK_OVER_S = 15.0  # decoding less than this is as quick as seeking
_INDEXED = ("mov", "matroska")  # containers whose index makes a seek exact
_AFTER_S = 5.0  # decoded after the last span, for sound that comes late in the file
_MAX_ERRORS_IN_A_ROW = 20
_SOUND_BLOCK = 4000  # samples handed over at once, where no gap comes before
_EIGHT_BIT_LUMA = frozenset({
    "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv411p", "yuv410p", "yuv440p", "yuvj440p",
    "yuva420p", "nv12", "nv21", "nv16", "gray",
})  # fmt: skip


class VideoError(ValueError):
    """A video that cannot be used; the message says which, what was expected and found, and what to do."""


class VideoMissingError(VideoError):
    """A video, or the file with its sound, that is not there."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Attributes:
        time_s: when it is shown.
        duration_s: how long, as far as the file says so.
        luma: (H, W) uint8.
        to_display: (2, 3) matrix from luma pixels to those of the upright picture.
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        full_range: whether black is 0 and white 255; else 16 and 235.
    """

    time_s: float
    duration_s: float
    luma: NDArray[np.uint8]
    to_display: NDArray[np.float64]
    width: int
    height: int
    full_range: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of sound.

    Attributes:
        start_sample: of its first sample, at 16 kHz from time 0.
        samples: (S,) int16, the mean of the channels.
    """

    start_sample: int
    samples: NDArray[np.int16]

    @property
    def time_s(self) -> float:
        """When it ends."""
        return (self.start_sample + len(self.samples)) / SAMPLE_RATE_HZ


def display_matrix(
    width: int, height: int, rotation_deg: float, pixel_aspect: float
) -> tuple[NDArray[np.float64], int, int]:
    """Return the matrix from the pixels of a stored picture to those of the upright one.

    Args:
        width: stored, in pixels.
        height: stored, in pixels.
        rotation_deg: counter-clockwise turn that makes it upright, taken to the nearest quarter.
        pixel_aspect: width of a stored pixel in heights of one.

    Returns:
        The (2, 3) matrix, and width and height of the upright picture in pixels.
    """
    wide = round(width * pixel_aspect)
    shift = (pixel_aspect - 1) / 2  # pixel centres are at whole numbers
    x, y = np.array([pixel_aspect, 0, shift]), np.array([0, 1.0, 0])
    last_x, last_y = np.array([0, 0, wide - 1.0]), np.array([0, 0, height - 1.0])
    match round(rotation_deg / 90) % 4:
        case 0:
            return np.stack([x, y]), wide, height
        case 1:
            return np.stack([y, last_x - x]), height, wide
        case 2:
            return np.stack([last_x - x, last_y - y]), wide, height
        case _:
            return np.stack([last_y - y, x]), height, wide


class MediaReader:
    """An open video, with the sound in it or in a file beside it.

    Attributes:
        has_audio: whether there is a sound stream.
        duration_s: length as the file states it; None where it does not.
        num_bad_packets: packets passed over so far.
        num_bad_audio_packets: those of them that held sound.
    """

    def __init__(self, path: str | os.PathLike[str], audio: str | os.PathLike[str] | None = None) -> None:
        """Open the files.

        Args:
            path: the video.
            audio: file with its sound; None: the video itself.

        Raises:
            VideoError: for an empty or unreadable file; one without a moving picture has `has_video` False.
            VideoMissingError: for one that is not there.
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
        """Decode what the spans need; long stretches between them are skipped where the format allows.

        Args:
            spans: (start, end) in seconds, sorted by start; the end may be infinite. Pictures between them may
                come too, sound may not.

        Yields:
            Pictures and stretches of sound, each kind in the order of time; the two kinds interleave as in the
            file, or by time where they come from two files.
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
        wanted = _Wanted(spans)
        resampler = _Resampler(start_s)
        skipper = _Skipper(container, streams[0], start_s, wanted)
        last_s = -math.inf
        skipper.skip(0.0)
        for packet in self._packets(container, streams, skipper):
            is_sound = packet.stream.type == "audio"
            if is_sound and not wanted.holds_packet(packet, start_s):
                continue
            for frame in self._frames_of(packet):
                if is_sound:
                    yield from resampler.convert(frame)
                    continue
                picture = _picture(frame, packet.stream, start_s, last_s)
                if picture is None:  # a time stamp that runs backwards
                    self.num_bad_packets += 1
                elif skipper.overshot(picture.time_s):
                    break
                else:
                    last_s = picture.time_s
                    yield picture
                    skipper.skip(last_s)
            if last_s > wanted.end_s + _AFTER_S:
                break
        yield from resampler.flush()

    def _packets(self, container: Any, streams: list[Any], skipper: "_Skipper") -> Iterator[Any]:
        """Go on after a packet that cannot be read, and from the new place after a seek."""
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


class _Wanted:
    """The stretches of time that some span needs, with their pre-roll, merged."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted(spans):
            if self._ends and start - _PRE_ROLL_S <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end + _PRE_ROLL_S)
            else:
                self._starts.append(start - _PRE_ROLL_S)
                self._ends.append(end + _PRE_ROLL_S)

    def holds(self, time_s: float) -> bool:
        index = bisect_right(self._starts, time_s) - 1
        return index >= 0 and time_s <= self._ends[index]

    def holds_packet(self, packet: Any, start_s: float) -> bool:
        """Whether it is needed; the last one has no time stamp and empties the decoder."""
        return packet.pts is None or self.holds(float(packet.pts * packet.time_base) - start_s)

    def next_start(self, time_s: float) -> float:
        """The start of the stretch that holds `time_s` or is the next; infinite behind the last."""
        index = bisect_right(self._ends, time_s)
        return self._starts[index] if index < len(self._starts) else math.inf

    @property
    def end_s(self) -> float:
        """Where the last one ends."""
        return max(self._ends, default=0.0)


class _Skipper:
    """Seek over what no span needs."""

    def __init__(self, container: Any, stream: Any, start_s: float, wanted: _Wanted) -> None:
        self._container, self._stream, self._start_s = container, stream, start_s
        self._exact = container.format.name.startswith(_INDEXED)
        self._wanted = wanted
        self._target_s: float | None = None  # of the last seek, until a picture from before it has come
        self._margin_s = 0.0
        self._sought = False

    def skip(self, time_s: float) -> None:
        """Seek to the next stretch when that is far ahead."""
        start_s = self._wanted.next_start(time_s)
        if self._exact and _SEEK_OVER_S < start_s - time_s < math.inf:
            self._target_s, self._margin_s = start_s, 0.0
            self._seek()

    def overshot(self, time_s: float) -> bool:
        """Whether the first picture after a seek came from behind the target; then seeks further back."""
        if self._target_s is None:
            return False
        if time_s <= self._target_s or self._margin_s > self._target_s:
            self._target_s = None
            return False
        self._margin_s = 2 * self._margin_s + 5
        self._seek()
        return True

    def take_seek(self) -> bool:
        """Whether there was a seek since the last call."""
        sought, self._sought = self._sought, False
        return sought

    def _seek(self) -> None:
        assert self._target_s is not None
        target_s = max(0.0, self._target_s - self._margin_s) + self._start_s
        self._container.seek(int(target_s / self._stream.time_base), stream=self._stream)
        self._sought = True


class _Resampler:
    """Sound to 16 kHz mono, put where its time stamps say."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._format: tuple[Any, ...] | None = None
        self._resampler: Any = None
        self._position = 0  # of the first sample in `_pieces`
        self._pieces: list[NDArray[np.int16]] = []
        self._num_samples = 0  # in them
        self._next_s: float | None = None  # where the next frame should start

    def convert(self, frame: Any) -> Iterator[Sound]:
        time_s = self._next_s if frame.time is None else frame.time - self._start_s
        time_s = 0.0 if time_s is None else time_s
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._format or self._next_s is None or abs(time_s - self._next_s) > _MAX_DRIFT_S:
            yield from self.flush()
            self._format = kind
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            self._position = round(time_s * SAMPLE_RATE_HZ)
            self._next_s = time_s
        assert self._next_s is not None
        self._next_s += frame.samples / frame.sample_rate  # counted, not stamped: stamps may be rounded
        frame.pts = None
        yield from self._out(frame)

    def flush(self) -> Iterator[Sound]:
        if self._resampler is not None:
            yield from self._out(None)
        self._resampler = None

    def _out(self, frame: Any) -> Iterator[Sound]:
        for converted in self._resampler.resample(frame):
            samples = converted.to_ndarray().reshape(-1)
            self._pieces.append(samples)
            self._num_samples += len(samples)
        if self._num_samples and (frame is None or self._num_samples >= _SOUND_BLOCK):
            yield Sound(self._position, np.concatenate(self._pieces))
            self._position += self._num_samples
            self._pieces, self._num_samples = [], 0


def _open(path: Path) -> Any:
    if not path.is_file():
        raise VideoMissingError(f"{path}: a file expected, found none; check the root and the list")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: a video expected, found an empty file; copy it again or leave it out")
    try:
        options = {"partition_whitelist": "file"}  # a playlist must not reach the network
        return av.open(str(path), metadata_errors="ignore", options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: a video expected, found what FFmpeg cannot read ({error}); copy it again or leave it out"
        ) from error


def _moving_picture(container: Any) -> Any:
    for stream in container.streams.video:
        cover = stream.disposition & av.stream.Disposition.attached_pic  # of an album
        if not cover and stream.codec_context is not None:
            stream.codec_context.thread_count = 1  # one process per core is quicker than threads
            return stream
    return None


def _first_audio(container: Any) -> Any:
    return next((s for s in container.streams.audio if s.codec_context is not None and s.rate), None)


def _picture(frame: Any, stream: Any, start_s: float, last_s: float) -> Picture | None:
    """Take the brightness of a frame; None when it is not later than the last."""
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    if frame.time is None:
        time_s = 0.0 if math.isinf(last_s) else last_s + 1 / rate
    else:
        time_s = frame.time - start_s
    if time_s <= last_s:
        return None
    luma, full_range = _luma(frame)
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    to_display, width, height = display_matrix(frame.width, frame.height, frame.rotation, aspect)
    return Picture(time_s, 1 / rate, luma, to_display, width, height, full_range)


def _luma(frame: Any) -> tuple[NDArray[np.uint8], bool]:
    """Return the Y plane where the format has one of 8 bits; others are converted to full-range grey."""
    if frame.format.name not in _EIGHT_BIT_LUMA:
        grey = frame.reformat(format="gray")
        return _plane(grey), True
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj") or frame.format.name == "gray"
    return _plane(frame), bool(full)


def _plane(frame: Any) -> NDArray[np.uint8]:
    """The rows of the first plane are padded to its line size; the padding is left out."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * frame.height].reshape(
        frame.height, plane.line_size
    )
    return rows[:, : frame.width]
