"""Several, small, hidden or missing faces: each gives a centred mouth, or a reason why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from unit.mouth.crops import check_mouth

from fairseq_ext.corpora.avspeech import recordings_folder
from fairseq_ext.jobs import Item
from fairseq_ext.media.clip_sources import videos
from fairseq_ext.media.mouth.clip import rejected_image
from fairseq_ext.media.mouth.prepare import MouthWork, items
from fairseq_ext.media.mouth.settings import MouthSettings
from fairseq_ext.media.mouth.table import REASONS, ClipRow

pytestmark = pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")  # of protobuf, in MediaPipe
Prepare = Callable[..., ClipRow]
Make = Callable[..., Path]
TIMES = [i / 25 for i in range(75)]


def two_faces(talk: Any, other_talk: Any) -> np.ndarray:
    """Draw the other speaker at 3/4 of the size on the left, the talk on the right: (T, 288, 630, 3)."""
    small = np.stack([cv2.resize(p, (270, 216), interpolation=cv2.INTER_AREA) for p in other_talk.pictures])
    return np.concatenate([np.pad(small, ((0, 0), (36, 36), (0, 0), (0, 0))), talk.pictures], axis=2)


def test_two_faces(
    talk: Any, other_talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any
) -> None:
    path = make_video(tmp_path / "two.mp4", two_faces(talk, other_talk), TIMES, talk.sound)
    row = prepare(path)
    check_mouth(tmp_path / "out", row, clip_of(tmp_path / "out", "two"))
    assert (row.num_faces, row.choice) == (2, "largest")
    largest = clip_of(tmp_path / "out", "two").astype(int)
    row = prepare(path, clip_id="at", face_at=(0.2, 0.6))
    check_mouth(tmp_path / "out", row, clip_of(tmp_path / "out", "at"))
    assert (row.num_faces, row.choice) == (2, "nearest")
    assert np.abs(clip_of(tmp_path / "out", "at") - largest).mean() > 5
    nobody = prepare(path, clip_id="nobody", face_at=(0.5, 0.02))
    assert nobody.reason == "no_face"
    assert "2 faces found" in nobody.detail


def test_each_segment_of_a_whole_video_has_its_own_speaker(
    talk: Any, other_talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any
) -> None:
    """As AVSpeech lists them, through an item of work; segments overlap, and one has no position."""
    path = make_video(tmp_path / "two.mp4", two_faces(talk, other_talk), TIMES, talk.sound)
    (tmp_path / "avspeech_train.csv").write_text(
        "two,0.0,1.6,0.2,0.6\ntwo,1.2,2.8,0.75,0.6\ntwo,0.4,1.4,2,2\n"
    )
    (item,) = items(recordings_folder(tmp_path), videos("avspeech", tmp_path))
    work = MouthWork(str(tmp_path), str(tmp_path / "out"), MouthSettings())
    rows = work(Item(item.id, json.loads(json.dumps(item.data))))["clips"]
    chosen = {row["id"].split("_")[1]: (row["status"], row["choice"]) for row in rows}
    assert chosen == {
        "0.000000": ("ok", "nearest"),
        "0.400000": ("ok", "largest"),
        "1.200000": ("ok", "nearest"),
    }
    prepare(path, 0.0, 2.8, clip_id="left", face_at=(0.2, 0.6))
    prepare(path, 0.0, 2.8, clip_id="right", face_at=(0.75, 0.6))
    faces = {name: clip_of(tmp_path / "out", name).astype(int) for name in ("left", "right")}
    for start, end, name in ((0, 40, "left"), (10, 35, "right"), (30, 70, "right")):
        crops = clip_of(tmp_path / "out", f"two_{start / 25:.6f}_{end / 25:.6f}")
        near = {n: np.abs(crops[8:-8] - face[start:end][8:-8]).mean() for n, face in faces.items()}
        assert min(near, key=near.__getitem__) == name
        assert near[name] < 0.5 * max(near.values())


def test_a_wide_shot(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any) -> None:
    """A face of some 50 px in 1280x720, which the detector does not see in the whole picture."""
    rng = np.random.default_rng(7)
    wide = np.repeat((rng.random((1, 720, 1280, 1)) * 40 + 70).astype(np.uint8), 3, axis=3).repeat(40, axis=0)
    face = [cv2.resize(p[60:288, 60:260], (70, 80), interpolation=cv2.INTER_AREA) for p in talk.pictures[:40]]
    wide[:, 300:380, 900:970] = np.stack(face)
    row = prepare(make_video(tmp_path / "wide.mp4", wide, TIMES[:40], talk.sound[:25600]))
    check_mouth(tmp_path / "out", row, clip_of(tmp_path / "out", "wide"))
    assert 40 < row.face_size_px < 55
    assert prepare(tmp_path / "wide.mp4", min_face_px=60.0).reason == "face_small"
    assert not (tmp_path / "out/video/wide.mp4").exists()


def test_no_face_is_rejected_and_shown(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    noise = np.random.default_rng(8).integers(0, 255, (1, 288, 360, 3), dtype=np.uint8).repeat(40, axis=0)
    row = prepare(make_video(tmp_path / "none.mp4", noise, TIMES[:40], talk.sound[:25600]))
    assert (row.status, row.reason, row.detection_rate) == ("rejected", "no_face", 0.0)
    assert "--input mouth" in REASONS["no_face"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file()) == ["none.jpg"]
    assert cv2.imread(str(rejected_image(tmp_path / "out", "none"))).shape == (256, 320, 3)


def test_a_face_that_goes_away(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    for first, last, reason in ((30, 40, ""), (30, 55, ""), (30, 56, "face_lost"), (20, 70, "face_lost")):
        pictures = talk.pictures.copy()
        pictures[first:last] = 128
        path = make_video(tmp_path / f"{first}-{last}.mp4", pictures, TIMES, talk.sound)
        row = prepare(path, min_detection_rate=0.0)
        assert row.reason == reason, row
        assert row.num_cuts == 2
        assert row.longest_gap_s == (last - first) / 25
    assert row.detail == "out of sight for 2.00 s"


def test_a_face_that_is_covered(talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path) -> None:
    """There is no cut, so the gap is from the first failed detection to the next successful one."""
    pictures = talk.pictures.copy()
    pictures[31:44, 60:270, 90:280] = 128
    path = make_video(tmp_path / "covered.mp4", pictures, TIMES, talk.sound)
    row = prepare(path)
    assert (row.reason, row.num_cuts, row.num_resets, row.longest_gap_s) == ("", 0, 1, 0.4)
    assert prepare(path, max_gap_s=0.4).reason == ""
    assert prepare(path, max_gap_s=0.36).reason == "face_lost"
    pictures[31:] = pictures[31:32]
    row = prepare(make_video(tmp_path / "to_the_end.mp4", pictures[:50], TIMES[:50]), min_detection_rate=0.0)
    assert (row.reason, row.longest_gap_s) == ("", 0.6)


def test_a_scene_cut_to_another_speaker(
    talk: Any, other_talk: Any, make_video: Make, prepare: Prepare, tmp_path: Path, clip_of: Any
) -> None:
    """No crop after the cut is interpolated between the positions of the two faces."""
    pictures = np.concatenate([talk.pictures[:37], np.roll(other_talk.pictures[37:], 90, axis=2)])
    row = prepare(make_video(tmp_path / "cut.mp4", pictures, TIMES, talk.sound))
    check_mouth(tmp_path / "out", row, clip_of(tmp_path / "out", "cut"))
    assert (row.num_cuts, row.num_resets) == (1, 1)
