"""Streams of a video: which is read, times of display, mirrored pictures, recordings joined with `cat`."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fairseq_ext.media.mouth.warp import scaling, warp
from fairseq_ext.media.picture import Picture
from fairseq_ext.media.sound import Sound
from fairseq_ext.media.video import JoinedError, MediaReader

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "video"
WIDTH, HEIGHT, RATE = 96, 64, 44100
QUARTERS = np.kron([[220, 130], [60, 20]], np.ones((HEIGHT // 2, WIDTH // 2))).astype(np.uint8)


def level(number: int) -> np.ndarray:
    """Return a picture whose brightness is its number."""
    return np.full((HEIGHT, WIDTH), 40 + 2 * number, np.uint8)


def write(
    path: Path,
    pictures: list[np.ndarray],
    sound: str | None = None,
    prepare: Callable[[Any, Any], None] = lambda container, stream: None,
) -> Path:
    """Write pictures at 25 per second with B-frames, and a tone as long."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg1video" if path.suffix == ".mpg" else "libx264", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if path.suffix != ".mpg":
            video.options = {"crf": "5", "bf": "3", "b_strategy": "0"}
        prepare(container, video)
        audio: Any = sound and container.add_stream(sound, rate=RATE, layout="mono")
        per_picture = RATE // 25
        tone = (9000 * np.sin(np.arange(per_picture) / 20)).astype(np.int16)[None]
        fifo = av.AudioFifo()
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            if sound:
                block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                block.sample_rate, block.pts = RATE, number * per_picture
                fifo.write(block)
                for part in fifo.read_many(1152):
                    container.mux(audio.encode(part))
        for stream in filter(None, (video, audio)):
            container.mux(stream.encode(None))
    return path


def pictures_of(path: Path) -> list[Picture]:
    with MediaReader(path) as reader:
        found = [e for e in reader.events([(0.0, float("inf"))]) if isinstance(e, Picture)]
        assert reader.num_bad_packets == 0
    return found


@pytest.mark.parametrize("suffix", ["avi", "asf", "mkv", "mp4", "ts", "flv"])
def test_b_frames_keep_their_order_and_times(tmp_path: Path, suffix: str) -> None:
    """AVI and ASF stamp pictures in the order of decoding."""
    pictures = pictures_of(write(tmp_path / f"v.{suffix}", [level(i) for i in range(50)]))
    brightness = [float(p.luma.mean()) for p in pictures]
    assert len(pictures) == 50
    assert np.diff(brightness).min() > 0.5
    np.testing.assert_allclose(np.diff([p.time_s for p in pictures]), 0.04, atol=0.0021)
    assert abs(pictures[0].time_s) < 0.09


@pytest.mark.parametrize(
    ("suffix", "sound"), [("ts", "aac"), ("mpg", "mp2"), ("mkv", "aac"), ("mp4", "aac"), ("flv", "aac")]
)
def test_joined_recordings_are_refused(tmp_path: Path, suffix: str, sound: str) -> None:
    one = write(tmp_path / f"one.{suffix}", [level(i) for i in range(40)], sound)
    assert len(pictures_of(one)) == 40
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(2 * one.read_bytes())
    with pytest.raises(JoinedError, match="several recordings one after the other"):
        pictures_of(both)


def test_joined_avi_comes_in_order(tmp_path: Path) -> None:
    one = write(tmp_path / "one.avi", [level(i) for i in range(40)], "mp2")
    (tmp_path / "both.avi").write_bytes(2 * one.read_bytes())
    with MediaReader(tmp_path / "both.avi") as reader:
        events = list(reader.events([(0.0, float("inf"))]))
    brightness = [float(e.luma.mean()) for e in events if isinstance(e, Picture)]
    assert np.argsort(brightness[:40]).tolist() == np.argsort(brightness[40:]).tolist() == list(range(40))
    assert [e.time_s for e in events if isinstance(e, Sound)][-1] == pytest.approx(3.2, abs=0.06)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_rotated_and_mirrored_pictures(tmp_path: Path, degrees: int, flips: tuple[bool, bool]) -> None:
    def turn(container: Any, stream: Any) -> None:
        stream.set_display_rotation(degrees, hflip=flips[0], vflip=flips[1])

    picture = pictures_of(write(tmp_path / "v.mp4", [QUARTERS] * 3, prepare=turn))[0]
    expected = np.rot90(QUARTERS, degrees // 90)
    expected = expected[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1] * (219 / 255) + 16
    shown = warp(picture, scaling(1.0), (picture.width, picture.height))
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 3


def test_a_cover_picture_does_not_hide_the_video(tmp_path: Path) -> None:
    def add_cover(container: Any, stream: Any) -> None:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32), np.uint8), format="gray").reformat(
            format="yuvj420p"
        )
        container.mux([*cover.encode(frame), *cover.encode(None)])

    path = write(tmp_path / "v.mp4", [level(i) for i in range(30)], prepare=add_cover)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    assert {p.luma.shape for p in pictures_of(path)} == {(HEIGHT, WIDTH)}


def test_the_default_picture_is_taken(tmp_path: Path) -> None:
    def add_default(container: Any, stream: Any) -> None:
        stream.disposition = av.stream.Disposition(0)
        other = container.add_stream("libx264", rate=25)
        other.width, other.height, other.pix_fmt = 32, 32, "yuv420p"
        other.disposition = av.stream.Disposition.default
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32), np.uint8), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(other.encode(frame))
        container.mux(other.encode(None))

    path = write(tmp_path / "v.mkv", [level(i) for i in range(5)], prepare=add_default)
    with MediaReader(path) as reader:
        assert reader.tracks == "video 2 of 2, default"
    assert {p.luma.shape for p in pictures_of(path)} == {(32, 32)}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")
def test_cases_of_streams() -> None:
    with pytest.raises(JoinedError):
        pictures_of(CASES / "t_concat.ts")
    assert len(pictures_of(CASES / "v_h264_bf.avi")) == 75
    with MediaReader(CASES / "s_two_tracks.mkv") as reader:
        assert reader.tracks == "audio 2 of 2, default"
    for name in ("s_two_tracks.mkv", "s_outofphase.mp4"):
        with MediaReader(CASES / name) as reader:
            sounds = [e.samples for e in reader.events([(0.0, float("inf"))]) if isinstance(e, Sound)]
        assert np.concatenate(sounds).astype(float).std() > 300
