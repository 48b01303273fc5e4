"""Synthetic mTEDx: published layout, times that fit the audio, planted damage, disjoint splits."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fairseq_ext.synthetic import mtedx, phrases
from fairseq_ext.synthetic.films import Film, make_film
from fairseq_ext.synthetic.mtedx import Sizes, plan

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2", reason="needs pip install -e .[video]")
pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")
yaml = pytest.importorskip("yaml")

SPLITS = ("train", "valid", "test")
SMALL = Sizes(train_talks=1, valid_talks=1, test_talks=1, segments=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def plan_smaller_pictures(*args: Any) -> list[Film]:
        return [replace(film, width=192, height=108, unit_px=film.unit_px / 4) for film in plan(*args)]

    folder = tmp_path_factory.mktemp("corpus") / "mtedx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mtedx, "plan", plan_smaller_pictures)  # drawing takes most of the time
        counts = mtedx.write(folder, languages=("it", "pt"), sizes=SMALL, progress=False)
    assert counts == {"talks": 6, "videos": 5, "segments": 12}
    return folder


def segments(root: Path, language: str, split: str) -> list[dict[str, Any]]:
    """Return the rows of the three files, joined."""
    folder = root / f"{language}-{language}" / "data" / split / "txt"
    lines = (folder / "segments").read_text().splitlines()
    texts = (folder / f"{split}.{language}").read_text(encoding="utf-8").splitlines()
    records = yaml.safe_load((folder / f"{split}.yaml").read_text())
    rows = []
    for line, text, record in zip(lines, texts, records, strict=True):
        segment, talk, start_s, end_s = line.split(" ")
        rows.append(
            {
                "id": segment,
                "talk": talk,
                "start_s": float(start_s),
                "end_s": float(end_s),
                "text": text,
                **record,
            }
        )
    return rows


def truth(root: Path) -> list[dict[str, str]]:
    header, *lines = (root / "SYNTHETIC_truth.tsv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_it_has_the_published_layout(root: Path) -> None:
    assert {path.name for path in root.iterdir()} == {
        *("it-it", "pt-pt", "video", "SYNTHETIC.txt", "SYNTHETIC_truth.tsv")
    }
    for language in ("it", "pt"):
        for split in SPLITS:
            folder = root / f"{language}-{language}" / "data" / split
            assert {path.name for path in folder.iterdir()} == {"wav", "txt"}
            assert {p.name for p in (folder / "txt").iterdir()} == {
                "segments",
                f"{split}.yaml",
                f"{split}.{language}",
            }
            rows = segments(root, language, split)
            talks = {path.stem for path in (folder / "wav").glob("*.flac")}
            assert talks == {row["talk"] for row in rows}
            assert all(re.fullmatch(r"[\w-]{11}", talk) for talk in talks)
            for row in rows:
                assert re.fullmatch(rf"{row['talk']}_\d{{4}}", row["id"])
                assert row["wav"] == f"{row['talk']}.wav"
                assert row["offset"] == row["start_s"]
                assert row["duration"] == pytest.approx(row["end_s"] - row["start_s"])


def test_transcripts_are_spelled_as_published_and_of_the_right_side(root: Path) -> None:
    from fairseq_ext.synthetic.sentences import side_of

    for language in ("it", "pt"):
        for split, side in zip(SPLITS, ("train", "dev", "test"), strict=True):
            for row in segments(root, language, split):
                assert re.fullmatch(r"[A-ZÀ-Ý][^.]+\.", row["text"])
                words = tuple(row["text"].lower().removesuffix(".").split())
                assert set(words) <= phrases.vocabulary(language)
                assert side_of(words) == side


def test_times_fit_the_audio(root: Path) -> None:
    for language in ("it", "pt"):
        for split in SPLITS:
            rows = segments(root, language, split)
            path = root / f"{language}-{language}" / "data" / split / "wav" / f"{rows[0]['talk']}.flac"
            sound, rate = soundfile.read(path)
            assert rate == 44_100
            said = np.zeros(len(sound), bool)
            for row in rows:
                assert 1.0 < row["end_s"] - row["start_s"] < 6
                said[round(row["start_s"] * rate) : round(row["end_s"] * rate)] = True
            assert (
                0
                <= rows[0]["start_s"]
                < rows[0]["end_s"]
                < rows[1]["start_s"]
                < rows[1]["end_s"]
                < len(sound) / rate
            )
            assert np.mean(sound[said] ** 2) > 10 * np.mean(sound[~said] ** 2)


def test_videos_are_as_long_as_their_audio_and_some_are_missing(root: Path) -> None:
    planted = {row["path"]: row["planted"] for row in truth(root)}
    for path, what in planted.items():
        _, language, split, name = Path(path).parts
        if what == "video missing":
            assert not (root / path).exists()
            continue
        flac = root / f"{language}-{language}" / "data" / split / "wav" / name.replace(".mp4", ".flac")
        duration_s = soundfile.info(str(flac)).duration
        num_frames = 0
        with av.open(str(root / path)) as container:
            fps = float(container.streams.video[0].average_rate)
            try:
                num_frames = sum(1 for _ in container.decode(video=0))
            except av.error.InvalidDataError:
                assert "cut off" in what
        if "cut off" not in what:
            assert abs(num_frames / fps - duration_s) < 2 / fps
    assert sorted(what.split(" after")[0] for what in planted.values() if "video" in what) == [
        *("second face; video cut off", "video missing")
    ]


def test_planned_views_are_shown(tmp_path: Path) -> None:
    pytest.importorskip("mediapipe", reason="needs pip install -e .[video]")
    from mediapipe.python.solutions import face_mesh

    films = plan(mtedx.LANGUAGES, Sizes(train_talks=4, segments=2), seed=3)
    film = next(film for film in films if "slide" in film.planted and film.width == 640)
    rows = make_film(tmp_path, film)
    slide = int(film.planted.rsplit(" ", 1)[1])
    with av.open(str(tmp_path / str(film.video))) as container:
        frames = [
            (float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]
    with face_mesh.FaceMesh(static_image_mode=True, max_num_faces=2) as mesh:
        for row in rows:
            start_s, end_s = float(row[6]), float(row[7])
            inside = [frame for time_s, frame in frames if start_s < time_s < end_s - 0.04][::8]
            found = [len(mesh.process(frame).multi_face_landmarks or ()) for frame in inside]
            if int(row[1]) == slide:
                assert not any(found)
            else:
                assert np.mean([count == 1 for count in found]) > 0.9


def test_splits_share_no_speaker_and_plans_repeat() -> None:
    films = plan(mtedx.LANGUAGES, Sizes.of(speakers=8, minutes=4), seed=1)
    assert films == plan(mtedx.LANGUAGES, Sizes.of(speakers=8, minutes=4), seed=1)
    assert len(films) == 4 * (8 + 2 + 2)
    assert (
        len({film.speaker.name for film in films}) == len({film.speaker.look for film in films}) == len(films)
    )
    voices = {
        (v.variant, v.pitch, v.pitch_range, v.rate_wpm, v.tract_scale)
        for v in (f.speaker.voice for f in films)
    }
    assert len(voices) == len(films)
    train = [film for film in films if film.split == "train"]
    words = sum(len(film.sentences) for film in train)
    assert 4 * 4 * 60 / 3.3 * 0.9 < words < 4 * 4 * 60 / 3.3 * 1.1
    assert sum("second face" in film.planted for film in films) >= 4
    assert sum("slide" in film.planted for film in films) >= 4
    assert sum("wide" in film.planted for film in films) >= 4
    assert sum(film.video is None for film in films) == sum(film.keep < 1 for film in films) == 1
    assert {film.height for film in films} == {360, 720}


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="languages: found de, expected some of es, fr, it, pt;"):
        mtedx.write(tmp_path, languages=("de",), progress=False)
    with pytest.raises(ValueError, match="1 talk and 1 segment or more"):
        Sizes(test_talks=0)
    assert not list(tmp_path.iterdir())
