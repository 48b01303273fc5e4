"""Decoding of video and sound: geometry, time stamps, seeks, damage; pictures that encode their number."""

import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fairseq_ext.manifest import Utterance
from fairseq_ext.media.clips import Segment, VideoFile, check_id, from_utterances, videos_in, whole_files
from fairseq_ext.media.mouth.warp import scaling, thumbnail, to_full_range, warp
from fairseq_ext.media.picture import Picture, display_matrix
from fairseq_ext.media.sound import Sound
from fairseq_ext.media.video import MediaReader, VideoError

INF = float("inf")
RATE = 44100


def numbered(number: int, width: int = 90, height: int = 66) -> np.ndarray:
    """Return a grey picture with ten bits of its number in blocks, so that coding does not change it."""
    picture = np.full((height, width), 60, np.uint8)
    for bit in range(10):
        if number >> bit & 1:
            picture[10:50, 8 * bit + 5 : 8 * bit + 13] = 200
    return picture


def number_of(picture: Picture) -> int:
    return sum(1 << bit for bit in range(10) if picture.luma[30, 8 * bit + 9] > 130)


def clicks(duration_s: float) -> np.ndarray:
    """Return (1, S) int16: silence with a click at each whole second."""
    sound = np.zeros((1, round(duration_s * RATE)), np.int16)
    for second in range(1, int(duration_s)):
        sound[0, second * RATE : second * RATE + 40] = 20000
    return sound


def hum(duration_s: float) -> np.ndarray:
    """Return (1, S) int16: a low tone whose level varies, so that a shift shows."""
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return (9000 * np.sin(600 * time_s) * (1 + np.sin(7 * time_s**1.1)) / 2).astype(np.int16)[None]


def write(path: Path, times_s: list[float], sound: np.ndarray | None = None, first_sample: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 90, 66, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        video.codec_context.gop_size = 50
        video.options = {"preset": "ultrafast"}
        audio: Any = None
        if sound is not None:
            audio = container.add_stream("flac" if path.suffix == ".mkv" else "aac", rate=RATE, layout="mono")
        position = 0
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="gray")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
            while sound is not None and position < min(sound.shape[1], time_s * RATE):
                block = av.AudioFrame.from_ndarray(
                    sound[:, position : position + 1024], format="s16", layout="mono"
                )
                block.sample_rate, block.time_base = RATE, Fraction(1, RATE)
                block.pts = position + first_sample
                container.mux(audio.encode(block))
                position += 1024
        for stream in filter(None, (video, audio)):
            container.mux(stream.encode(None))
    return path


def read(path: Path, spans: list[tuple[float, float]] | None = None) -> tuple[list[Picture], np.ndarray]:
    """Return all pictures, and the sound at its positions, from time 0."""
    pictures, track = [], np.zeros(16000 * 100, np.int16)
    with MediaReader(path) as reader:
        for event in reader.events(spans or [(0.0, INF)]):
            if isinstance(event, Sound):
                start = max(0, event.start_sample)
                samples = event.samples[start - event.start_sample :]
                track[start : start + len(samples)] = samples
            else:
                pictures.append(event)
    return pictures, track


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90])
def test_turning_by_matrix_is_turning_the_picture(rotation: int) -> None:
    luma = np.random.default_rng(0).integers(0, 255, (6, 9), dtype=np.uint8)
    matrix, width, height = display_matrix(9, 6, rotation, 1.0)
    picture = Picture(0, 0.04, luma, matrix, width, height, True)
    np.testing.assert_array_equal(
        warp(picture, scaling(1.0), (width, height)), np.rot90(luma, rotation // 90)
    )


def test_wide_pixels_make_a_wider_picture() -> None:
    luma = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (20, 1))
    matrix, width, height = display_matrix(50, 20, 0, 2.0)
    assert (width, height) == (100, 20)
    picture = Picture(0, 0.04, luma, matrix, width, height, True)
    shown = warp(picture, scaling(1.0), (width, height)).astype(int)
    np.testing.assert_allclose(
        shown[:, 1:-1].reshape(20, -1).mean(0), np.arange(1, 99) * 2.5 - 1.25, atol=0.6
    )
    assert display_matrix(50, 20, 90, 2.0)[1:] == (20, 100)


def test_shrinking_averages() -> None:
    """A fine chequerboard becomes even grey instead of flickering."""
    luma = np.indices((200, 200)).sum(axis=0) % 2 * np.uint8(200)
    picture = Picture(0, 0.04, luma.astype(np.uint8), display_matrix(200, 200, 0, 1.0)[0], 200, 200, True)
    small = thumbnail(picture, 50)
    assert small.shape == (50, 50)
    assert np.abs(small.astype(int) - 100).max() <= 2


def test_limited_range_is_spread() -> None:
    piece = np.array([[0, 16, 126, 235, 255]], np.uint8)
    matrix = display_matrix(5, 1, 0, 1.0)[0]
    limited, full = (Picture(0, 0.04, piece, matrix, 5, 1, kind) for kind in (False, True))
    assert to_full_range(piece, limited).tolist() == [[0, 0, 128, 255, 255]]
    assert to_full_range(piece, full) is piece


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pictures_and_sound_keep_their_times(tmp_path: Path, suffix: str) -> None:
    """90 pixels wide, which decoders pad to a longer line; uneven times; sound at another rate."""
    rng = np.random.default_rng(1)
    times = np.round(np.cumsum(rng.uniform(0.01, 0.07, 100)), 3)
    times = (times - times[0]).tolist()
    path = write(tmp_path / f"v.{suffix}", times, clicks(4))
    pictures, track = read(path)
    assert [number_of(p) for p in pictures] == list(range(100))
    np.testing.assert_allclose([p.time_s for p in pictures], times, atol=0.0011)
    assert {(p.luma.shape, p.width, p.height, p.full_range) for p in pictures} == {((66, 90), 90, 66, False)}
    for second in (1, 2):
        onset = np.flatnonzero(np.abs(track[16000 * second - 800 :].astype(int)) > 5000)[0] - 800
        assert abs(onset) <= 16  # a millisecond


def test_sound_that_starts_late_is_put_late(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", [i / 25 for i in range(100)], clicks(3), first_sample=RATE // 2)
    track = read(path)[1]
    assert abs(np.flatnonzero(np.abs(track.astype(int)) > 5000)[0] - 24000) <= 16


def test_long_stretches_between_spans_are_skipped(tmp_path: Path) -> None:
    """The same pictures and sound as without a seek, for a fraction of the decoding."""
    path = write(tmp_path / "v.mp4", [i / 25 for i in range(1000)], hum(40))
    every, all_sound = read(path)
    pictures, track = read(path, [(1.0, 2.0), (30.3, 31.2)])
    assert len(every) == 1000
    assert len(pictures) < 400
    by_time = {round(p.time_s, 3): number_of(p) for p in pictures}
    for number in (*range(25, 50), *range(758, 780)):
        assert by_time[round(number / 25, 3)] == number
    for start_s, end_s in ((1.0, 2.0), (30.3, 31.2)):
        part = slice(round(start_s * 16000), round(end_s * 16000))
        # Not to the bit: resampled from another phase.
        np.testing.assert_allclose(track[part], all_sound[part], atol=300)
        assert np.abs(all_sound[part].astype(int)).max() > 3000


def test_an_hour_of_pictures_is_not_kept(tmp_path: Path) -> None:
    """No picture but the last few is alive while the file streams by."""
    import gc
    import weakref

    path = write(tmp_path / "v.mp4", [i / 25 for i in range(300)])
    alive: list[Any] = []
    most = 0
    with MediaReader(path) as reader:
        for event in reader.events([(0.0, INF)]):
            assert isinstance(event, Picture)
            alive.append(weakref.ref(event.luma))
            del event
            gc.collect(0)
            most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 300
    assert most <= 3


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("words")
    for name, found in (("gone", "no such file"), ("empty", "the file is empty"), ("text", "cannot read")):
        with pytest.raises(VideoError, match=found):
            MediaReader(tmp_path / f"{name}.mp4")


def test_sound_alone_has_no_picture(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(clicks(3).tobytes())
    with MediaReader(tmp_path / "s.wav") as reader:
        assert (reader.has_video, reader.has_audio) == (False, True)


@pytest.mark.parametrize("seed", range(4))
def test_damage_is_survived(tmp_path: Path, seed: int) -> None:
    """Random bytes in the middle; what still decodes has its own time."""
    path = write(tmp_path / "v.mkv", [i / 25 for i in range(200)], clicks(8))
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(2000, len(content) - 500, 6):
        content[at : at + 200] = rng.bytes(200)
    path.write_bytes(content)
    with MediaReader(path) as reader:
        pictures = [event for event in reader.events([(0.0, INF)]) if isinstance(event, Picture)]
        assert reader.num_bad_packets > 0 or len(pictures) == 200
    times = [p.time_s for p in pictures]
    assert times == sorted(set(times))
    right = sum(number_of(p) == round(p.time_s * 25) for p in pictures)
    assert right > max(20, 0.6 * len(pictures))


def test_a_folder_of_videos(tmp_path: Path) -> None:
    for name in ("b/x.MP4", "a.mkv", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert videos_in(tmp_path) == [
        VideoFile("a.mkv", (Segment("a"),)),
        VideoFile("b/x.MP4", (Segment("b/x"),)),
    ]
    with pytest.raises(ValueError, match="no videos found"):
        videos_in(tmp_path / "b" / "nothing")


def test_videos_that_differ_in_their_suffix_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first in sorted order keeps the name, whatever the order of the list, and a name in use is not taken."""
    paths = ["b.mp4", "a.webm", "a_mp4.mkv", "a.mp4", "a.mkv", "x/a.mp4", "./a.mp4"]
    (tmp_path / "b.mp4").touch()
    for given in (paths, paths[::-1]):
        caplog.clear()
        found = whole_files(tmp_path, given)
        assert {video.path: video.segments[0].id for video in found} == {
            "a.mkv": "a",
            "a.mp4": "a_mp4_2",
            "a.webm": "a_webm",
            "a_mp4.mkv": "a_mp4",
            "b.mp4": "b",
            "x/a.mp4": "x/a",
        }
        assert (
            "2 videos have the same name as another except for the suffix, such as a.mp4, whose clip is a_mp4_2"
            in caplog.text
        )
    assert [video.path for video in found][:2] == ["a.mp4", "x/a.mp4"]
    whole_files(tmp_path, ["a.mp4", "b.mp4"])
    assert len(caplog.records) == 1


def test_a_list_of_which_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match=r"none of the 3 listed videos exists, such as a/x\.mp4"):
        whole_files(tmp_path, ["a/x.mp4", "a/y.mp4", "a"])
    (tmp_path / "a/y.mp4").touch()
    assert len(whole_files(tmp_path, ["a/x.mp4", "a/y.mp4", "a"])) == 3


def test_utterances_of_a_file_come_together() -> None:
    said = [
        Utterance(f"t{i}", f"{'ab'[i % 2]}.mp4", 1, start_s=float(9 - i), end_s=9.5 - i) for i in range(4)
    ]
    files = from_utterances((utterance, (0.1 * i, 0.5)) for i, utterance in enumerate(said))
    assert [(f.path, [s.id for s in f.segments]) for f in files] == [
        ("a.mp4", ["t2", "t0"]),
        ("b.mp4", ["t3", "t1"]),
    ]
    assert files[0].segments[1] == Segment("t0", 9.0, 9.5, (0.0, 0.5))


@pytest.mark.parametrize("wrong", ["", "/a", "a//b", "../a", "a/.", "a\tb", "a\nb", ".partial/x"])
def test_ids_that_would_leave_the_folder(wrong: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        check_id(wrong, "list")
    assert check_id("fr/train/talk1_0003", "list") == "fr/train/talk1_0003"
