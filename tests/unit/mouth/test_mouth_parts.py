"""The parts of mouth cropping that need no face: alignment, 25 frames per second, smoothing, files, the table."""

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from fairseq_ext.media.mouth.clock import FrameClock
from fairseq_ext.media.mouth.settings import MouthSettings
from fairseq_ext.media.mouth.smoothing import Frame, Smoother
from fairseq_ext.media.mouth.table import COLUMNS, ClipRow, count_damaged, read_clips, write_clips_table
from fairseq_ext.media.mouth.template import ANCHORS, KEPT, apply, compose, crop_matrix, invert, similarity
from fairseq_ext.media.mouth.writer import ClipFiles
from fairseq_ext.media.picture import Picture, display_matrix
from fairseq_ext.media.sound import Sound

TEMPLATE = np.array([(-0.5, 0.0), (-0.194, 0.019), (0.194, 0.019), (0.5, 0.0), (0.0, 0.545)])


def picture_at(time_s: float, duration_s: float = 0.04) -> Picture:
    return Picture(time_s, duration_s, np.zeros((2, 2), np.uint8), display_matrix(2, 2, 0, 1)[0], 2, 2, True)


def random_similarity(rng: np.random.Generator) -> np.ndarray:
    factor, shift = rng.uniform(0.2, 5) * np.exp(1j * rng.uniform(-3, 3)), rng.normal(0, 100, 2)
    return np.array([[factor.real, -factor.imag, shift[0]], [factor.imag, factor.real, shift[1]]])


def test_a_similarity_is_found_again() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        true, points = random_similarity(rng), rng.normal(0, 50, (5, 2))
        np.testing.assert_allclose(similarity(points, apply(true, points)), true, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(apply(invert(true), apply(true, points)), points, atol=1e-9)
        other = random_similarity(rng)
        np.testing.assert_allclose(
            apply(compose(other, true), points), apply(other, apply(true, points)), atol=1e-6
        )


def test_a_similarity_is_the_best_one() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(0, 10, (5, 2)), rng.normal(0, 10, (5, 2))
    best = similarity(source, target)

    def error(matrix: np.ndarray) -> float:
        return float(((apply(matrix, source) - target) ** 2).sum())

    for _ in range(50):
        turned = best.copy()
        a, b = rng.normal(0, 0.05, 2)
        turned[:, :2] += [[a, -b], [b, a]]
        turned[:, 2] += rng.normal(0, 0.1, 2)
        assert error(best) <= error(turned)


def test_the_crop_is_upright_centred_and_of_one_size() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        pose = random_similarity(rng)
        anchors, mouth = apply(pose, TEMPLATE), apply(pose, np.array([0.0, 0.82]))
        matrix = crop_matrix(anchors, mouth)
        np.testing.assert_allclose(apply(matrix, mouth), [47.5, 47.5], atol=1e-6)
        eyes = apply(matrix, anchors[[0, 3]])
        np.testing.assert_allclose(eyes[1] - eyes[0], [80, 0], atol=1e-6)
        assert eyes[0, 1] < 47.5  # above the mouth


@pytest.mark.parametrize("rate", [25, 24, 29.97, 30, 50, 60, 15])
def test_the_clock_shows_the_nearest_picture(rate: float) -> None:
    clock = FrameClock(None, None)
    times = [3.2 + i / rate for i in range(round(4 * rate))]
    shown = [p for t in times for p in clock.add(picture_at(t, 1 / rate))] + list(clock.finish())
    assert clock.origin_s == 3.2
    assert abs(len(shown) - 100) <= 1
    errors = [abs(p.time_s - 3.2 - n / 25) for n, p in enumerate(shown)]
    assert max(errors[:-1]) <= 0.5 / rate + 1e-6
    if rate == 25:
        assert [p.time_s for p in shown] == times


def test_uneven_times_stay_in_step() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.005, 0.09, 400)).tolist()
    clock = FrameClock(None, None)
    shown = [p for t in times for p in clock.add(picture_at(t))] + list(clock.finish())
    for n, picture in enumerate(shown[:-3]):
        tick = times[0] + n / 25
        assert abs(picture.time_s - tick) == pytest.approx(min(abs(t - tick) for t in times), abs=1e-9)


def test_rounded_time_stamps_drop_and_double_nothing() -> None:
    """A segment that starts between two pictures, whose stamps are in milliseconds as in Matroska."""
    times = [round(i / 25 + 0.0004 * (-1) ** i, 3) for i in range(200)]
    clock = FrameClock(2.02, 5.02)
    shown = [p.time_s for t in times for p in clock.add(picture_at(t))]
    assert len(shown) == len(set(shown)) == 75
    assert clock.done
    assert clock.origin_s == pytest.approx(2.02, abs=0.021)


@pytest.mark.parametrize(
    ("start_s", "end_s", "wanted"), [(0.0, 1.0, 25), (1.5, 3.0, 37), (3.9, 5.0, 2), (9.0, 9.5, 0)]
)
def test_segments_are_as_long_as_the_file_allows(start_s: float, end_s: float, wanted: int) -> None:
    clock = FrameClock(start_s, end_s)
    shown = [p for i in range(100) for p in clock.add(picture_at(i / 25))] + list(clock.finish())
    assert abs(len(shown) - wanted) <= 1
    assert len(shown) == clock.num_frames


def marks_at(x: float, y: float) -> np.ndarray:
    """Return the marks of a face 160 px between the eyes, the first of them at (x, y)."""
    marks = np.tile([80.0, 130.0], (len(KEPT), 1))
    marks[: len(ANCHORS)] = np.round(160 * (TEMPLATE - TEMPLATE[0]))
    return marks + np.array([x, y])


def run_smoother(marks: list[np.ndarray | None], cuts: set[int], half: int = 3, gap: int = 25) -> list[Frame]:
    smoother, out = Smoother(half, gap), []
    for i, seen in enumerate(marks):
        if i in cuts:
            out += smoother.end_scene()
        out += smoother.add(picture_at(i / 25), seen)
    return out + list(smoother.end_scene())


def test_even_motion_comes_through_unchanged() -> None:
    """Neither interpolation nor a centred window bends a straight line, so the crop never lags behind."""
    marks = [marks_at(2 * i, 100 - i) if i % 3 == 0 else None for i in range(61)]
    frames = run_smoother(marks, set())
    assert [round(f.picture.time_s * 25) for f in frames] == list(range(61))
    np.testing.assert_allclose(
        [f.smoothed[0] for f in frames], [(2 * i, 100 - i) for i in range(61)], atol=1e-9
    )
    assert [f.seen for f in frames] == [i % 3 == 0 for i in range(61)]


def test_noise_is_smoothed() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 1, (100, 2))
    frames = run_smoother([marks_at(*n) for n in noise], set(), half=6)
    assert np.std([f.smoothed[0] for f in frames[10:-10]]) < 0.5 * noise.std()


def test_nothing_crosses_a_cut() -> None:
    marks = [marks_at(0, 0) if i < 20 else marks_at(500, 300) for i in range(40)]
    marks = [m if i % 3 == 0 or i in {19, 20} else None for i, m in enumerate(marks)]
    frames = run_smoother(marks, {20})
    assert {tuple(f.smoothed[0]) for f in frames[:20]} == {(0.0, 0.0)}
    assert {tuple(f.smoothed[0]) for f in frames[20:]} == {(500.0, 300.0)}


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    for gap, ok in ((25, True), (26, False)):
        marks = [None if 10 <= i < 10 + gap else marks_at(i, 0) for i in range(60)]
        smoother = Smoother(3, 25)
        out = [f for i, m in enumerate(marks) for f in smoother.add(picture_at(i), m)] + list(
            smoother.end_scene()
        )
        assert (len(out) == 60, smoother.too_long) == (ok, not ok)


def test_scenes_without_the_face() -> None:
    first = [None] * 5 + [marks_at(7, 7)] * 10
    assert [f.smoothed[0, 0] for f in run_smoother(first, {5})] == [7.0] * 15
    last = [marks_at(7, 7)] * 10 + [None] * 5
    assert [f.smoothed[0, 0] for f in run_smoother(last, {10})] == [7.0] * 15
    assert run_smoother([None] * 10, set()) == []


def test_frames_waiting_are_bounded() -> None:
    smoother = Smoother(6, 25)
    waiting, num_out = 0, 0
    rng = np.random.default_rng(5)
    for i in range(5000):
        num_out += len(list(smoother.add(picture_at(i / 25), marks_at(0, 0) if rng.random() < 0.3 else None)))
        waiting = max(waiting, i + 1 - num_out)
    assert not smoother.too_long
    assert waiting <= 25 + 6 + 1
    assert len(smoother._known) <= 25 + 2 * 6 + 1


def ramp(num: int) -> np.ndarray:
    """Crops whose columns go from black to white."""
    return np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (num, 96, 1))


def write_clip(out: Path, clip_id: str) -> None:
    files = ClipFiles(out, clip_id, 10)
    for crop in ramp(30):
        files.add(crop)
    files.sound.add(Sound(1000, np.full(800, 5, np.int16)), 1200, None)
    files.sound.add(Sound(5000, np.full(800, -7, np.int16)), 1200, None)
    files.commit(19200, {"seen": np.ones(30, bool)})
    files.close()


def test_files_hold_black_to_white_and_sound_in_its_place(tmp_path: Path) -> None:
    write_clip(tmp_path, "a/b")
    with av.open(str(tmp_path / "video/a/b.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (96, 96, 25)
        frames = list(container.decode(stream))
    assert len(frames) == 30
    assert {(f.format.name, int(f.color_range)) for f in frames} == {("yuvj420p", 2)}
    read = np.frombuffer(frames[7].planes[0], np.uint8).reshape(-1, frames[7].planes[0].line_size)[:, :96]
    assert np.abs(read.astype(int) - ramp(1)[0]).max() <= 4
    assert read.min() <= 3
    assert read.max() >= 252
    with wave.open(str(tmp_path / "audio/a/b.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 16000, 19200)
        samples = np.frombuffer(file.readframes(19200), np.int16)
    assert np.flatnonzero(samples == 5).tolist() == list(range(600))  # what came before the clip is left out
    assert np.flatnonzero(samples == -7).tolist() == list(range(3800, 4600))
    assert np.count_nonzero(samples) == 1400


def test_the_same_clip_gives_the_same_bytes_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_clip(tmp_path / name, "x")
    for folder, suffix in (("video", "mp4"), ("audio", "wav"), ("landmarks", "npz")):
        first, second = ((tmp_path / name / folder / f"x.{suffix}").read_bytes() for name in ("one", "two"))
        assert first == second
    assert [p for p in (tmp_path / "one" / ".partial").rglob("*") if p.is_file()] == []


ENCODE = """
import hashlib, sys
import numpy as np
from fairseq_ext.media.mouth.writer import GreyWriter
from pathlib import Path
writer = GreyWriter(Path(sys.argv[1]), 18)
y, x = np.mgrid[:96, :96] / 96
for t in np.arange(60) / 25:
    mouth = 40 * np.sin(12 * t) * np.exp(-((x - 0.5) ** 2 + (y - 0.5 - 0.05 * np.sin(9 * t)) ** 2) * 40)
    writer.add((128 + 60 * np.sin(6 * x + 2 * np.sin(3 * t)) * np.cos(5 * y + t) + mouth).astype(np.uint8))
writer.close()
print(hashlib.sha256(Path(sys.argv[1]).read_bytes()).hexdigest())
"""


def test_the_bytes_do_not_depend_on_what_memory_held(tmp_path: Path) -> None:
    """x264's macroblock tree made them; glibc fills memory with another byte in each of these processes."""
    found = set()
    for fill in ("0", "77", "165"):
        command = [sys.executable, "-c", ENCODE, str(tmp_path / "x.mp4")]
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        found.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(found) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from fairseq_ext.media.mouth.writer import ClipFiles
calls = 0
def fsync(descriptor, call=os.fsync):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    call(descriptor)
os.fsync = fsync
files = ClipFiles(sys.argv[1], "x", 10)
files.add(np.zeros((96, 96), np.uint8))
files.show(b"a picture", Path(sys.argv[1]) / "rejected" / "x.jpg")
files.commit(640, {"seen": np.ones(1)})
"""


@pytest.mark.parametrize(
    ("kill_at", "there"),
    [(1, []), (3, ["rejected/x.jpg"]), (5, ["rejected/x.jpg", "video/x.mp4"])],
)
def test_killed_before_a_file_is_on_the_disk(tmp_path: Path, kill_at: int, there: list[str]) -> None:
    """Two calls of fsync per file, the first before it has its name; nothing is left but in .partial."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(kill_at)], check=False)
    assert done.returncode == -signal.SIGKILL
    names = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(str(n) for n in names if n.parts[0] != ".partial") == there
    assert any(n.parts[0] == ".partial" for n in names)


def test_an_attempt_that_ends_early_leaves_no_clip(tmp_path: Path) -> None:
    write_clip(tmp_path, "x")
    files = ClipFiles(tmp_path, "x", 10)  # with other settings, say
    files.add(ramp(1)[0])
    files.close()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_the_table_comes_back(tmp_path: Path) -> None:
    rows = [
        ClipRow(
            "a/1", "a.mp4", 1.25, 3.123456, 47, 30080, 0.98, 0.12, 120.5, 0.3, 4.0, 2, "largest", 1, 1, -0.02
        ),
        ClipRow("a/2", "a.mp4", status="rejected", reason="no_face", detail="two\tcells\nand lines"),
        ClipRow("ça", "b.mkv"),
    ]
    counts = write_clips_table(tmp_path, iter(rows))
    assert counts == {"": 2, "no_face": 1}
    assert list(read_clips(tmp_path)) == [rows[0], rows[2]]
    assert [r.detail for r in read_clips(tmp_path, status="rejected")] == ["two cells and lines"]
    assert "no_face\t1\t0.3333\t" in (tmp_path / "rejections.tsv").read_text(encoding="utf-8")
    assert ClipRow.from_json(rows[0].to_json()) == rows[0]


def test_clips_of_damaged_files_are_counted(tmp_path: Path) -> None:
    rows = [
        ClipRow("whole", "a.mp4", missing_s=0.066),
        ClipRow("cut", "b.mp4", missing_s=1.6),
        ClipRow("bad", "c.mp4", num_bad_packets=1),
        ClipRow("rejected", "d.mp4", num_bad_packets=1, status="rejected", reason="no_face"),
    ]
    write_clips_table(tmp_path, rows)
    assert count_damaged(tmp_path) == 2
    assert [row.id for row in rows if row.is_damaged] == ["cut", "bad", "rejected"]


def test_a_damaged_table(tmp_path: Path) -> None:
    write_clips_table(tmp_path, [ClipRow("a", "a.mp4", num_frames=10)])
    text = (tmp_path / "clips.tsv").read_text()
    (tmp_path / "clips.tsv").write_text(text.replace("\t10\t", "\tten\t"))
    with pytest.raises(ValueError, match=r"clips.tsv:2: expected a number as num_frames, found 'ten'"):
        list(read_clips(tmp_path))
    (tmp_path / "clips.tsv").write_text("id\tpath\n")
    with pytest.raises(ValueError, match=f"clips.tsv:1: expected columns {COLUMNS[0]}, "):
        list(read_clips(tmp_path))


def test_settings_outside_their_range() -> None:
    for wrong in ({"input": "lips"}, {"detect_every": 0}, {"mouth_scale": 0.0}, {"max_gap_s": -1.0}):
        with pytest.raises(ValueError, match=r"expected .*, found"):
            MouthSettings(**wrong)


def test_the_anchors_are_the_first_of_the_marks() -> None:
    assert KEPT[: len(ANCHORS)] == ANCHORS
    assert len(set(KEPT)) == len(KEPT) == 45
