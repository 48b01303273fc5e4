"""The folder of embeddings: what is written is read, in both formats, and an unfinished one is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.file_errors import FileError
from fairseq_ext.scoring import embedding_files
from fairseq_ext.scoring.embedding_files import read_embeddings, write_embeddings

IDS = ["b", "a", "ç/1"]
EMBEDDING = np.random.default_rng(1).normal(size=(3, 2, 7)).astype(np.float32)
GIVEN: dict[str, Any] = {
    "layers": [0, 3],
    "poolings": ["mean", "std", "max"],
    "widths": [3, 3, 1],
    "duration_s": [1.5, 2.0, 0.5],
    "about": {"encoder": "mfcc", "seconds": 1.25},
    "labels": {"emotion": ["sad", "happy", "sad"]},
    "skipped": [("x", "x.wav: it has no samples")],
}


def write(folder: Path, **changed: Any) -> Path:
    given = {"ids": IDS, "embedding": [EMBEDDING[:2], EMBEDDING[2:]], **GIVEN, **changed}
    write_embeddings(folder, given.pop("ids"), given.pop("embedding"), **given)
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_embeddings(write(tmp_path / "a"))
    assert found.ids == tuple(IDS)
    np.testing.assert_array_equal(found.embedding, EMBEDDING)
    assert (found.layers, found.poolings, found.widths) == ((0, 3), ("mean", "std", "max"), (3, 3, 1))
    np.testing.assert_array_equal(found.duration_s, np.float32([1.5, 2.0, 0.5]))
    assert found.skipped == {"x": "x.wav: it has no samples"}
    assert (found.about["encoder"], found.about["num_embedded"], found.about["num_skipped"]) == ("mfcc", 3, 1)
    np.testing.assert_array_equal(found.columns(3, "std"), EMBEDDING[:, 1, 3:6])
    np.testing.assert_array_equal(found.columns(0, "max+mean"), EMBEDDING[:, 0, [6, 0, 1, 2]])
    assert found.rows(["ç/1", "b"]).tolist() == [2, 0]


def test_the_table_has_a_row_per_recording_layer_and_pooling(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow.parquet").read_table(write(tmp_path) / "embeddings.parquet")
    rows = table.to_pylist()
    assert table.column_names == ["id", "layer", "pooling", "vector", "emotion"]
    assert len(rows) == 3 * 2 * 3
    row = next(r for r in rows if (r["id"], r["layer"], r["pooling"]) == ("ç/1", 3, "std"))
    np.testing.assert_array_equal(np.float32(row["vector"]), EMBEDDING[2, 1, 3:6])
    assert row["emotion"] == "sad"


def test_equal_content_has_equal_bytes_however_it_comes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    write(tmp_path / "c", embedding=[EMBEDDING])
    for name in ("embeddings.npz", "skipped.tsv", "about.json"):
        contents = {(tmp_path / folder / name).read_bytes() for folder in "abc"}
        assert len(contents) == 1, name
    assert (tmp_path / "a/embeddings.parquet").read_bytes() == (
        tmp_path / "b/embeddings.parquet"
    ).read_bytes()


def test_a_missing_recording_is_named_with_its_reason(tmp_path: Path) -> None:
    found = read_embeddings(write(tmp_path))
    with pytest.raises(ValueError, match=r"2 of 3 recordings .* x \(x.wav: it has no samples\)"):
        found.rows(["a", "x", "y"])
    for layer, pooling in ((1, "mean"), (3, "mean+last")):
        with pytest.raises(ValueError, match=f"layers 0, 3 .* not layer {layer} with"):
            found.columns(layer, pooling)


def test_an_unfinished_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match="3 vectors expected, found 2"):
        write(tmp_path, embedding=[EMBEDDING[:2]])
    with pytest.raises(FileError, match=r"no about.json, so no finished embeddings"):
        read_embeddings(tmp_path)


def test_files_of_two_runs_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    about = json.loads((tmp_path / "about.json").read_text(encoding="utf-8"))
    for key, value in (("layers", [0, 2]), ("num_embedded", 2)):
        (tmp_path / "about.json").write_text(json.dumps({**about, key: value}), encoding="utf-8")
        with pytest.raises(FileError, match="run fairseq-ext embed again"):
            read_embeddings(tmp_path)
    (tmp_path / "embeddings.npz").write_bytes((tmp_path / "embeddings.npz").read_bytes()[:500])
    with pytest.raises(FileError, match=r"embeddings.npz: damaged or not a file of embeddings"):
        read_embeddings(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ids": ["a", "b", "a"]}, "the id 'a' occurs twice"),
        ({"labels": {"layer": ["x"] * 3}}, "rename the stream"),
        ({"labels": {"emotion": ["x"]}}, "1 labels for 3"),
        ({"embedding": [EMBEDDING[:, :1]]}, "expected, found rows 0 to 3"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path, **changed)
    assert not (tmp_path / embedding_files.NPZ).exists()
