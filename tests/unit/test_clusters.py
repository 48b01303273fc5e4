"""From features to clusters: rows stay aligned, damaged recordings are named, k-means finds the tones."""

import errno
import runpy
import sys
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fairseq_ext import jobs
from fairseq_ext.features import clusters, dump
from fairseq_ext.line_index import AudioEntry
from fairseq_ext.manifest import Utterance, write_manifest

RATE_HZ = 16000
NUM_ROWS = 7


def write_wav(path: Path, frequency_hz: float, num_samples: int) -> None:
    """Write a tone of 16 bits."""
    samples = np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / RATE_HZ) * 8000
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Make tones of two frequencies in turn, of different lengths; the fourth recording is cut short."""
    rows = []
    for row in range(NUM_ROWS):
        num_samples = 3200 + 320 * row
        write_wav(tmp_path / f"{row}.wav", (300, 3000)[row % 2], num_samples)
        rows.append(Utterance(str(row), f"{row}.wav", num_samples))
    damaged = tmp_path / "3.wav"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    write_manifest(tmp_path / "manifest", "train", rows, root=tmp_path)
    return tmp_path / "manifest"


def run(folder: Path, items: list[jobs.Item], work: partial[jobs.Work]) -> list[jobs.Outcome]:
    """Do the work here and return the outcomes."""
    jobs.run(folder, items, work, settings={}, execution=jobs.Execution(workers=0, progress=False))
    return list(jobs.outcomes(folder))


def test_tones_fall_into_their_clusters_row_by_row(manifest: Path, tmp_path: Path) -> None:
    features, out = tmp_path / "features", tmp_path / "clusters"
    items = list(dump.blocks(manifest, ["train"], rows_per_file=3))
    dumped = run(features / dump.JOBS, items, partial(dump.dump_work, manifest, features, dump.MfccFrames))
    assert [outcome.state for outcome in dumped] == ["done"] * 3
    problems = [problem for outcome in dumped for problem in outcome.result["problems"]]
    assert len(problems) == 1
    assert problems[0].startswith("row 4: ")
    assert "3.wav" in problems[0]

    names = clusters.blocks_of(features, ["train"])
    fit = clusters.Fit(num_clusters=2, share=1.0, num_starts=3, seed=5)
    (learned,) = run(
        tmp_path / "j2",
        [jobs.Item("centroids", {"blocks": names})],
        partial(clusters.fit_work, features, out, fit),
    )
    frames_of = [1 + (3200 + 320 * row) // 160 if row != 3 else 0 for row in range(NUM_ROWS)]
    assert learned.result["num_frames"] == sum(frames_of)
    run(
        tmp_path / "j3",
        [jobs.Item(name, {}) for name in names],
        partial(clusters.assign_work, features, out),
    )
    assert clusters.join_labels(out, "train", names) == NUM_ROWS
    rows = [line.split() for line in (out / "train.km").read_text(encoding="utf-8").split("\n")[:-1]]
    assert list(map(len, rows)) == frames_of
    # The middle of a low tone and of a high one, away from the edges of the recordings.
    middles = [set(row[4:-4]) for row in rows if row]
    assert all(len(middle) == 1 for middle in middles)
    assert middles[0] == middles[2] == middles[3] == middles[5]
    assert middles[1] == middles[4] != middles[0]


def test_differences_of_a_ramp_are_its_slope() -> None:
    ramp = np.arange(20, dtype=np.float32)[:, None] * np.array([[2.0, -3.0]], dtype=np.float32)
    slopes = dump.differences(ramp)
    assert slopes.shape == ramp.shape
    assert np.allclose(slopes[2:-2], [[2.0, -3.0]])


def test_block_whose_recordings_are_all_unreadable_is_rejected(manifest: Path, tmp_path: Path) -> None:
    for path in tmp_path.glob("*.wav"):
        path.write_bytes(b"")
    items = list(dump.blocks(manifest, ["train"]))
    out = tmp_path / "out"
    (outcome,) = run(out / dump.JOBS, items, partial(dump.dump_work, manifest, out, dump.MfccFrames))
    assert (outcome.state, outcome.reason) == ("rejected", "unreadable")
    assert len(outcome.result["problems"]) == NUM_ROWS
    # The rows stay where they are all the same.
    assert clusters.blocks_of(out, ["train"]) == ["train/000000000"]
    assert dump.read_block(out / "train" / "000000000.npz")[1].tolist() == [0] * NUM_ROWS


def test_recordings_without_permission_cost_their_own_rows_only(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_row = dump.load_row

    def load_what_may_be_read(entry: AudioEntry, sample_rate_hz: int) -> Any:
        if entry.path.name == "1.wav":  # root may read everything, so mode 000 would be no test
            raise PermissionError(errno.EACCES, "Permission denied", entry.path)
        return load_row(entry, sample_rate_hz)

    monkeypatch.setattr(dump, "load_row", load_what_may_be_read)
    (tmp_path / "5.wav").unlink()
    (tmp_path / "5.wav").mkdir()
    out = tmp_path / "out"
    items = list(dump.blocks(manifest, ["train"]))
    (outcome,) = run(out / dump.JOBS, items, partial(dump.dump_work, manifest, out, dump.MfccFrames))
    assert outcome.state == "done"
    problems = outcome.result["problems"]
    assert [problem.partition(":")[0] for problem in problems] == ["row 2", "row 4", "row 6"]
    assert f"{tmp_path / '1.wav'}: no permission to read it" in problems[0]
    assert str(tmp_path / "5.wav") in problems[2]
    lengths = dump.read_block(out / "train" / "000000000.npz")[1]
    assert [row for row, length in enumerate(lengths) if not length] == [1, 3, 5]


def test_nearest_is_what_distances_say() -> None:
    rng = np.random.default_rng(3)
    frames, centroids = rng.normal(size=(9000, 4)), rng.normal(size=(11, 4)).astype(np.float32)
    distances = ((frames[:, None] - centroids[None]) ** 2).sum(axis=2)
    assert np.array_equal(clusters.nearest(frames, centroids), distances.argmin(axis=1))


def test_same_seed_gives_the_same_clusters() -> None:
    frames = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    fit = clusters.Fit(num_clusters=5, num_starts=2)
    assert np.array_equal(clusters.learn_clusters(frames, fit)[0], clusters.learn_clusters(frames, fit)[0])


def test_broken_block_and_too_few_frames_are_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    np.savez(
        tmp_path / "train" / "000000000.npz", frames=np.zeros((3, 2), np.float16), lengths=np.array([1, 2])
    )
    with pytest.raises(ValueError, match="expected 100 or more frames, found 3 of 3"):
        clusters.draw_frames(tmp_path, ["train/000000000"], clusters.Fit(share=1.0))
    (tmp_path / "train" / "000000000.npz").write_bytes(b"PK not really")
    with pytest.raises(ValueError, match="delete it and dump again"):
        dump.read_block(tmp_path / "train" / "000000000.npz")


TOOLS = Path(__file__).parents[2] / "tools"


class Answer(NamedTuple):
    """The output of a tool."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a tool in this process, which has imported torch already."""

    def run_tool(tool: str, *options: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", [tool, *map(str, options), "--workers", "0"])
        status: Any = 0
        try:
            runpy.run_path(str(TOOLS / tool), run_name="__main__")
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        message = status if isinstance(status, str) else ""
        return Answer(1 if message else int(status or 0), printed.out, printed.err + message)

    return run_tool


def test_features_and_clusters_follow_a_manifest_that_changed(
    manifest: Path, tmp_path: Path, call: Callable[..., Answer]
) -> None:
    features, out = tmp_path / "features", tmp_path / "clusters"
    dumping = ("--manifest", manifest, "--splits", "train", "--rows-per-file", "3", "--out", features)
    clustering = (
        "--features",
        features,
        "--splits",
        "train",
        "--out",
        out,
        "--num-clusters",
        "2",
        "--share",
        "1",
    )
    assert call("dump_features.py", *dumping).returncode == 0
    assert call("cluster_features.py", *clustering).returncode == 0
    third = (features / "train" / "000000006.npz").stat().st_mtime_ns

    # Row 2 is another recording of the same length; the damaged row 4 is gone for good.
    lines = (manifest / "train.tsv").read_text(encoding="utf-8").splitlines()
    write_wav(tmp_path / "new.wav", 3000, 3200 + 320)
    lines[2] = lines[2].replace("1.wav", "new.wav")
    (manifest / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    refused = call("dump_features.py", *dumping)
    assert refused.returncode == 1
    assert "'train/000000000' has changed: expected rows = " in refused.stderr
    assert call("dump_features.py", *dumping, "--update").returncode == 0
    assert (features / "train" / "000000006.npz").stat().st_mtime_ns == third
    assert "pass --update" in call("cluster_features.py", *clustering).stderr
    assert call("cluster_features.py", *clustering, "--update").returncode == 0
    again = (*clustering[:5], tmp_path / "again", *clustering[6:])
    assert call("cluster_features.py", *again).returncode == 0
    assert (out / "train.km").read_bytes() == (tmp_path / "again" / "train.km").read_bytes()

    wrong = (
        *dumping[:-1],
        tmp_path / "slow",
        "--sample-rate-hz",
        "8000",
    )  # half as many samples as the manifest says
    assert "none of the recordings can be read" in call("dump_features.py", *wrong).stderr

    # Fewer rows: what the blocks of before left is not counted.
    (manifest / "train.tsv").write_text("\n".join(lines[:4]) + "\n", encoding="utf-8")
    assert call("dump_features.py", *dumping, "--update").returncode == 0
    assert "3 rows in" in call("cluster_features.py", *clustering, "--update").stdout


def test_a_block_that_failed_is_not_left_out_in_silence(manifest: Path, tmp_path: Path) -> None:
    features = tmp_path / "features"
    items = [
        *dump.blocks(manifest, ["train"], rows_per_file=3),
        jobs.Item("train/000000009", {"split": "train"}),
    ]
    run(features / dump.JOBS, items, partial(dump.dump_work, manifest, features, dump.MfccFrames))
    with pytest.raises(ValueError, match=r"train: block train/000000009 has failed; run .* --retry-failed"):
        clusters.blocks_of(features, ["train"])
    with pytest.raises(ValueError, match=r"no blocks of features; run fairseq-ext features dump"):
        clusters.blocks_of(features, ["valid"])
