"""Videos as people have them, read by a lip reader of random weights: what is read, what is said, what is written."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from small_lip_reader import write_lip_reader

from fairseq_ext.commands import lipread
from fairseq_ext.inference import mouth_track
from fairseq_ext.inference.lip_reader import LipReader, LipText, load_lip_reader
from fairseq_ext.inference.mouth_track import MouthTrack, track_each_face, track_mouth
from fairseq_ext.media.video import VideoError

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LipReader:
    return load_lip_reader(write_lip_reader(tmp_path_factory.mktemp("reader") / "lips.pt"))


@pytest.fixture(scope="module")
def usual(reader: LipReader, grid: Path) -> LipText:
    """Read the original, which every other form of the same talk is compared with."""
    return reader.read(grid / "lrwp9a.mpg")


@pytest.fixture(autouse=True)
def one_landmarker(landmarker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the models once for all tests."""
    monkeypatch.setattr(mouth_track, "Landmarker", lambda: landmarker)


def at(rate: float, count: int) -> list[float]:
    return [i / rate for i in range(count)]


def resampled(pictures: np.ndarray, rate: float) -> tuple[list[np.ndarray], list[float]]:
    times = at(rate, int(len(pictures) / 25 * rate))
    return [pictures[min(len(pictures) - 1, int(25 * t + 1e-6))] for t in times], times


@pytest.mark.parametrize("rate", [60.0, 30000 / 1001])
def test_every_frame_rate_reads_the_same(
    reader: LipReader, usual: LipText, talk: Any, make_video: Make, tmp_path: Path, rate: float
) -> None:
    found = reader.read(make_video(tmp_path / "a.mp4", *resampled(talk.pictures, rate), talk.sound))
    assert found.notes == ()
    ends = [[word.end_s for word in text.words][-1] for text in (found, usual)]
    assert ends[0] == pytest.approx(ends[1], abs=0.2)


def test_a_portrait_video_of_a_phone_is_read_and_shown_upright(
    talk: Any, make_video: Make, turn: Any, tmp_path: Path
) -> None:
    tall = [np.pad(p, ((176, 176), (0, 0), (0, 0)), constant_values=90) for p in talk.pictures]
    turned = [np.rot90(p) for p in tall]
    turn(make_video(tmp_path / "a.mp4", turned, at(25, 75), talk.sound), 1)
    checkpoint, out = write_lip_reader(tmp_path / "lips.pt"), tmp_path / "out"
    assert run(checkpoint, tmp_path / "a.mp4", "--out", out, "--side-by-side") == 0
    with av.open(str(out / "a.read.mp4")) as film:
        assert film.streams.audio[0].rate == 16000
        picture = next(film.decode(video=0)).to_ndarray(format="gray")
    # The grey above and below the face, at a third of its height.
    assert picture.shape == (336, 450)
    source = picture[:288, :162].astype(int)
    assert source[:50].std() < 5 < 20 < source[100:190].std()


def test_each_of_two_people_side_by_side(
    talk: Any, other_talk: Any, make_video: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    both = [np.concatenate(pair, 1) for pair in zip(talk.pictures, other_talk.pictures, strict=True)]
    video = make_video(tmp_path / "two.mp4", both, at(25, 75))
    one = track_mouth(video, tmp_path / "one")
    (note,) = one.notes()
    assert note.startswith("2 faces; the left face is read, chosen by ")
    left, right = track_each_face(video, tmp_path / "each")
    assert (left.face, right.face) == ("left face", "right face")
    assert [*left.notes(), *right.notes()] == []
    places = [mean_x(track) for track in (one, left, right)]
    assert places[0] == pytest.approx(places[1], abs=3)
    assert 100 < places[1] < 260 < 460 < places[2]
    checkpoint, out = write_lip_reader(tmp_path / "lips.pt"), tmp_path / "out"
    assert run(checkpoint, video, "--faces", "each", "--out", out) == 0
    assert "the right face is read in two.face2.txt" in capfd.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["two.face1.txt", "two.face2.txt"]


def mean_x(track: MouthTrack) -> float:
    with np.load(track.landmarks(track.clips[0])) as file:
        return float(file["points"][..., 0].mean())


def test_a_face_that_leaves_and_comes_back(
    reader: LipReader, talk: Any, make_video: Make, tmp_path: Path
) -> None:
    grey = np.full_like(talk.pictures, 90)
    pictures = np.concatenate([talk.pictures, grey, talk.pictures])
    video = make_video(tmp_path / "a.mp4", pictures, at(25, 225))
    track = track_mouth(video, tmp_path / "track")
    edges = [time_s for clip in track.clips for time_s in (clip.start_s, clip.end_s)]
    assert edges == pytest.approx([0.0, 3.0, 6.0, 9.0], abs=0.17)
    (note,) = track.notes()
    assert "not read from 3.0 to 6.0 s: face_lost" in note
    words = reader.read(video).words
    assert not [word for word in words if 3.2 < word.start_s < 5.8]
    assert words[0].start_s < 1 < 8 < words[-1].start_s


def test_no_face_at_all(reader: LipReader, make_video: Make, tmp_path: Path) -> None:
    wall = [np.full((96, 128, 3), 60 + i % 30, np.uint8) for i in range(50)]
    video = make_video(tmp_path / "wall.mp4", wall, at(25, 50))
    with pytest.raises(VideoError, match=r"wall\.mp4: no mouth that can be read: no_face: .* --input mouth"):
        reader.read(video)
    with pytest.raises(VideoError, match=r"wall\.mp4: no face in its first ten seconds"):
        reader.read_faces(video, each=True)


def test_silence_and_no_sound(
    reader: LipReader, usual: LipText, talk: Any, make_video: Make, tmp_path: Path
) -> None:
    times = at(25, 75)
    silent = make_video(tmp_path / "silent.mp4", talk.pictures, times, np.zeros_like(talk.sound))
    without = make_video(tmp_path / "without.mp4", talk.pictures, times)
    longer = make_video(tmp_path / "longer.mp4", talk.pictures, times, np.tile(talk.sound, 3))
    for video in (silent, without):
        assert reader.read(video).notes == ()
    (note,) = reader.read(longer).notes
    assert note.endswith("states show no picture; it may be cut off")
    both = load_lip_reader(write_lip_reader(tmp_path / "both.pt", modality="both"))
    assert both.read(without).notes == (
        "no sound, so lips are read without it, as a reader of both does in silence",
    )
    sound = load_lip_reader(write_lip_reader(tmp_path / "sound.pt", modality="audio"))
    with pytest.raises(VideoError, match=r"silent\.mp4: a sound track expected, found silence"):
        sound.read(silent)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty; copy it again"),
        (b"\0" * 9999, "FFmpeg cannot read this video"),
        (None, "no such file; check its name"),
    ],
)
def test_files_that_are_no_videos(
    reader: LipReader, tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=said) as raised:
        reader.read(tmp_path / "a.mp4")
    assert str(raised.value).count("a.mp4") <= 2
    assert "retry" not in str(raised.value)


def test_damage_is_said_and_the_rest_is_read(reader: LipReader, grid: Path, tmp_path: Path) -> None:
    content = bytearray((grid / "lrwp9a.mpg").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    (tmp_path / "a.mpg").write_bytes(content)
    found = reader.read(tmp_path / "a.mpg")
    assert found.words
    assert any("packets could not be decoded; copy the file again" in note for note in found.notes)


def run(*given: str | Path) -> int:
    parser = argparse.ArgumentParser()
    lipread.add_arguments(parser)
    return lipread.run(parser.parse_args([str(value) for value in given]))


def test_a_folder_is_read_and_goes_on_after_a_kill(
    grid: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, out = write_lip_reader(tmp_path / "lips.pt"), tmp_path / "out"
    for name in ("a/one.mpg", "b/one.mpg", "b/two.mpg"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_bytes((grid / "lrwp9a.mpg").read_bytes())
    (tmp_path / "videos" / "notes.txt").write_text("none", encoding="utf-8")
    whole = LipReader.read_faces

    def killed(self: LipReader, video: Path, *args: Any, **options: Any) -> Any:
        if video.name == "two.mpg":
            raise KeyboardInterrupt
        return whole(self, video, *args, **options)

    monkeypatch.setattr(LipReader, "read_faces", killed)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, tmp_path / "videos", "--out", out, "--format", "srt")
    assert "notes.txt: " in capfd.readouterr().err
    there = {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*.srt")}
    assert set(there) == {"a/one.srt", "b/one.srt"}
    monkeypatch.setattr(LipReader, "read_faces", whole)
    assert run(checkpoint, tmp_path / "videos", "--out", out, "--format", "srt", "--resume") == 0
    assert "2 of 3 videos are read already" in capfd.readouterr().err
    assert (out / "b/two.srt").read_text(encoding="utf-8").startswith("1\n00:00:")
    assert {path: (out / path).stat().st_mtime_ns for path in there} == there
    assert not [path for path in out.rglob("*") if path.is_file() and path.suffix != ".srt"]
    with pytest.raises(argparse.ArgumentError, match="--resume needs the folder of the outputs"):
        run(checkpoint, tmp_path / "videos", "--resume")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="a folder with videos expected, found none"):
        run(checkpoint, tmp_path / "empty")


def test_progress_only_grows(reader: LipReader, grid: Path) -> None:
    told: list[tuple[str, float]] = []
    reader.read(
        grid / "lrwp9a.mpg", on_progress=lambda share, doing: told.append((doing, share)), window_s=1.0
    )
    for step in ("find the mouth", "read"):
        shares = [share for doing, share in told if doing == step]
        assert shares == sorted(shares)
        assert shares[-1] > 0.95
        assert len(shares) >= 3
