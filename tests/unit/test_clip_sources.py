"""Corpora as videos to cut: one entry per file, its segments, its sound, the position of its face."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.media.clip_sources import videos
from fairseq_ext.media.clips import Segment, VideoFile, videos_in, with_sound_beside


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_mtedx_groups_segments_by_talk(tmp_path: Path) -> None:
    text = tmp_path / "fr-fr/data/train/txt"
    text.mkdir(parents=True)
    (text / "segments").write_text("b_0 b 1.0 2.0\na_0 a 0.5 1.0\nb_1 b 0.2 1.5\ngone_0 gone 0.0 1.0\n")
    (text / "train.fr").write_text("un\ndeux\ntrois\nquatre\n")
    touch(tmp_path, "video/fr/train/a.mp4", "video/fr/train/b.mp4")
    (tmp_path / "fr-fr/data/train/wav").mkdir()
    soundfile.write(tmp_path / "fr-fr/data/train/wav/a.flac", np.zeros(80000), 16000)
    problems: list[str] = []
    found = list(videos("mtedx", tmp_path, languages=["fr"], splits=["train"], on_problem=problems.append))
    assert found == [
        VideoFile("video/fr/train/a.mp4", (Segment("fr/train/a_0", 0.5, 1.0),)),
        VideoFile(
            "video/fr/train/b.mp4", (Segment("fr/train/b_1", 0.2, 1.5), Segment("fr/train/b_0", 1.0, 2.0))
        ),
    ]
    assert any("gone" in problem for problem in problems)
    one = videos(
        "mtedx", tmp_path, only={"fr/train/b_0", "fr/train/x_0"}, splits=["train"], on_problem=problems.append
    )
    assert list(one) == [VideoFile("video/fr/train/b.mp4", (Segment("fr/train/b_0", 1.0, 2.0),))]
    (tmp_path / "video/fr/train/a.mp4").unlink()
    (tmp_path / "video/fr/train/b.mp4").unlink()
    assert (
        list(videos("mtedx", tmp_path, splits=["train"], on_problem=problems.append)) == []
    )  # never the sound


def test_voxceleb2_brings_its_sound(tmp_path: Path) -> None:
    clip = "id00012/21Uxsk56VDQ/00001"
    touch(tmp_path, f"dev/mp4/{clip}.mp4", f"dev/aac/{clip}.m4a", "vox2_meta.csv")
    assert list(videos("voxceleb2", tmp_path)) == [
        VideoFile(f"dev/mp4/{clip}.mp4", (Segment(clip),), audio=f"dev/aac/{clip}.m4a")
    ]


def test_avspeech_has_the_position_of_the_face(tmp_path: Path) -> None:
    (tmp_path / "avspeech_train.csv").write_text(
        "bbb,9.0,12.0,0.1,0.2\naaa,1.0,4.0,0.5,0.25\nbbb,1.0,5.0,0.3,0.4\n"
    )
    touch(tmp_path, "train/aaa_1.000000_4.000000.mp4", "video/bbb.mp4", "avspeech_test.csv")
    assert list(videos("avspeech", tmp_path)) == [
        VideoFile(
            "train/aaa_1.000000_4.000000.mp4", (Segment("aaa_1.000000_4.000000", face_at=(0.5, 0.25)),)
        ),
        VideoFile(
            "video/bbb.mp4",
            (
                Segment("bbb_1.000000_5.000000", 1.0, 5.0, (0.3, 0.4)),
                Segment("bbb_9.000000_12.000000", 9.0, 12.0, (0.1, 0.2)),
            ),
        ),
    ]


def test_another_corpus(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected one of .*, found 'lrs3'"):
        list(videos("lrs3", tmp_path))


def test_importing_it_loads_no_media_library() -> None:
    name = importlib.import_module("fairseq_ext.media.clip_sources").__name__
    code = f"import sys, {name}; print([m for m in ('av', 'cv2', 'torch', 'mediapipe') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_folder_of_videos_follows_links_and_logs_unreadable_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root / "below", elsewhere):
        folder.mkdir(parents=True)
    for path in (root / "a.mp4", elsewhere / "linked.mkv", root / "._a.mp4", root / "notes.txt"):
        path.write_bytes(b"x")
    (root / "below" / "link").symlink_to(elsewhere)
    (root / "below" / "up").symlink_to(root)
    (root / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert [video.path for video in videos_in(root)] == ["a.mp4", "below/link/linked.mkv", "gone.mp4"]
    with pytest.raises(ValueError, match="no videos found"):
        videos_in(tmp_path / "nowhere")
    assert "3 files passed over, such as ._a.mp4: a hidden file" in caplog.text
    assert f"{tmp_path / 'nowhere'}: no such file or folder" in caplog.text


def test_the_sound_of_a_mouth_crop_lies_beside_it(tmp_path: Path) -> None:
    names = ("video/fr/a.mp4", "audio/fr/a.wav", "video/b.mp4", "video/b.wav", "video/mute.mp4")
    for path in (tmp_path / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for root, prefix in ((tmp_path, "video/"), (tmp_path / "video", "")):
        found = [with_sound_beside(root, VideoFile(f"{prefix}{n}.mp4", ())) for n in ("fr/a", "b", "mute")]
        expected = [tmp_path / "audio/fr/a.wav", tmp_path / "video/b.wav", None]
        assert [video.audio and (root / video.audio).resolve() for video in found] == expected
