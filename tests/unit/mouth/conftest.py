"""Test videos made from a real talking face; tests skip where the GRID clips are missing."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fairseq_ext.media.clips import Segment, VideoFile
from fairseq_ext.media.mouth.landmarker import Landmarker
from fairseq_ext.media.mouth.prepare import prepare_file
from fairseq_ext.media.mouth.settings import MouthSettings
from fairseq_ext.media.mouth.table import ClipRow

pytest.register_assert_rewrite("unit.mouth.crops")
GRID = Path(__file__).resolve().parents[4] / "shared" / "data" / "grid"
RATE = 16000


@dataclass(frozen=True)
class Talk:
    """Pictures (T, H, W, 3) at 25 per second and sound (S,) int16 at 16 kHz."""

    pictures: np.ndarray
    sound: np.ndarray


def read_talk(path: Path) -> Talk:
    """Decode a whole clip."""
    with av.open(str(path)) as container:
        pictures = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [g for f in (*container.decode(audio=0), None) for g in resampler.resample(f)]
    return Talk(pictures, np.concatenate([f.to_ndarray().reshape(-1) for f in frames]))


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    times_s: Sequence[float],
    sound: np.ndarray | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound_starts_s: float = 0.0,
    pixel_aspect: int = 1,
) -> Path:
    """Write pictures (H, W, 3) or (H, W) at their times, and sound, interleaved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = pix_fmt
        video.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        video.codec_context.time_base = Fraction(1, 1000)
        video.codec_context.gop_size = 25
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "12"}
        else:
            video.bit_rate = 4_000_000
            video.codec_context.time_base = Fraction(1, 25)
        audio: Any = None if sound is None else container.add_stream("aac", rate=RATE, layout="mono")
        position = 0
        for picture, time_s in zip(pictures, times_s, strict=True):
            kind = "rgb24" if picture.ndim == 3 else "gray"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)
            frame.time_base = video.codec_context.time_base
            frame.pts = round(time_s / frame.time_base)
            container.mux(video.encode(frame))
            while sound is not None and position < len(sound) and position / RATE + sound_starts_s <= time_s:
                position = write_sound(container, audio, sound, position, sound_starts_s)
        while sound is not None and position < len(sound):
            position = write_sound(container, audio, sound, position, sound_starts_s)
        for stream in filter(None, (video, audio)):
            container.mux(stream.encode(None))
    return path


def write_sound(container: Any, stream: Any, sound: np.ndarray, position: int, starts_s: float) -> int:
    """Write a block; return the position after it."""
    block = sound[position : position + 1024]
    frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
    frame.pts = position + round(starts_s * RATE)
    container.mux(stream.encode(frame))
    return position + len(block)


def turn_by_metadata(path: Path, quarter_turns: int) -> None:
    """Patch the matrix in the track headers (ISO 14496-12, 8.3.2) so that players rotate the picture clockwise."""
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd")
    while at >= 0:
        start = at + 4 + (40 if content[at + 4] == 0 else 52)
        if any(content[start + 36 : start + 44]):  # width and height: the picture's track
            content[start : start + 36] = matrix
        at = content.find(b"tkhd", at + 4)
    path.write_bytes(content)


@pytest.fixture(scope="session")
def grid() -> Path:
    """Return the folder of the GRID clips."""
    if not any(GRID.glob("*.mpg")):
        pytest.skip(f"no GRID clips in {GRID}")
    return GRID


@pytest.fixture(scope="session")
def talk(grid: Path) -> Talk:
    """Return one of the clips."""
    return read_talk(grid / "lrwp9a.mpg")


@pytest.fixture(scope="session")
def other_talk(grid: Path) -> Talk:
    """Return a clip of another speaker."""
    return read_talk(grid / "bbaf2n.mpg")


@pytest.fixture(scope="session")
def landmarker() -> Landmarker:
    """Load the models once."""
    return Landmarker()


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Return the writer of videos."""
    return write_video


@pytest.fixture(scope="session")
def turn() -> Callable[[Path, int], None]:
    """Return the writer of display matrices."""
    return turn_by_metadata


Prepare = Callable[..., ClipRow]


@pytest.fixture
def prepare(landmarker: Landmarker, tmp_path: Path) -> Prepare:
    """Make a clip of a file or a segment of it, in `tmp_path/out`."""

    def run(
        path: Path,
        start_s: float | None = None,
        end_s: float | None = None,
        *,
        clip_id: str = "",
        face_at: tuple[float, float] | None = None,
        audio: str | None = None,
        **settings: Any,
    ) -> ClipRow:
        segment = Segment(clip_id or path.stem, start_s, end_s, face_at)
        video = VideoFile(path.name, (segment,), audio)
        return prepare_file(path.parent, video, tmp_path / "out", MouthSettings(**settings), landmarker)[0]

    return run


def read_clip(out: Path, clip_id: str) -> np.ndarray:
    """Decode a clip: (T, 96, 96), as stored."""
    with av.open(str(out / "video" / f"{clip_id}.mp4")) as container:
        frames = [f.planes[0] for f in container.decode(video=0)]
    return np.stack([np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[:, :96] for p in frames])


@pytest.fixture(scope="session")
def clip_of() -> Callable[[Path, str], np.ndarray]:
    """Return the reader of clips."""
    return read_clip
