"""The files of a clip, written while it streams by: `video/ID.mp4`, `audio/ID.wav`, `landmarks/ID.npz`.

Shapes: crops are (96, 96) uint8, black 0, white 255; sound is (S,) int16 at 16 kHz.

Until it is complete and on the disk every file is under `.partial/`, under a name that depends on the id alone: a
killed process leaves nothing elsewhere, and nothing that the next attempt does not overwrite. The same crops give the
same bytes: x264 runs in one thread and no file holds a date.
"""

import os
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ...files import flush_to_disk
from ..sound import SAMPLE_RATE_HZ, Sound
from .settings import FRAMES_PER_S, SIZE_PX

FOLDERS = {"video": ".mp4", "audio": ".wav", "landmarks": ".npz"}
PARTIAL = ".partial"
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
# The macroblock tree of x264 reads uninitialised memory when pictures are this small: with it the bytes change from
# run to run (found with MALLOC_PERTURB_ of glibc). A shorter lookahead, and none for scene cuts, costs no bytes on
# faces and saves a quarter of the time.
_X264 = {"mbtree": "0", "rc-lookahead": "5", "sc_threshold": "0"}


class GreyWriter:
    """A writer of H.264 files with grey pictures in full range (`yuvj420p`, which every player can read)."""

    def __init__(self, path: Path, crf: int) -> None:
        """Open the file."""
        self._container: Any = av.open(str(path), "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", rate=FRAMES_PER_S)
        self._stream.width = self._stream.height = SIZE_PX
        self._stream.pix_fmt = "yuvj420p"
        self._stream.codec_context.color_range = _FULL_RANGE
        self._stream.codec_context.thread_count = 1
        self._stream.options = {"preset": "veryfast", "crf": str(crf), **_X264}
        self._planes = np.full((SIZE_PX * 3 // 2, SIZE_PX), 128, np.uint8)  # Y, then U and V: no colour
        self._num_frames = 0

    def add(self, crop: NDArray[np.uint8]) -> None:
        """Append a picture."""
        self._planes[:SIZE_PX] = crop
        frame = av.VideoFrame.from_ndarray(self._planes, format="yuvj420p")
        frame.color_range = _FULL_RANGE
        frame.pts = self._num_frames
        self._num_frames += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the buffered frames and the index."""
        if self._num_frames:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class SoundWriter:
    """A writer that puts each stretch of sound in its place; what no stretch covers is silence.

    `end_sample` is the index after the last sample written, from the start of the clip; `peak` the largest absolute
    value.
    """

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self.end_sample = 0
        self.peak = 0
        self._path = path
        self._file = open(path, "w+b")  # noqa: SIM115 -- open as long as the clip

    def add(self, sound: Sound, origin_sample: int, limit: int | None) -> None:
        """Write a stretch; the clip starts at `origin_sample` of the file and has `limit` samples, None: unknown."""
        start = sound.start_sample - origin_sample
        samples = sound.samples[max(0, -start) :]
        start = max(0, start)
        if limit is not None:
            samples = samples[: max(0, limit - start)]
        if len(samples):
            self._file.seek(2 * start)
            self._file.write(samples.astype("<i2").tobytes())
            self.end_sample = max(self.end_sample, start + len(samples))
            self.peak = max(self.peak, int(samples.max()), -int(samples.min()))

    def finish(self, target: Path, num_samples: int) -> None:
        """Write the wav file and remove the temporary one; missing sound at the end is silence."""
        self._file.truncate(2 * num_samples)
        self._file.seek(0)
        with wave.open(str(target), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE_HZ)
            out.setnframes(num_samples)
            while block := self._file.read(1 << 20):
                out.writeframesraw(block)
        self.discard()

    def discard(self) -> None:
        """Remove the temporary file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class ClipFiles:
    """The files of one clip."""

    def __init__(self, out: str | os.PathLike[str], clip_id: str, crf: int) -> None:
        """Make the folders; files of an earlier attempt are overwritten."""
        self._out, self._id, self._crf = Path(out), clip_id, crf
        self._partial = self._out / PARTIAL / clip_id
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        for folder, suffix in FOLDERS.items():  # left by an attempt with other settings
            (self._out / folder / f"{clip_id}{suffix}").unlink(missing_ok=True)
        self.sound = SoundWriter(self._at(".pcm"))
        self._video: GreyWriter | None = None

    def add(self, crop: NDArray[np.uint8]) -> None:
        """Append a frame."""
        if self._video is None:
            self._video = GreyWriter(self._at(".mp4"), self._crf)
        self._video.add(crop)

    def commit(self, num_samples: int, landmarks: dict[str, Any] | None) -> None:
        """Move the finished files to their places; without landmarks (arrays by name) there is no landmarks file."""
        assert self._video is not None, "a clip has frames"
        self._video.close()
        self._video = None
        self.sound.finish(self._at(".wav"), num_samples)
        if landmarks is not None:
            with open(self._at(".npz"), "wb") as file:
                np.savez_compressed(file, **landmarks)
        for folder, suffix in FOLDERS.items():
            if folder != "landmarks" or landmarks is not None:
                _put(self._at(suffix), self._out / folder / f"{self._id}{suffix}")

    def show(self, image: bytes, target: Path) -> None:
        """Write the picture of a rejected clip."""
        self._at(".jpg").write_bytes(image)
        _put(self._at(".jpg"), target)

    def close(self) -> None:
        """Remove unfinished files."""
        if self._video is not None:
            self._video.close()
            self._video = None
        self.sound.discard()
        for suffix in FOLDERS.values():
            self._at(suffix).unlink(missing_ok=True)

    def _at(self, suffix: str) -> Path:
        return self._partial.with_name(self._partial.name + suffix)


def _put(source: Path, target: Path) -> None:
    """Move a file to its place once it is on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    flush_to_disk(source)
    os.replace(source, target)
    flush_to_disk(target.parent)
