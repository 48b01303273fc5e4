"""A folder of videos that grew, and in which a file was fixed: the result is that of one call, clips are kept."""

import shutil
import subprocess
import sys
from pathlib import Path

from fairseq_ext.media.mouth.table import read_clips

TOOL = Path(__file__).resolve().parents[3] / "tools" / "prepare_mouth.py"


def call(source: Path, out: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        str(TOOL),
        "--source",
        str(source),
        "--out",
        str(out),
        "--workers",
        "0",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def files_of(folder: Path) -> dict[str, bytes]:
    found = [p for name in ("video", "audio", "landmarks", "rejected") for p in (folder / name).rglob("*.*")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in [*found, folder / "clips.tsv"]}


def test_only_new_and_fixed_videos_are_prepared(grid: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    shutil.copy(grid / "bbaf2n.mpg", source / "b.mpg")
    (source / "c.mpg").write_text("a download that failed")
    assert call(source, out).returncode == 0
    kept = (out / "video" / "b.mp4").stat().st_mtime_ns

    shutil.copy(grid / "lrwp9a.mpg", source / "c.mpg")
    shutil.copy(grid / "lbbc2a.mpg", source / "a.mpg")
    refused = call(source, out)
    assert refused.returncode == 1
    assert "expected 'b' as item 1, found 'a'; pass --update" in refused.stderr
    shard = call(source, out, "--update", "--shards", "3", "--shard-id", "1")
    assert shard.returncode == 0
    assert "the last shard to finish writes the tables" in shard.stdout
    assert not (out / "clips.tsv").exists()  # of what was there before

    updated = call(source, out, "--update")
    assert [(r.id, r.reason) for r in read_clips(out, status=None)] == [
        ("a", ""),
        ("b", ""),
        ("c", ""),
    ]
    assert "3 items instead of 2; 1 keep their outcome" in shard.stderr
    assert updated.returncode == 0
    assert call(source, out, "--retry-rejected").returncode == 0
    assert (out / "video" / "b.mp4").stat().st_mtime_ns == kept
    assert call(source, tmp_path / "at once").returncode == 0
    assert files_of(out) == files_of(tmp_path / "at once")

    (source / "a.mpg").unlink()
    fewer = call(source, out, "--update")
    assert f"3 files belong to clips that are not listed any more: {out / 'unlisted.txt'}" in fewer.stdout
    assert (out / "unlisted.txt").read_text() == "audio/a.wav\nlandmarks/a.npz\nvideo/a.mp4\n"
    shutil.copy(grid / "lbbc2a.mpg", source / "a.mpg")
    assert call(source, out, "--update").returncode == 0
    assert not (out / "unlisted.txt").exists()

    crops = call(out / "video", tmp_path / "crops", "--input", "mouth")
    assert "no sound" not in crops.stdout
    assert {row.audio for row in read_clips(tmp_path / "crops")} == {"ok"}
    for row in read_clips(out):
        (out / "audio" / f"{row.id}.wav").unlink()
    mute = call(out / "video", tmp_path / "mute", "--input", "mouth")
    assert "3 accepted clips have no sound" in mute.stdout
