"""The command: a folder in, clips and a table out; killed and called again; audit pages."""

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fairseq_ext.media.mouth.audit import badness, strip_of, write_audit
from fairseq_ext.media.mouth.table import ClipRow, read_clips, write_clips_table

TOOL = Path(__file__).resolve().parents[3] / "tools" / "prepare_mouth.py"


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(*arguments: str | Path) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the clips and the table, by name."""
    names = ("video", "audio", "landmarks", "rejected")
    found = [p for name in names for p in (folder / name).rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in [*found, folder / "clips.tsv"]}


@pytest.fixture(scope="module")
def source(grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with three talks, one in a subfolder, a truncated one, a text named as a video, and notes."""
    folder = tmp_path_factory.mktemp("source")
    for name, target in (("bbaf2n", "a.mpg"), ("lrwp9a", "below/ç d.mpg"), ("lbbc2a", "e.mpg")):
        (folder / target).parent.mkdir(exist_ok=True)
        shutil.copy(grid / f"{name}.mpg", folder / target)
    whole = (grid / "lbbc2a.mpg").read_bytes()
    (folder / "cut.mpg").write_bytes(whole[: len(whole) // 2])
    (folder / "broken.mp4").write_text("not a video")
    (folder / "notes.txt").write_text("not a video either")
    return folder


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return the clips of an undisturbed run, and its output."""
    out = tmp_path_factory.mktemp("finished")
    status, printed, errors = call("--source", source, "--out", out, "--workers", "0", "--audit")
    assert status == 0, errors
    return out, printed, errors


def test_a_folder_becomes_clips_and_a_table(finished: tuple[Path, str, str]) -> None:
    out, printed, _ = finished
    rows = list(read_clips(out, status=None))
    assert [(r.id, r.status, r.reason) for r in rows] == [
        ("a", "ok", ""),
        ("below/ç d", "ok", ""),
        ("broken", "rejected", "unreadable"),
        ("cut", "ok", ""),
        ("e", "ok", ""),
    ]
    assert "4 clips, 1 rejected" in printed
    assert "1 accepted clips are from files that are cut off or damaged" in printed
    assert (out / "video/below/ç d.mp4").is_file()
    assert not (out / ".partial").exists()


def test_messages_of_mediapipe_are_hidden(finished: tuple[Path, str, str]) -> None:
    for noise in ("INFO:", "WARNING", "W0000", "I0000", "GetPrototype", "absl", "TensorFlow"):
        assert noise not in finished[2]


def test_killed_and_called_again(source: Path, finished: tuple[Path, str, str], tmp_path: Path) -> None:
    """Killed when the first clip is there; the second call keeps it, and all bytes are those of one call."""
    process = start("--source", source, "--out", tmp_path, "--workers", "0")
    first = tmp_path / "video" / "a.mp4"
    deadline = time.monotonic() + 100
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "clips.tsv").exists()
    status, _, errors = call("--source", source, "--out", tmp_path, "--workers", "0")
    assert status == 0, errors
    assert files_of(tmp_path) == files_of(finished[0])


def test_other_settings_are_refused(source: Path, finished: tuple[Path, str, str]) -> None:
    status, _, errors = call(
        "--source", source, "--out", finished[0], "--detect-every", "7", "--workers", "0"
    )
    assert status == 1
    assert "detect_every = 5, found 7" in errors
    assert "Traceback" not in errors


def test_a_list_and_shards(source: Path, finished: tuple[Path, str, str], tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a.mpg\ne.mpg\ntypo.mpg\n")
    arguments = (
        "--source",
        source,
        "--out",
        tmp_path / "out",
        "--list",
        tmp_path / "list",
        "--shards",
        "2",
        "--workers",
        "0",
    )
    results = [call(*arguments, "--shard-id", str(shard)) for shard in (0, 1)]
    assert [r[0] for r in results] == [0, 0], results
    assert "1 missing; the last shard to finish writes the tables" in results[0][1]
    whole = files_of(finished[0])
    for name, content in files_of(tmp_path / "out").items():
        assert name == "clips.tsv" or content == whole[name]
    rows = [(r.id, r.reason) for r in read_clips(tmp_path / "out", status=None)]
    assert rows == [("a", ""), ("e", ""), ("typo", "missing")]
    assert "missing\t1\t0.3333\tno such file" in (tmp_path / "out" / "rejections.tsv").read_text()


def test_wrong_arguments_are_explained(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    status, _, errors = call("--source", empty, "--out", tmp_path / "out")
    assert status == 1
    assert errors.strip().endswith("no videos found; pass the folder that holds them")
    status, _, errors = call("--source", tmp_path, "--out", tmp_path / "out")
    assert status == 1
    assert errors.strip().endswith("choose a folder outside")
    assert not (tmp_path / "out" / "clips.tsv").exists()
    (tmp_path / "list").write_text("typo.mpg\n")
    status, _, errors = call("--source", empty, "--out", tmp_path / "out", "--list", tmp_path / "list")
    assert status == 1
    assert "none of the 1 listed videos exists, such as typo.mpg" in errors
    status, _, errors = call("--source", empty, "--out", tmp_path / "out", "--min-detection-rate", "80")
    assert status == 1
    assert "min_detection_rate: expected 1.0 or less, found 80.0" in errors


def test_every_clip_is_on_a_page_the_doubtful_first(finished: tuple[Path, str, str]) -> None:
    folder = finished[0] / "audit"
    page = (folder / "page0001.html").read_text(encoding="utf-8")
    order = re.findall(r"<strong>(.*?)</strong>", page)
    assert order[:2] == ["broken", "cut"]
    assert sorted(order) == ["a", "below/ç d", "broken", "cut", "e"]
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 4
    for data in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (96, 960)
        assert image.std() > 10
    assert "http" not in page
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "unreadable" in index
    assert 'href="page0001.html"' in index


def test_pages_of_few_and_clips_that_are_gone(tmp_path: Path) -> None:
    rows = [ClipRow(f"<{i}>", "a.mp4", detection_rate=1 - i / 10) for i in range(5)]
    write_clips_table(tmp_path, rows)
    seen: list[Any] = []
    write_audit(tmp_path, per_page=2, on_progress=lambda *x: seen.append(x))
    assert seen == [(i, 5) for i in range(1, 6)]
    pages = sorted((tmp_path / "audit").glob("page*.html"))
    assert len(pages) == 3
    assert "&lt;4&gt;" in pages[0].read_text()
    assert "no picture" in pages[0].read_text()
    write_audit(tmp_path, per_page=2, limit=1)
    assert len(list((tmp_path / "audit").glob("page*.html"))) == 1
    assert strip_of(tmp_path / "gone.mp4") is None


WRITE_AUDIT = """
import os, signal, sys
from fairseq_ext.media.mouth.audit import write_audit
replace = os.replace
def killed(source, target):
    if target.name == "page0002.html":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killed
write_audit(sys.argv[1], per_page=2)
"""


def test_pages_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """What it left goes away, and until then the pages of before are there."""
    write_clips_table(tmp_path, [ClipRow(str(i), "a.mp4") for i in range(6)])
    write_audit(tmp_path, per_page=1)
    names = sorted(p.name for p in (tmp_path / "audit").iterdir())
    done = subprocess.run([sys.executable, "-c", WRITE_AUDIT, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(p.name for p in (tmp_path / "audit").iterdir())
    assert len(left) == len(names) + 1
    assert set(names) < set(left)
    write_audit(tmp_path, per_page=3)
    assert sorted(p.name for p in (tmp_path / "audit").iterdir()) == [
        "index.html",
        "page0001.html",
        "page0002.html",
    ]


def test_clips_of_files_that_are_cut_off_are_marked(tmp_path: Path) -> None:
    measured = {"detection_rate": 1.0, "jitter_px": 0.3, "yaw_deg": 3.0, "face_size_px": 120.0}
    write_clips_table(
        tmp_path, [ClipRow("whole", "a.mp4", **measured), ClipRow("cut", "b.mp4", missing_s=1.6, **measured)]
    )
    index = write_audit(tmp_path).read_text(encoding="utf-8")
    assert "<td>file cut off or damaged</td><td>1</td>" in index
    page = (tmp_path / "audit" / "page0001.html").read_text(encoding="utf-8")
    assert re.findall(r"<strong>(.*?)</strong> ok <b", page) == ["cut"]
    assert re.findall(r"<strong>(.*?)</strong>", page) == ["cut", "whole"]


def test_worst_first() -> None:
    good = ClipRow("a", "a", detection_rate=1.0, jitter_px=0.3, yaw_deg=3.0, face_size_px=120.0)
    turned = ClipRow("b", "b", detection_rate=1.0, jitter_px=0.3, yaw_deg=50.0, face_size_px=120.0)
    rejected = ClipRow("c", "c", status="rejected", reason="no_face")
    assert sorted([good, turned, rejected], key=badness) == [rejected, turned, good]


def test_importing_is_light() -> None:
    code = (
        "import sys; import fairseq_ext.media.mouth.prepare, fairseq_ext.media.mouth.audit\n"
        "print([m for m in ('cv2', 'mediapipe', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"
