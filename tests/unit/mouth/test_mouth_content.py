"""What crops hold and how they follow a moving head: on drawn pictures, synthetic faces and the cases that failed."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.mouth import PATHS, off_px, write_moved

from fairseq_ext.media.mouth.content import Content, follows_sound
from fairseq_ext.media.mouth.landmarker import Landmarker
from fairseq_ext.media.mouth.motion import bend
from fairseq_ext.media.mouth.table import COLUMNS, ClipRow, read_clips, write_clips_table
from fairseq_ext.media.picture import Picture, display_matrix
from fairseq_ext.synthetic.faces.look import draw_look
from fairseq_ext.synthetic.faces.scene import Actor, Shot, render
from fairseq_ext.synthetic.faces.visemes import mouth_track
from fairseq_ext.synthetic.speech import Phoneme

pytestmark = pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")  # of protobuf, in MediaPipe
SHARED = Path(__file__).resolve().parents[4] / "shared"
CASES = SHARED / "cases" / "video"
SIDE = 200
RNG = np.random.default_rng(0)
TEXTURE = 120 + sum(cv2.GaussianBlur(RNG.normal(0, 50 * s, (SIDE, SIDE)), (0, 0), s) for s in (1.5, 3, 6, 12))


def picture_of(levels: np.ndarray, number: int = 0) -> Picture:
    height, width = levels.shape
    luma = np.clip(levels, 0, 255).astype(np.uint8)
    return Picture(number / 25, 0.04, luma, display_matrix(width, height, 0, 1)[0], width, height, True)


def moved(x: float, y: float) -> np.ndarray:
    move = np.array([[1.0, 0, x], [0, 1, y]])
    return cv2.warpAffine(TEXTURE, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def measure(pictures: list[np.ndarray], x: float = 50, y: float = 50) -> Content:
    """Measure crops of 96 px at (x, y), with a detection on every fifth picture."""
    content = Content()
    matrix = np.array([[1.0, 0, -x], [0, 1, -y]])
    for number, levels in enumerate(pictures):
        picture = picture_of(levels, number)
        crop = cv2.warpAffine(picture.luma, matrix, (96, 96), borderMode=cv2.BORDER_REPLICATE)
        content.add(picture, matrix, crop, seen=number % 5 == 0)
    return content


def test_the_share_outside_of_the_picture() -> None:
    for x, y, share in ((50, 50, 0.0), (-48, 50, 0.5), (50, 152, 0.5), (152, -48, 0.75)):
        assert measure([TEXTURE], x, y).outside == pytest.approx(share, abs=0.05)


def test_contrast() -> None:
    full = measure([TEXTURE]).contrast
    assert full is not None
    assert full > 20
    assert measure([120 + (TEXTURE - 120) / 10]).contrast == pytest.approx(full / 10, rel=0.1)


def test_a_photograph_moves_no_lips_however_it_is_moved() -> None:
    still = measure([TEXTURE + RNG.normal(0, 2, TEXTURE.shape) for _ in range(30)])
    carried = measure([moved(3 * np.sin(i / 3), 2 * np.cos(i / 4)) for i in range(30)])
    talk = []
    for number in range(30):
        levels = TEXTURE.copy()
        levels[95:110, 80:115] -= 60 * (number // 5 % 2)  # an opening within the crop
        talk.append(levels)
    motions = [content.lip_motion or 0.0 for content in (still, carried, measure(talk))]
    assert max(motions[:2]) < 0.08 < motions[2]


@pytest.mark.parametrize(("every", "rate"), [(1, 25.0), (2, 12.5), (8, 3.1)])
def test_pictures_that_are_repeated(every: int, rate: float) -> None:
    noise = RNG.normal(0, 0.2, (50, *TEXTURE.shape))
    pictures = [moved(i // every * every * 0.7, 0) + noise[i] for i in range(50)]
    assert measure(pictures).picture_rate == pytest.approx(rate, abs=0.1)
    assert measure([TEXTURE] * 10).picture_rate == 0.0


def test_lips_that_move_with_the_sound() -> None:
    loud = np.abs(np.sin(np.arange(100) / 7)) * (np.arange(100) % 50 > 15)
    changes = (loud + RNG.uniform(0, 0.2, 100)).tolist()
    energies = 1e6 * loud + 10
    assert follows_sound(changes, energies) > 0.7
    assert follows_sound(changes, np.roll(energies, 25)) < 0.4
    assert follows_sound([0.0] * 100, energies) == follows_sound(changes, energies[:0]) == 0.0


def test_the_way_of_a_head_between_detections() -> None:
    way = np.array([(4 * np.sin(i / 2), 9 * np.sin(i * np.pi / 5)) for i in range(6)])
    pictures = [picture_of(moved(*shift), number) for number, shift in enumerate(way)]
    head, end = np.array([100.0, 100.0]), way[-1]
    found = bend(pictures[0], head, 70.0, pictures[1:], end)
    np.testing.assert_allclose(found, way[1:] - np.arange(1, 6)[:, None] / 5 * end, atol=0.8)
    straight = [picture_of(moved(2.0 * i, i), i) for i in range(6)]
    assert not bend(straight[0], head, 70.0, straight[1:], np.array([10.0, 5.0])).any()
    assert not bend(pictures[0], head, 70.0, pictures[1:], end + 30).any()  # the detections disagree


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a synthetic face that talks and keeps its head still."""
    pytest.importorskip("mediapipe", reason="needs pip install -e .[video]")
    said = [Phoneme(0.1 + 0.12 * i, 0.22 + 0.12 * i, sound) for i, sound in enumerate("amiobafem")]
    actor = Actor(draw_look(205, "male"), 0.5, 0.46, 100, mouth_track(said, 35, 25.0), liveliness=0.0)
    path = tmp_path_factory.mktemp("faces") / "face.mp4"
    planes = list(render(Shot(240, 240, 25.0, 35, (actor,), seed=3)))
    write_moved(path, [p[:240] for p in planes], np.zeros((35, 2)))
    return path


@pytest.mark.parametrize("name", ["still", "nod", "walk", "shake"])
def test_crops_follow_a_moving_synthetic_head(
    synthetic: Path, landmarker: Landmarker, tmp_path: Path, name: str
) -> None:
    assert off_px(synthetic, name, landmarker, tmp_path) < 2


@pytest.mark.parametrize("name", [name for name in PATHS if name != "still"])
def test_crops_follow_a_moving_head(grid: Path, landmarker: Landmarker, tmp_path: Path, name: str) -> None:
    assert off_px(grid / "lrwp9a.mpg", name, landmarker, tmp_path) < 2


def test_of_two_synthetic_people_the_one_who_speaks_is_taken(
    prepare: Callable[..., ClipRow], tmp_path: Path
) -> None:
    pytest.importorskip("mediapipe", reason="needs pip install -e .[video]")
    said = [Phoneme(0.1 + 0.12 * i, 0.22 + 0.12 * i, sound) for i, sound in enumerate("amiobafem")]
    speaker = Actor(draw_look(201, "male"), 0.28, 0.46, 70, mouth_track(said, 35, 25.0))
    listener = Actor(draw_look(301, "male"), 0.72, 0.46, 90)
    planes = list(render(Shot(480, 270, 25.0, 35, (speaker, listener), seed=1)))
    write_moved(tmp_path / "two.mp4", [p[:270] for p in planes], np.zeros((35, 2)))
    row = prepare(tmp_path / "two.mp4")
    assert (row.status, row.num_faces, row.choice) == ("ok", 2, "motion")
    assert row.face_size_px is not None
    assert row.face_size_px < 80
    alone = list(render(Shot(270, 270, 25.0, 35, (Actor(draw_look(301, "male"), 0.5, 0.46, 90),), seed=1)))
    write_moved(tmp_path / "listens.mp4", [p[:270] for p in alone], np.zeros((35, 2)))
    assert prepare(tmp_path / "listens.mp4").reason == "lips_still"


CLIPS = {
    "f_chincut.mp4": "face_outside",
    "f_halfface.mp4": "face_outside",
    "n_nod10.mp4": "",
    "n_pan.mp4": "face_late",
    "n_walk.mp4": "",
    "p_poster.mp4": "",
    "p_still.mp4": "lips_still",
    "s_outofphase.mp4": "",
    "s_two_tracks.mkv": "",
    "t_concat.ts": "joined",
    "v_h264_bf.avi": "",
    "lgbf8n.mp4": "face_late",
}


@pytest.mark.parametrize(("name", "reason"), CLIPS.items())
def test_cases(prepare: Callable[..., ClipRow], name: str, reason: str) -> None:
    path = SHARED / "data" / "grid_s1" / "video" / name if name.startswith("lgb") else CASES / name
    if not path.is_file():
        pytest.skip(f"no case {path}")
    row = prepare(path)
    assert row.reason == reason, row
    if not reason:
        assert (row.num_frames, row.num_bad_packets, row.audio) == (75, 0, "ok")
    if name == "p_poster.mp4":
        assert (row.num_faces, row.choice) == (2, "motion")
        assert row.face_size_px is not None
        assert row.face_size_px < 150  # the poster is larger
    if name == "s_two_tracks.mkv":
        assert row.tracks == "audio 2 of 2, default"


def test_a_table_from_before_the_measurements_is_read(tmp_path: Path) -> None:
    write_clips_table(tmp_path, [ClipRow("a", "a.mp4", num_frames=10, audio="ok", lip_motion=0.2)])
    new = ("tracks", "late_s", "outside", "contrast", "lip_motion", "picture_rate")
    kept = [i for i, name in enumerate(COLUMNS) if name not in new]
    table = tmp_path / "clips.tsv"
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    table.write_text("".join("\t".join(cells[i] for i in kept) + "\n" for cells in lines))
    assert list(read_clips(tmp_path)) == [ClipRow("a", "a.mp4", num_frames=10, audio="ok")]
