"""Synthetic VoxCeleb2: published layout, no language labels, damaged clips, continued after a kill."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from folder_contents import contents

from fairseq_ext.jobs import status
from fairseq_ext.leftovers import temporary_path
from fairseq_ext.media.audio import load
from fairseq_ext.synthetic import voxceleb2
from fairseq_ext.synthetic.voxceleb2 import Sizes, plan

av = pytest.importorskip("av")
pytest.importorskip("cv2", reason="needs pip install -e .[video]")
pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

SMALL = Sizes(dev_speakers=4, test_speakers=1, videos=1, clips=1)
REPOSITORY = Path(__file__).parents[2]


def truth(root: Path) -> list[dict[str, str]]:
    header, *lines = (root / "SYNTHETIC_truth.tsv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "vox2"
    assert voxceleb2.write(folder, sizes=SMALL, progress=False) == {"speakers": 5, "clips": 5}
    return folder


def test_it_has_the_published_layout(root: Path) -> None:
    videos = {str(p.relative_to(root)) for p in root.rglob("*.mp4")}
    sounds = {str(p.relative_to(root)) for p in root.rglob("*.m4a")}
    pattern = r"(dev|test)/mp4/id\d{5}/[\w-]{11}/\d{5}\.mp4"
    assert all(re.fullmatch(pattern, path) for path in videos)
    assert sounds == {path.replace("/mp4/", "/aac/").replace(".mp4", ".m4a") for path in videos}
    assert {path.name for path in root.iterdir()} == {
        *("dev", "test", "vox2_meta.csv", "SYNTHETIC.txt", "SYNTHETIC_truth.tsv")
    }
    header, *rows = (root / "vox2_meta.csv").read_text().splitlines()
    assert header == "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set "
    assert all(re.fullmatch(r"id(\d{5}) ,n0\1 ,[mf] ,(dev|test) ", row) for row in rows)
    assert {row.split(" ,")[0] for row in rows} == {Path(path).parts[2] for path in videos}
    everything = " ".join([*videos, header, *rows])
    assert not re.search(r"\b(fr|it|es|pt|en)\b", everything)  # the language is not stated


def test_clips_are_square_at_25_frames_and_as_long_as_their_sound(root: Path) -> None:
    for row in truth(root):
        if row["planted"]:
            continue
        with av.open(str(root / row["path"])) as container:
            video = container.streams.video[0]
            assert (video.width, video.height, video.average_rate) == (224, 224, 25)
            assert not container.streams.audio
            num_frames = sum(1 for _ in container.decode(video=0))
        sound = load(
            root / row["path"].replace("mp4/", "aac/", 1).replace(".mp4", ".m4a"), sample_rate_hz=16_000
        )
        assert abs(num_frames / 25 - len(sound) / 16_000) < 0.11
        start, end = (round(float(row[name]) * 16_000) for name in ("start_s", "end_s"))
        rest = np.concatenate([sound[:start], sound[end:]])
        assert np.mean(sound[start:end] ** 2) > 10 * np.mean(rest**2)


def test_the_table_of_truth_has_language_words_and_phonemes(root: Path) -> None:
    rows = truth(root)
    assert [row["language"] for row in rows] == ["fr", "it", "es", "pt", "en"]
    for row in rows:
        words, phonemes = json.loads(row["words"]), json.loads(row["phonemes"])
        assert [word for word, _, _ in words] == row["text"].split()
        for spans in (words, phonemes):
            times = np.array([[start_s, end_s] for _, start_s, end_s in spans])
            assert (times[:, 0] <= times[:, 1]).all()
            assert (times[1:, 0] >= times[:-1, 1] - 1e-3).all()
            assert float(row["start_s"]) <= times[0, 0] < times[-1, 1] <= float(row["end_s"])


def test_one_clip_is_truncated(root: Path) -> None:
    damaged = [row["path"] for row in truth(root) if row["planted"]]
    assert len(damaged) == 1
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(root / damaged[0]))


def test_larger_sizes_have_distinct_speakers_and_faces() -> None:
    films = plan(Sizes.of(speakers=20, minutes=10), seed=1)
    assert len({film.name for film in films}) == len(films)
    assert 180 <= len(films) / 22 * 20 <= 220
    speakers = {Path(film.name).parts[2]: film.speaker for film in films}
    assert len(speakers) == 22
    assert len({s.name for s in speakers.values()}) == len({s.look for s in speakers.values()}) == 22
    dev, test = ({f.speaker.name for f in films if f.split == split} for split in ("dev", "test"))
    assert not dev & test
    others = {film.speaker.look for film in plan(SMALL, seed=2)}
    assert not others & {speaker.look for speaker in speakers.values()}
    assert [film.planted for film in films if film.planted] == ["mp4 cut off, unreadable", "m4a missing"]


def test_a_killed_run_continues_and_ends_the_same(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "vox2"
    code = (
        "from fairseq_ext.synthetic import voxceleb2 as v; "
        f"v.write({str(out)!r}, sizes=v.Sizes(4, 1, 1, 1), num_workers=2, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(out.rglob("*.mp4"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # with its workers, which would tidy up meanwhile
    process.wait()
    state = status(out / ".jobs" / "voxceleb2").states["done"]
    # Without .NAME, which may be a finished chunk that was about to lose this name.
    parts = list(out.glob(".jobs/voxceleb2/work-*/parts/*/[!.]*"))
    if parts:
        with open(parts[0], "ab") as file:
            file.write(b'0123abcd {"index":0,"id":"dev/mp4/id00')  # a line cut off
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    assert done
    left = temporary_path(next(iter(done)).with_name("clip.mp4"))
    left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{process.pid}-")).write_bytes(b"half")
    voxceleb2.write(out, sizes=SMALL, progress=False)
    assert contents(out) == contents(root)
    assert sum(path.stat().st_mtime_ns == time_ns for path, time_ns in done.items()) >= state
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.m*")}
    voxceleb2.write(out, sizes=SMALL, progress=False)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.m*")}


def test_real_corpora_and_other_settings_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    with pytest.raises(ValueError, match=r"the folder has files but no SYNTHETIC\.txt"):
        voxceleb2.write(tmp_path, sizes=SMALL, progress=False)
    with pytest.raises(ValueError, match=r"the settings .* expected, found .*choose another folder"):
        voxceleb2.write(root, sizes=SMALL, seed=2, progress=False)
    with pytest.raises(ValueError, match="1 or more expected"):
        Sizes(dev_speakers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["dev"]


def test_the_command_requires_both_amounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["make_synthetic.py", "voxceleb2", "--out", str(tmp_path / "v"), "--speakers", "2"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=r"make_synthetic\.py: --speakers and --minutes go together"):
        runpy.run_path(str(REPOSITORY / "tools" / "make_synthetic.py"), run_name="__main__")
