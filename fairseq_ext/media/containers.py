"""Read the sound of m4a, webm, mp4, ts, amr and the other formats of FFmpeg, on the clock of their time stamps."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from .channels import Mixer
from .clock import SampleClock
from .integrity import AudioError, broken_off, joined
from .not_audio import what_else
from .streams import choose_stream, holds_second_recording, jumps_back, open_container

# Samples decoded and dropped after a seek, until a decoder with memory has settled: AAC overlaps by a frame.
_PRE_ROLL = 16384
# The containers that state a length. Of the others FFmpeg estimates one, from the bit rate at the start, or from the
# last time stamp: raw AAC and AMR of uneven rate were off by factors of up to 20,000.
_STATES_LENGTH = (
    "aiff",
    "ape",
    "asf",
    "avi",
    "caf",
    "flac",
    "flv",
    "matroska",
    "mov",
    "ogg",
    "tta",
    "w64",
    "wav",
    "wv",
)
# FFmpeg's own decoders of AMR refuse frames of silence (discontinuous transmission).
_OTHER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}


class ContainerReader:
    """A reader of one audio stream (`streams.choose_stream`)."""

    num_samples: int | None = None

    def __init__(self, path: Path, *, ignore_length: bool = False) -> None:
        """Open a file; `ignore_length` reads a WAV file to its end, whatever its header states."""
        self._path = path
        options = {"ignore_length": "1"} if ignore_length else {}
        try:
            self._container = open_container(path, **options)
        except (av.error.FFmpegError, ValueError) as error:
            raise _not_audio(path) from error
        self._states_length = not ignore_length and self._container.format.name.startswith(_STATES_LENGTH)
        try:
            self._choose(path)
        except AudioError:
            self._container.close()
            raise

    def _choose(self, path: Path) -> None:
        if not self._container.streams.audio:
            raise AudioError(f"{path}: it has no audio stream; leave it out")
        self._stream, chosen = choose_stream(self._container, "audio")
        if self._stream is None:
            if any(stream.codec_context is None for stream in self._container.streams.audio):
                raise AudioError(f"{path}: FFmpeg has no decoder for its codec; convert it")
            raise _not_audio(path)  # FFmpeg chose the format by the name of the file alone
        self.sample_rate_hz = int(self._stream.rate)
        self.num_channels = int(self._stream.channels or 0)
        self.is_float = self._stream.codec_context.name.startswith("pcm_f")
        self.notes: dict[str, Any] = {"track": chosen} if chosen else {}
        self._decoder = self._stream.codec_context
        if name := _OTHER_DECODERS.get(self._decoder.name):
            self._decoder = av.CodecContext.create(name, "r")
            self._decoder.sample_rate, self._decoder.layout = self.sample_rate_hz, self._stream.layout.name

    def count(self) -> int:
        """Return the length in samples, by decoding to the end; nothing is kept."""
        if self.num_samples is None:
            for _ in self.pieces():
                pass
        assert self.num_samples is not None
        return self.num_samples

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """Yield the whole, (S,) samples at a time; the length is known after the last."""
        reached = 0
        for position, piece in self._pieces(0):
            reached = position + len(piece)
            yield piece
        self.num_samples = reached

    def read(self, start: int, stop: int | None) -> NDArray[np.float32]:
        pieces = [np.zeros(0, np.float32)]
        reached = 0
        for position, piece in self._pieces(start):
            reached = position + len(piece)
            first, last = max(start - position, 0), len(piece) if stop is None else max(stop - position, 0)
            pieces.append(piece[first:last])
            if stop is not None and reached >= stop:
                break
        else:
            self.num_samples = reached  # known once decoded to the end
        return np.concatenate(pieces)

    def _pieces(self, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (index of the first sample, samples), from `start` or before it to the end of the file."""
        clock, frames = self._seek(start)
        # After a seek the first second is not whole, and lies before `start`.
        position = clock.position
        mixer = Mixer(self.sample_rate_hz, position)
        for block in self._on_the_clock(clock, frames):
            for piece in mixer.add(block):
                yield position, piece
                position += len(piece)
        for piece in mixer.finish():
            yield position, piece
            position += len(piece)
        if mixer.num_chosen:
            self.notes["opposite_phase_s"] = mixer.num_chosen / self.sample_rate_hz

    def _on_the_clock(self, clock: SampleClock, frames: Iterator[Any]) -> Iterator[NDArray[np.float32]]:
        """Yield (C, S) samples, with silence where the time stamps say that nothing was recorded."""
        setup: tuple[str, str] | None = None
        converter: Any = None
        num_silent = 0
        for frame in frames:
            if setup != (setup := (frame.format.name, frame.layout.name)):
                converter = av.AudioResampler(format="fltp")
            try:
                gap = clock.gap(frame.time)
            except ValueError as error:
                raise broken_off(self._path, str(error)) from error
            num_silent += gap
            for begin in range(0, gap, self.sample_rate_hz):  # seconds: a pause may last for minutes
                size = min(self.sample_rate_hz, gap - begin)
                yield np.zeros((frame.layout.nb_channels, size), np.float32)
            frame.pts = None
            for converted in converter.resample(frame):
                block = converted.to_ndarray()
                clock.position += gap + block.shape[1]
                gap = 0
                yield block
            self.notes.update({"silence_s": num_silent / self.sample_rate_hz} if num_silent else {})

    def _seek(self, start: int) -> tuple[SampleClock, Iterator[Any]]:
        """Return a clock at a sample some way before `start`, and the frames from there on."""
        start_time = self._container.start_time
        clock = SampleClock(self.sample_rate_hz, None if start_time is None else start_time / av.time_base)
        frames = self._frames()
        first = next(frames, None)
        target = start // self.sample_rate_hz * self.sample_rate_hz - _PRE_ROLL
        if target <= 0 or first is None or first.pts is None or not self._can_seek(first, clock):
            return clock, chain([] if first is None else [first], frames)
        self._container.seek(first.pts + self._ticks(target), stream=self._stream)
        frames = self._frames(whole=False)
        reached = next(frames, None)
        if reached is None:  # sought past the end: decode all to find it
            self._container.seek(first.pts, stream=self._stream)
            return clock, self._frames()
        clock.position = int((reached.pts - first.pts) * self._stream.time_base * self.sample_rate_hz)
        return clock, chain([reached], frames)

    def _can_seek(self, first: Any, clock: SampleClock) -> bool:
        """Return whether the time stamps count samples without a gap, from the start of the file: MP4 and its kin."""
        is_indexed = self._container.format.name.startswith("mov")
        if not is_indexed or self._stream.time_base * self.sample_rate_hz != 1 or clock.gap(first.time):
            return False
        stamps = np.array([entry.timestamp for entry in self._stream.index_entries])
        return len(stamps) > 1 and len(np.unique(np.diff(stamps))) == 1

    def _frames(self, *, whole: bool = True) -> Iterator[Any]:
        """Decode packet by packet, so that a damaged packet raises instead of being skipped.

        All streams are read, since their last time stamp is what most containers state a length of.
        """
        num = last_byte = 0
        last_s, end_s = -np.inf, 0.0
        first_s: float | None = None
        for packet in self._packets():
            last_byte = max(last_byte, packet.pos or 0)
            if packet.pts is not None and packet.stream.type in {"audio", "video"}:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            for frame in self._decoded(packet):
                if frame.time is not None:
                    if jumps_back(frame.time, last_s):
                        raise joined(self._path, f"its time stamps jump back to {frame.time:.2f} s: ")
                    last_s = frame.time + frame.samples / self.sample_rate_hz
                    first_s = frame.time if first_s is None else first_s
                num += frame.samples
                yield frame
        if whole:
            self._check_end(max(num / self.sample_rate_hz, last_s - (first_s or 0.0)), end_s)
        if holds_second_recording(self._path, self._container, last_byte):
            raise joined(self._path)

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux()
        except av.error.FFmpegError as error:
            raise broken_off(self._path, f"damage ({error.strerror})") from error

    def _decoded(self, packet: Any) -> list[Any]:
        is_last = packet.dts is None and not packet.size  # it flushes the decoder
        if packet.stream is not self._stream or not (packet.size or is_last):
            return []
        try:
            frames: list[Any] = self._decoder.decode(None if is_last else packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            raise broken_off(self._path, f"damage ({error.strerror})") from error
        for frame in frames:
            if frame.sample_rate != self.sample_rate_hz:
                raise broken_off(self._path, f"a change of rate to {frame.sample_rate} Hz")
            if frame.is_corrupt:
                raise broken_off(self._path, "a damaged frame")
        return frames

    def _ticks(self, num_samples: int) -> int:
        return int(num_samples / (self._stream.time_base * self.sample_rate_hz))

    def _check_end(self, found_s: float, end_s: float) -> None:
        """Compare the length of the sound, and the end of all streams, with what the container states."""
        if not self._states_length:
            return
        stated_s, tolerance_s = None, 0.1  # encoders pad by less
        if self._stream.duration:
            stated_s = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration:
            stated_s = self._container.duration / av.time_base
            if len(self._container.streams) > 1:  # the last picture may have no duration
                found_s, tolerance_s = end_s - (self._container.start_time or 0) / av.time_base, 0.5
        if stated_s is not None and found_s < stated_s - tolerance_s:
            raise broken_off(self._path, f"only {found_s:.2f} of {stated_s:.2f} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()


def _not_audio(path: Path) -> AudioError:
    return AudioError(
        f"{path}: neither soundfile nor FFmpeg can read it ({what_else(path)}); copy it again, convert it or leave it "
        "out"
    )
