"""The store of voice features, the command that fills it, and the table and picture of one recording."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from synthetic_voice import RATE, voice

from fairseq_ext.commands import main
from fairseq_ext.features import voice_corpus, voice_recording
from fairseq_ext.features.store import FeatureStore, read_summary, write_store
from fairseq_ext.features.voice import analyse_voice
from fairseq_ext.file_errors import FileError
from fairseq_ext.manifest import Utterance, write_manifest

GROUPS = ("mel", "prosody")
FILES = ("features.json", "index.tsv", "mel.npy", "prosody.npy", "summary.tsv", "skipped.tsv")


def write_small(folder: Path) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    tracks = {
        "a": draw.normal(size=(5, 2)).astype(np.float32),
        "b": draw.normal(size=(3, 2)).astype(np.float32),
    }
    about = {
        "frame_rate_hz": 100,
        "groups": {"g": {"columns": [{"name": n, "unit": "dB"} for n in ("x", "y")]}},
    }
    write_store(
        folder,
        [("a", 5, 0.0), ("b", 3, 0.25)],
        [{"g": track} for track in tracks.values()],
        about=about,
        summary=[("id", "duration"), ("a", "0.05"), ("b", "")],
        skipped=[("c", "silence")],
    )
    return tracks


def test_store_gives_what_was_written(tmp_path: Path) -> None:
    tracks = write_small(tmp_path)
    for store in (FeatureStore(tmp_path), pickle.loads(pickle.dumps(FeatureStore(tmp_path, ["g"])))):
        assert (store.ids, store.lengths.tolist(), store.offsets_s.tolist()) == (
            ["a", "b"],
            [5, 3],
            [0, 0.25],
        )
        assert (store.columns, store.dimensions, store.frame_rate_hz) == ({"g": ("x", "y")}, {"g": 2}, 100)
        for id_, track in tracks.items():
            np.testing.assert_array_equal(store[id_]["g"], track)
        assert (len(store), "b" in store, "c" in store, store.num_frames("b")) == (2, True, False, 3)
        with pytest.raises(ValueError, match="read-only"):
            store["a"]["g"][0, 0] = 1
    with pytest.raises(KeyError, match=r"no features of 'c'; see skipped.tsv"):
        store["c"]
    assert [row["duration"] for row in read_summary(tmp_path)] == ["0.05", ""]


def test_store_that_is_damaged_or_unfinished_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path)
    with pytest.raises(ValueError, match="no group mel, only g"):
        FeatureStore(tmp_path, ["mel"])
    np.save(tmp_path / "g.npy", np.zeros((7, 2), np.float32))
    with pytest.raises(FileError, match=r"float32 \(8, 2\) expected, found float32 \(7, 2\)"):
        FeatureStore(tmp_path)
    (tmp_path / "g.npy").write_bytes(b"x")
    with pytest.raises(FileError, match=r"g.npy: damaged"):
        FeatureStore(tmp_path)
    (tmp_path / "index.tsv").write_text("id\tstart_frame\tnum_frames\toffset_s\na\t1\t5\t0\n")
    with pytest.raises(FileError, match="do not follow"):
        FeatureStore(tmp_path)
    (tmp_path / "features.json").unlink()
    with pytest.raises(FileError, match="no such file"):
        FeatureStore(tmp_path)


def test_blocks_that_do_not_fit_leave_no_store(tmp_path: Path) -> None:
    about = {"groups": {"g": {"columns": [{"name": "x", "unit": "dB"}]}}}
    with pytest.raises(ValueError, match="6 frames expected, found 5"):
        write_store(
            tmp_path, [("a", 6, 0.0)], [{"g": np.zeros((5, 1))}], about=about, summary=[("id",)], skipped=[]
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five rows: two good, one silent, one clipped at 8 kHz, one shorter than a frame; blocks of two."""
    pytest.importorskip("parselmouth")
    monkeypatch.setattr(voice_corpus, "ROWS_PER_BLOCK", 2)
    whole = voice()
    waves = {
        "a": whole[2000:9000],
        "b": whole[8000:16_000],
        "silent": np.zeros(4000),
        "clipped": np.clip(9 * whole, -1, 1)[2000:10_000:2],
        "short": whole[9000:9100],
    }
    for name, wave in waves.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, 8000 if name == "clipped" else RATE)
    rows = [
        Utterance(f"id {name}", f"{name}.wav", len(wave) * (2 if name == "clipped" else 1), accent="fr")
        for name, wave in waves.items()
    ]
    write_manifest(tmp_path / "manifest", "test", rows, root=tmp_path)
    return tmp_path / "manifest"


def features(*arguments: Any, groups: str = ",".join(GROUPS), workers: int = 0) -> int:
    given = ["features", *arguments, "--groups", groups, "--workers", workers]
    return main.main(["--traceback", *map(str, given)])


def test_corpus_is_measured_and_what_is_left_out_named(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert features("--manifest", manifest, "--out", out) == 0
    said = capsys.readouterr().out
    assert "3 of 5 recordings measured" in said
    assert "(2 skipped, 1 clipped, 1 recorded below 16 kHz)" in said
    assert {path.name for path in out.iterdir()} == set(FILES)
    store = FeatureStore(out)
    assert store.ids == ["id a", "id b", "id clipped"]
    assert store.dimensions == {"mel": 80, "prosody": 5}
    skipped = (out / "skipped.tsv").read_text(encoding="utf-8").splitlines()
    assert [row.split("\t")[0] for row in skipped] == ["id silent", "id short"]
    assert "silence, no sample above one step" in skipped[0]
    assert "shorter than a frame of 0.025 s" in skipped[1]
    rows = {row["id"]: row for row in read_summary(out)}
    about = json.loads((out / "features.json").read_text(encoding="utf-8"))
    assert about["preparation"] == {"trim": True, "band_hz": None, "loudness_lufs": -23.0}
    assert about["counts"]["clipped"] == 1
    assert about["median_effects"]["gain, dB"] == sorted(float(row["gain"]) for row in rows.values())[1]
    assert about["median_effects"]["clipped, %"] == 0
    assert about["num_frames"] == store.lengths.sum() == len(np.load(out / "mel.npy"))
    assert float(rows["id clipped"]["clipped"]) > 1
    assert (rows["id clipped"]["recorded_rate"], rows["id a"]["recorded_rate"]) == ("8000", "16000")
    assert features("--manifest", manifest, "--out", out) == 0
    assert "measured already" in capsys.readouterr().out
    with pytest.raises(ValueError, match="features with other groups; remove it"):
        features("--manifest", manifest, "--out", out, groups="mel")


def test_steps_that_are_left_out_leave_the_recording_as_it_is(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert features("--manifest", manifest, "--out", out, "--keep-silence", "--keep-loudness") == 0
    wave, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    expected = analyse_voice(wave, RATE, GROUPS).tracks
    found = FeatureStore(out)["id a"]
    assert len(found["mel"]) == 1 + len(wave) // 160
    for name in GROUPS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_killed_and_sharded_runs_end_in_the_same_bytes(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    once, killed, shards = (tmp_path / name for name in ("once", "killed", "shards"))
    features("--manifest", manifest, "--out", once)
    measure, calls = voice_corpus.measure_recording, []

    def dies(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(voice_corpus, "measure_recording", dies)
    with pytest.raises(SystemExit):
        features("--manifest", manifest, "--out", killed)
    assert not (killed / "features.json").exists()
    with pytest.raises(FileError, match=r"features\.json"):
        FeatureStore(killed)
    features("--manifest", manifest, "--out", killed)
    assert len(calls) == 4 + 3  # the first block was kept
    capsys.readouterr()
    for shard in (0, 1):
        features("--manifest", manifest, "--out", shards, "--shards", 2, "--shard-id", shard)
        said = capsys.readouterr().out
        assert ("the last shard to finish" in said) == (shard == 0)
    for name in FILES:
        read = [_without_time((folder / name).read_bytes()) for folder in (once, killed, shards)]
        assert read[0] == read[1] == read[2], name


def _without_time(content: bytes) -> bytes:
    return b"\n".join(line for line in content.splitlines() if b'"cpu_s"' not in line)


def test_table_and_picture(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    assert features(tmp_path / "a.wav", "--picture", picture, groups="all") == 0
    lines = {line.strip().split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    for name in (
        "pitch, median",
        "F1, median",
        "bandwidth of F3",
        "jitter (local)",
        "HNR, mean",
        "CPP, median",
    ):
        assert name in lines
    assert lines["pitch, median"].endswith("Hz")
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert features(tmp_path / "clipped.wav", "--picture", picture, groups="mel") == 0
    assert "F1, median" not in capsys.readouterr().out  # drawn, not asked for
    assert features(tmp_path / "clipped.wav", groups="all") == 0
    said = capsys.readouterr().out
    assert "clipped: " in said
    assert "recorded at 8000 Hz: nothing above 4000 Hz" in said


def test_recordings_that_cannot_be_measured_are_named(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="2 of 3 recordings could not be measured"):
        features(tmp_path / "silent.wav", tmp_path / "a.wav", tmp_path / "short.wav", groups="prosody")
    printed = capsys.readouterr()
    assert "pitch, median" in printed.out  # of a.wav
    silent, short = printed.err.splitlines()
    assert "silent.wav: silence" in silent
    assert "shorter than a frame" in short
    noise = 0.01 * np.random.default_rng(1).normal(size=8000)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    assert features(tmp_path / "noise.wav", groups="all") == 0
    assert "no voiced frame: no pitch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--picture", "p.png"], "give FILE"),
        (["a.wav", "b.wav", "--picture", "p.png"], "--picture shows one FILE"),
        (["a.wav", "--out", "o", "--picture", "p.png"], "leave --out out"),
        (["--out", "o"], "give one of FILE"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["features", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_features_alone_is_features_voice(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"features voice: 1 of 1 recordings"):
        main.main(["features", "no such file.wav"])
    assert "no such file.wav: no such audio file" in capsys.readouterr().err
    assert main.main(["features", "--help"]) == 0
    assert (
        "'fairseq-ext features FILE' is short for 'fairseq-ext features voice FILE'"
        in capsys.readouterr().out
    )


def test_too_long_recordings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", voice(), RATE)
    monkeypatch.setattr(voice_recording, "LONGEST_S", 1.0)
    with pytest.raises(FileError, match="list its segments in a manifest"):
        voice_recording.measure_recording(tmp_path / "a.wav", ("mel",))
