"""Real faces in videos as users have them: each gives a centred mouth, or a reason why not."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from unit.mouth.crops import check_mouth

from fairseq_ext.media.clips import Segment, VideoFile, videos_in
from fairseq_ext.media.mouth.landmarker import Landmarker
from fairseq_ext.media.mouth.prepare import prepare_file
from fairseq_ext.media.mouth.settings import MouthSettings
from fairseq_ext.media.mouth.table import ClipRow
from fairseq_ext.media.mouth.template import apply

pytestmark = pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")  # of protobuf, in MediaPipe
Prepare = Callable[..., ClipRow]
Make = Callable[..., Path]
TIMES = [i / 25 for i in range(75)]


def test_all_grid_clips(
    grid: Path, landmarker: Landmarker, tmp_path: Path, clip_of: Callable[..., Any]
) -> None:
    for video in videos_in(grid):
        (row,) = prepare_file(grid, video, tmp_path, MouthSettings(), landmarker)
        check_mouth(tmp_path, row, clip_of(tmp_path, row.id))
        assert (row.num_frames, row.detection_rate, row.num_faces, row.choice) == (75, 1.0, 1, "only")
        assert row.longest_gap_s == 0.0  # though detections run on one frame in five
        assert row.av_difference_s == pytest.approx(-0.022, abs=0.005)
        assert row.jitter_px is not None
        assert row.jitter_px < 1
        assert row.audio == "ok"


def test_the_same_file_gives_the_same_bytes_whatever_came_before(
    grid: Path, landmarker: Landmarker, tmp_path: Path
) -> None:
    first, second = videos_in(grid)[:2]
    for folder, order in (("a", [first]), ("b", [second, first])):
        for video in order:
            prepare_file(grid, video, tmp_path / folder, MouthSettings(), landmarker)
    name = first.segments[0].id
    for path in (f"video/{name}.mp4", f"audio/{name}.wav", f"landmarks/{name}.npz"):
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_detections_on_few_frames_are_as_good_as_on_all(
    grid: Path, landmarker: Landmarker, tmp_path: Path
) -> None:
    errors = []
    for video in videos_in(grid):
        for every in (1, MouthSettings().detect_every):
            settings = MouthSettings(detect_every=every)
            prepare_file(grid, video, tmp_path / str(every), settings, landmarker)
        matrices = [
            np.load(tmp_path / str(every) / "landmarks" / f"{video.segments[0].id}.npz")["matrix"]
            for every in (1, MouthSettings().detect_every)
        ]
        # The same point of the source, drawn by both.
        centre = np.array(
            [apply(np.linalg.inv(np.vstack([m, [0, 0, 1]]))[:2], np.array([47.5, 47.5])) for m in matrices[0]]
        )
        moved = np.array([apply(m, c) for m, c in zip(matrices[1], centre, strict=True)])
        errors.append(np.hypot(*(moved - 47.5).T))
    assert np.concatenate(errors).mean() < 0.5


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_phone_held_sideways(
    talk: Any,
    make_video: Make,
    turn: Callable[..., None],
    prepare: Prepare,
    tmp_path: Path,
    clip_of: Any,
    quarters: int,
) -> None:
    upright = prepare(make_video(tmp_path / "up.mp4", talk.pictures, TIMES, talk.sound))
    path = make_video(
        tmp_path / "turned.mp4", np.rot90(talk.pictures, quarters, axes=(1, 2)), TIMES, talk.sound
    )
    turn(path, quarters)
    row = prepare(path)
    crops = clip_of(tmp_path / "out", "turned")
    check_mouth(tmp_path / "out", row, crops)
    difference = np.abs(crops.astype(int) - clip_of(tmp_path / "out", upright.id)).mean()
    assert difference < 2


def test_pixels_that_are_not_square(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    """Squeezed to half its width with a pixel aspect of 2, the face is as it was."""
    plain = prepare(make_video(tmp_path / "plain.mkv", talk.pictures, TIMES, talk.sound))
    squeezed = np.stack([cv2.resize(p, (180, 288), interpolation=cv2.INTER_AREA) for p in talk.pictures])
    row = prepare(make_video(tmp_path / "squeezed.mkv", squeezed, TIMES, talk.sound, pixel_aspect=2))
    assert row.status == "ok"
    assert row.face_size_px == pytest.approx(plain.face_size_px, rel=0.03)


@pytest.mark.parametrize(("rate", "suffix"), [(60, "mp4"), (29.97, "mp4"), (29.97, "mkv"), (15, "mp4")])
def test_other_rates(
    talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any, rate: float, suffix: str
) -> None:
    times = [i / rate for i in range(int(2.95 * rate))]
    shown = [min(74, round(t * 25)) for t in times]
    row = prepare(make_video(tmp_path / f"rate.{suffix}", talk.pictures[shown], times, talk.sound))
    crops = clip_of(tmp_path / "out", "rate")
    check_mouth(tmp_path / "out", row, crops)
    assert abs(row.num_frames - 74) <= 1
    # In step: each crop is most like that of the same moment of the talk at 25 frames per second.
    prepare(make_video(tmp_path / "plain.mp4", talk.pictures, TIMES, talk.sound))
    plain = clip_of(tmp_path / "out", "plain").astype(int)
    nearest = [int(np.argmin(np.abs(plain - crop).mean(axis=(1, 2)))) for crop in crops]
    assert np.median(np.abs(np.array(nearest) - np.arange(len(crops)))) <= (1 if rate < 25 else 0)


def test_times_that_are_uneven(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    kept = np.sort(rng.choice(75, 60, replace=False))
    kept[0], kept[-1] = 0, 74
    row = prepare(make_video(tmp_path / "uneven.mp4", talk.pictures[kept], kept / 25, talk.sound))
    assert (row.status, row.num_frames) == ("ok", 75)
    assert row.av_difference_s == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("kind", "audio"), [("none", "none"), ("zeros", "silent")])
def test_a_silent_file(
    talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any, kind: str, audio: str
) -> None:
    sound = None if kind == "none" else talk.sound * 0
    row = prepare(make_video(tmp_path / "s.mp4", talk.pictures, TIMES, sound))
    check_mouth(tmp_path / "out", row, clip_of(tmp_path / "out", "s"))
    assert row.audio == audio
    assert (row.av_difference_s is None) == (kind == "none")


def test_cut_off_files(grid: Path, talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    """What a file states or a segment needs, and the file does not hold, rejects the clip; else it is marked."""
    half = tmp_path / "half.mpg"
    content = (grid / "lrwp9a.mpg").read_bytes()
    half.write_bytes(content[: len(content) // 2])
    row = prepare(half)  # states no length: what shows is a packet that does not decode
    assert (row.status, row.is_damaged) == ("ok", True)
    assert 25 < row.num_frames < 50
    stated = make_video(tmp_path / "stated.mkv", talk.pictures, TIMES, talk.sound)
    assert not prepare(stated).is_damaged
    stated.write_bytes(stated.read_bytes()[: stated.stat().st_size // 2])
    row = prepare(stated)
    assert row.missing_s > 1
    assert (row.status, row.reason, row.detail) == (
        "rejected",
        "cut_off",
        f"{row.missing_s:.2f} s are missing",
    )
    row = prepare(stated, max_missing_s=2.0, clip_id="kept")
    assert (row.status, row.is_damaged) == ("ok", True)
    assert prepare(half, 0.0, 1.0, clip_id="first").status == "ok"
    assert prepare(half, 0.5, 2.9, clip_id="middle").reason == "cut_off"
    assert prepare(half, 2.5, 2.9, clip_id="last").reason == "beyond_end"
    no_index = make_video(tmp_path / "no_index.mp4", talk.pictures, TIMES, talk.sound)
    no_index.write_bytes(no_index.read_bytes()[: no_index.stat().st_size // 2])
    row = prepare(no_index)
    assert row.reason == "unreadable"
    assert "FFmpeg cannot read this video" in row.detail


def test_damage_inside_is_skipped_and_sound_stays_aligned(
    grid: Path, prepare: Prepare, tmp_path: Path
) -> None:
    content = bytearray((grid / "lrwp9a.mpg").read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(content) // 4, len(content) * 3 // 4, 8):
        content[at : at + 600] = rng.bytes(600)
    (tmp_path / "damaged.mpg").write_bytes(content)
    (tmp_path / "whole.mpg").write_bytes((grid / "lrwp9a.mpg").read_bytes())
    damaged, whole = prepare(tmp_path / "damaged.mpg"), prepare(tmp_path / "whole.mpg")
    assert damaged.status == "ok"
    assert damaged.num_bad_packets > 0
    assert (damaged.is_damaged, whole.is_damaged) == (True, False)
    assert damaged.num_frames == whole.num_frames
    sounds = []
    for row in (damaged, whole):
        with wave.open(str(tmp_path / "out" / "audio" / f"{row.id}.wav")) as file:
            sounds.append(np.frombuffer(file.readframes(48000), np.int16).astype(float))
    for part in (slice(0, 8000), slice(40000, 47000)):  # before and after the damage
        assert np.corrcoef(sounds[0][part], sounds[1][part])[0, 1] > 0.9


def test_files_without_a_picture(talk: Any, prepare: Prepare, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "only.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(talk.sound.tobytes())
    assert prepare(tmp_path / "only.wav").reason == "no_video"
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, found in (("text", "cannot read"), ("empty", "the file is empty")):
        row = prepare(tmp_path / f"{name}.mp4")
        assert row.reason == "unreadable"
        assert found in row.detail
    row = prepare(tmp_path / "gone.mp4")
    assert row.reason == "missing"
    assert "gone.mp4: no such file" in row.detail


def test_segments_of_one_decoding(
    talk: Any, make_video: Make, landmarker: Landmarker, tmp_path: Path, clip_of: Any
) -> None:
    """In any order, overlapping, each as if it were alone."""
    make_video(tmp_path / "talk.mkv", talk.pictures, TIMES, talk.sound)
    segments = (Segment("t/2", 1.0, 2.6), Segment("t/1", 0.2, 1.4), Segment("t/3", 8.0, 9.0))
    together = prepare_file(
        tmp_path, VideoFile("talk.mkv", segments), tmp_path / "a", MouthSettings(), landmarker
    )
    assert [row.id for row in together] == ["t/2", "t/1", "t/3"]
    assert [row.num_frames for row in together] == [40, 30, 0]
    assert together[2].reason == "beyond_end"
    for segment, row in zip(segments[:2], together, strict=False):
        (alone,) = prepare_file(
            tmp_path, VideoFile("talk.mkv", (segment,)), tmp_path / "b", MouthSettings(), landmarker
        )
        assert alone == row
        check_mouth(tmp_path / "a", row, clip_of(tmp_path / "a", row.id))
        for path in (f"video/{row.id}.mp4", f"landmarks/{row.id}.npz"):
            assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_sound_in_a_file_of_its_own(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    """As in VoxCeleb2; the same samples as from the video."""
    path = make_video(tmp_path / "mute.mp4", talk.pictures, TIMES)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(talk.sound.tobytes())
    row = prepare(path, audio="sound.wav")
    assert (row.status, row.audio) == ("ok", "ok")
    with wave.open(str(tmp_path / "out/audio/mute.wav")) as file:
        samples = np.frombuffer(file.readframes(48000), np.int16)
    np.testing.assert_array_equal(samples[: len(talk.sound)], talk.sound[:48000])
    assert prepare(path, audio="gone.wav", clip_id="gone").reason == "missing"


def test_mouth_crops_are_taken_as_they_are(
    talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any
) -> None:
    prepare(make_video(tmp_path / "face.mp4", talk.pictures, TIMES, talk.sound))
    first = clip_of(tmp_path / "out", "face")
    small = np.stack([cv2.resize(p, (88, 88), interpolation=cv2.INTER_AREA) for p in first])
    path = make_video(tmp_path / "mouth.mp4", small, TIMES, talk.sound)
    row = prepare(path, input="mouth")
    assert (row.status, row.num_frames, row.detection_rate) == ("ok", 75, None)
    assert np.abs(clip_of(tmp_path / "out", "mouth").astype(int) - first).mean() < 4
    assert not (tmp_path / "out/landmarks/mouth.npz").exists()
    assert prepare(path, clip_id="as_face").reason in {"no_face", "face_lost"}
    assert prepare(tmp_path / "face.mp4", input="mouth").reason == "not_square"


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuv420p10le", "yuv444p"])
def test_brightness_is_the_same_from_every_format(
    talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any, pix_fmt: str
) -> None:
    for name, kind in (("plain", "yuv420p"), ("other", pix_fmt)):
        prepare(make_video(tmp_path / f"{name}.mkv", talk.pictures[:30], TIMES[:30], None, pix_fmt=kind))
    plain, other = (clip_of(tmp_path / "out", name).astype(int) for name in ("plain", "other"))
    assert abs((plain - other).mean()) < 1.5
    assert np.abs(plain - other).mean() < 3


def test_bounds_of_the_settings(grid: Path, prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "x.mpg").write_bytes((grid / "lbbc2a.mpg").read_bytes())
    path = tmp_path / "x.mpg"
    assert prepare(path, max_yaw_deg=2.0).reason == "face_turned"
    assert prepare(path, min_frames=100).reason == "too_short"
    assert prepare(path, max_av_difference_s=0.01).reason == "av_mismatch"
    assert prepare(path, 0.0, 0.2).reason == "too_short"
