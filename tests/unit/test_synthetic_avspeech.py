"""Synthetic AVSpeech: list and clips in the published layout, faces in place, the damage of real downloads."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.media.audio import load
from fairseq_ext.synthetic import avspeech, mtedx, voxceleb2
from fairseq_ext.synthetic.avspeech import Sizes, plan
from fairseq_ext.synthetic.films import cast, make_film

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2", reason="needs pip install -e .[video]")
pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "avspeech"
    assert avspeech.write(folder, sizes=Sizes(4, 2), progress=False) == {"clips": 4, "lines": 6}
    return folder


def rows(root: Path) -> dict[str, list[str]]:
    """Return the lines of the list by name of the clip."""
    with open(root / "avspeech_train.csv", newline="") as file:
        return {f"{row[0]}_{row[1]}_{row[2]}.mp4": row for row in csv.reader(file)}


def planted(root: Path) -> dict[str, str]:
    lines = (root / "SYNTHETIC_truth.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {Path(line.split("\t")[0]).name: line.split("\t")[5] for line in lines}


def test_it_has_the_published_layout(root: Path) -> None:
    lines = (root / "avspeech_train.csv").read_text().splitlines()
    assert len(lines) == 6
    number = r"\d+\.\d{6}"
    assert all(re.fullmatch(rf"[\w-]{{11}},{number},{number},0\.\d{{6}},0\.\d{{6}}", line) for line in lines)
    clips = {path.name for path in (root / "train").iterdir()}
    assert clips < set(rows(root))
    assert clips == set(planted(root))
    assert len(clips) == 4


def test_clips_have_the_duration_in_their_names(root: Path) -> None:
    sizes, rates = set(), set()
    for name, what in planted(root).items():
        _, start_s, end_s, _, _ = rows(root)[name]
        length_s = float(end_s) - float(start_s)
        assert 1.5 < length_s < 10
        with av.open(str(root / "train" / name)) as container:
            assert bool(container.streams.video) == (what != "no picture")
            if container.streams.video:
                stream = container.streams.video[0]
                sizes.add((stream.width, stream.height))
                rates.add(stream.average_rate)
                num_frames = sum(1 for _ in container.decode(video=0))
                assert abs(num_frames / stream.average_rate - length_s) < 0.1
        sound = load(root / "train" / name, sample_rate_hz=16_000)
        assert abs(len(sound) / 16_000 - length_s) < 0.06
        assert np.abs(sound).max() > 0.01
    assert sizes == {(640, 360), (1280, 720)}
    assert len(rates) == 2


def test_faces_are_where_the_list_has_them(root: Path) -> None:
    pytest.importorskip("mediapipe", reason="needs pip install -e .[video]")
    from mediapipe.python.solutions import face_mesh

    with face_mesh.FaceMesh(static_image_mode=True, max_num_faces=3) as mesh:
        for name, what in planted(root).items():
            if what == "no picture":
                continue
            with av.open(str(root / "train" / name)) as container:
                frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
            faces = [
                np.array([(p.x, p.y) for p in face.landmark])
                for face in mesh.process(frame).multi_face_landmarks
            ]
            assert len(faces) == (2 if what == "second, larger face" else 1), name
            x, y = map(float, rows(root)[name][3:])
            away = [np.abs((f.max(0) + f.min(0)) / 2 - (x, y)).max() for f in faces]
            speaker = int(np.argmin(away))
            assert away[speaker] < 0.06, (name, away)
            if len(faces) == 2:
                heights = [np.ptp(face[:, 1]) for face in faces]
                assert heights[speaker] < min(np.delete(heights, speaker))


def test_one_clip_is_silent_and_rates_vary(tmp_path: Path) -> None:
    films = plan(Sizes(12, 0), seed=1)
    assert [f.planted for f in films if f.planted].count("second, larger face") == 1
    assert len({film.fps for film in films}) == 5
    silent = next(film for film in films if film.is_muted)
    assert silent.planted == "no sound"
    make_film(tmp_path, replace(silent, width=64, height=36, unit_px=10.0))
    assert np.abs(load(tmp_path / silent.name, sample_rate_hz=16_000)).max() < 1e-4
    with av.open(str(tmp_path / silent.name)) as container:
        assert container.streams.audio


def test_no_speaker_is_in_two_corpora() -> None:
    people = [
        speaker
        for corpus in ("mtedx", "voxceleb2", "avspeech")
        for language in ("fr", "it", "es", "pt")
        for speaker in cast(corpus, language, 12, seed=1)
    ]
    assert len({person.name for person in people}) == len(people)
    assert len({person.look for person in people}) == len(people)
    assert len(
        {(p.voice.variant, p.voice.pitch, p.voice.rate_wpm, p.voice.tract_scale) for p in people}
    ) == len(people)
    assert cast("mtedx", "fr", 3, seed=1) == cast("mtedx", "fr", 5, seed=1)[:3]
    used = [
        {film.speaker.name for film in films}
        for films in (
            mtedx.plan(mtedx.LANGUAGES, mtedx.Sizes(), 1),
            voxceleb2.plan(voxceleb2.Sizes(), 1),
            plan(Sizes(5, 0), 1),
        )
    ]
    assert sum(map(len, used)) == len(set.union(*used))


def test_a_removed_clip_is_made_again_with_the_same_bytes(root: Path) -> None:
    clip = next((root / "train").glob("*.mp4"))
    content = clip.read_bytes()
    clip.unlink()
    avspeech.write(root, sizes=Sizes(4, 2), progress=False)
    assert clip.read_bytes() == content


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="1 clip or more expected"):
        Sizes(0)
    assert Sizes.of(minutes=11).clips == 200
