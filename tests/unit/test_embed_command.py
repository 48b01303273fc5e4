"""fairseq-ext embed: manifests, folders and files in; the same bytes after a kill and from several workers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_accent
import small_whisper
import soundfile
import torch

from fairseq_ext.commands import main
from fairseq_ext.inference.embedder import Embedder, load_embedder
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media import recordings
from fairseq_ext.scoring.embedding_files import read_embeddings

pytest.importorskip("pyarrow")

RATE = 16_000
SIZES = {"a/1": 8000, "a/2": 48, "b/1": 6000, "b/2": 7000, "b/3": 5000}
FILES = ("embeddings.npz", "embeddings.parquet", "skipped.tsv")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write five recordings, of which the second is 3 ms, and a text."""
    root = tmp_path / "corpus"
    for number, (name, size) in enumerate(SIZES.items()):
        path = root / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(number).normal(size=size), RATE)
    (root / "README.txt").write_text("a text", encoding="utf-8")
    return root


@pytest.fixture
def manifest(corpus: Path, tmp_path: Path) -> Path:
    rows = [
        Utterance(f"id {name}", f"{name}.wav", size, speaker=name[0], gender="f")
        for name, size in SIZES.items()
    ]
    labels = {"emotion": lambda u: "sad" if u.speaker == "a" else "happy"}
    write_manifest(tmp_path / "manifest", "test", rows, root=corpus, labels=labels)
    return tmp_path / "manifest"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "ROWS_PER_BLOCK", 2)


def embed(out: Path, *arguments: Any, encoder: Any = "mfcc", workers: int = 0) -> Path:
    given = [*arguments, "--encoder", encoder, "--out", out, "--workers", workers]
    assert main.main(["--traceback", "embed", *map(str, given)]) == 0
    return out


def assert_same_bytes(*folders: Path) -> None:
    for name in FILES:
        assert len({(folder / name).read_bytes() for folder in folders}) == 1, name


def test_manifest_with_its_labels(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whisper = small_whisper.write(tmp_path / "whisper")
    out = embed(tmp_path / "out", "--manifest", manifest, "--layers", "3,1", encoder=whisper)
    assert "4 of 5 recordings embedded" in capsys.readouterr().out
    found = read_embeddings(out)
    assert found.ids == ("id a/1", "id b/1", "id b/2", "id b/3")
    assert (found.layers, found.poolings, found.widths) == ((3, 1), ("mean", "std"), (24, 24))
    assert "0.003 s, shorter than a frame" in found.skipped["id a/2"]
    np.testing.assert_allclose(found.duration_s, [0.5, 0.375, 0.4375, 0.3125])
    expected = load_embedder(whisper, [3, 1])([tmp_path / f"corpus/{name}.wav" for name in ("a/1", "b/3")])
    np.testing.assert_allclose(found.embedding[[0, 3]], expected, atol=1e-5)
    about = found.about
    assert (about["encoder"], about["num_skipped"], about["pad_s"]) == (str(whisper), 1, 1.0)
    assert len(about["sha256"]) == 64
    assert {"torch", "numpy"} <= about["versions"].keys()
    rows = pytest.importorskip("pyarrow.parquet").read_table(out / "embeddings.parquet").to_pylist()
    assert {(r["id"], r["emotion"], r["speaker"], r["gender"]) for r in rows} == {
        ("id a/1", "sad", "a", "f"), *((f"id b/{i}", "happy", "b", "f") for i in (1, 2, 3)),
    }  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "about.json"])
    embed(out, "--manifest", manifest, "--layers", "3,1", encoder=whisper)
    assert "embedded already" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"holds other embeddings: layers is \[3, 1\], not \[1\]"):
        embed(out, "--manifest", manifest, "--layers", "1", encoder=whisper)


def test_an_accent_checkpoint_like_any_encoder(corpus: Path, tmp_path: Path) -> None:
    """No vector depends on what it is embedded with, and a long recording has the mean of its windows'."""
    model = small_accent.write(tmp_path / "accent.pt")
    long = 0.1 * np.random.default_rng(7).normal(size=35 * RATE).astype(np.float32)
    long[20 * RATE :] *= 0.1
    soundfile.write(corpus / "long.wav", long, RATE, subtype="FLOAT")
    found = read_embeddings(embed(tmp_path / "out", "--folder", corpus, encoder=tmp_path / "accent.pt"))
    assert (found.ids, found.poolings) == (("a/1", "b/1", "b/2", "b/3", "long"), ("embedding",))
    assert list(found.skipped) == ["a/2"]
    assert found.about["model"] == "ext_accent_encoder"
    for position, id_ in enumerate(found.ids[:-1]):
        clip, _ = soundfile.read(corpus / f"{id_}.wav", dtype="float32")
        with torch.no_grad():
            alone = model(torch.from_numpy(clip)[None])["embedding"][0].numpy()
        np.testing.assert_allclose(found.embedding[position, 0], alone, atol=1e-5)
    halves = long[: len(long) // 2], long[len(long) // 2 :]
    with torch.no_grad():
        total = sum(
            model(torch.from_numpy(half)[None])["embedding"][0].numpy() * len(half) for half in halves
        )
    np.testing.assert_allclose(found.embedding[-1, 0], total / np.linalg.norm(total), atol=1e-5)


def test_folder_and_files(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(corpus / "b/1.flac", 0.1 * np.random.default_rng(9).normal(size=6000), RATE)
    folder = read_embeddings(embed(tmp_path / "folder", "--folder", corpus))
    assert "1 files are no recordings" in capsys.readouterr().out
    assert "README.txt" in (tmp_path / "folder/passed_over.tsv").read_text(encoding="utf-8")
    assert folder.ids == ("a/1", "b/1.flac", "b/1.wav", "b/2", "b/3")
    files = read_embeddings(embed(tmp_path / "files", corpus / "b/2.wav", corpus / "b/1.flac"))
    assert files.ids == (f"{corpus}/b/2", f"{corpus}/b/1")
    np.testing.assert_array_equal(files.embedding, folder.embedding[folder.rows(["b/2", "b/1.flac"])])


def test_killed_and_continued_has_the_same_bytes(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embed(tmp_path / "whole", "--manifest", manifest)
    original, calls = Embedder.embed, 0

    def dies(self: Embedder, recordings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return original(self, recordings)

    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "embed", dies)
        with pytest.raises(SystemExit):
            embed(tmp_path / "killed", "--manifest", manifest)
    assert not (tmp_path / "killed/about.json").exists()
    parts = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed/parts").iterdir()}
    assert len(parts) == 1
    counted = []
    monkeypatch.setattr(
        Embedder, "embed", lambda self, recordings: counted.append(1) or original(self, recordings)
    )
    assert_same_bytes(whole, embed(tmp_path / "killed", "--manifest", manifest))
    assert len(counted) == 2  # not the block that was there


def test_two_shards_are_one(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards compute different blocks in any order, as workers do."""
    whole = embed(tmp_path / "whole", "--manifest", manifest)
    options = ("--manifest", manifest, "--shards", 2, "--shard-id")
    embed(tmp_path / "shards", *options, 1)
    assert "the last shard to finish writes" in capsys.readouterr().out
    assert_same_bytes(whole, embed(tmp_path / "shards", *options, 0))


def test_a_manifest_at_another_rate(corpus: Path, tmp_path: Path) -> None:
    rows = [
        Utterance("whole", "b/1.wav", 3000),
        Utterance("part", "b/2.wav", 2000, start_s=0.125, end_s=0.375),
    ]
    write_manifest(tmp_path / "m", "test", rows, root=corpus, sample_rate_hz=8000)
    found = read_embeddings(embed(tmp_path / "out", "--manifest", tmp_path / "m", "--manifest-rate-hz", 8000))
    np.testing.assert_allclose(found.duration_s, [0.375, 0.25])
    write_manifest(tmp_path / "m", "test", rows[:1], root=corpus, sample_rate_hz=8000)
    with pytest.raises(
        ValueError, match=r"none of 1 recordings .* the manifest counts 3000 samples, found 6000"
    ):
        embed(tmp_path / "wrong", "--manifest", tmp_path / "m")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folder", "nowhere"), "nowhere: no such folder"),
        (("--folder", "x", "a.wav"), "give one of FILE, --manifest and --folder"),
        ((), "give one of FILE"),
        (("a.wav", "--layers", "1-3"), "all, weighted or numbers such as 0,3,6 expected"),
        (("a.wav", "a.wav"), "a.wav is given 2 times"),
        (("a.wav", "--poolings", "median"), "poolings among mean, max"),
        (("a.wav", "--encoder", "nothing.pt"), "nothing.pt: no such checkpoint"),
    ],
)
def test_wrong_options_are_named(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["embed", "--encoder", "mfcc", "--out", str(tmp_path / "out"), *arguments])
    assert message in f"{ended.value} {capsys.readouterr().err}"


def test_a_block_that_fails_is_not_lost(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Embedder, recordings: Any) -> Any:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "embed", fails)
        with pytest.raises(
            ValueError, match=r"3 of 3 blocks have failed, the first by RuntimeError: a defect"
        ):
            embed(tmp_path / "out", "--manifest", manifest)
    assert (
        json.loads((embed(tmp_path / "out", "--manifest", manifest) / "about.json").read_text())["seconds"]
        >= 0
    )
