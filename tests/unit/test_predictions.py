"""Predictions and embeddings are unchanged after writing and reading."""

from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.scoring import predictions
from fairseq_ext.scoring.predictions import Predictions


def made() -> Predictions:
    scores = np.array([[1.5, -2.25, 0.0], [0.0, 1e-7, -np.inf]], dtype=np.float32)
    return Predictions(("un·a", "b"), ("Núria", "bert"), np.array([0, 1]), scores, ("sí", "no", "ŀ"))


def test_predictions_survive(tmp_path: Path) -> None:
    predictions.write_predictions(tmp_path / "p.tsv", made())
    found = predictions.read_predictions(tmp_path / "p.tsv")
    assert (found.ids, found.speakers, found.labels) == (made().ids, made().speakers, made().labels)
    assert (found.targets == made().targets).all()
    assert np.allclose(found.scores, made().scores)
    assert found.predicted.tolist() == [0, 1]


def test_table_names_its_columns(tmp_path: Path) -> None:
    predictions.write_predictions(tmp_path / "p.tsv", made())
    header, first, _ = (tmp_path / "p.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "id\tspeaker\ttarget\tprediction\tscore_sí\tscore_no\tscore_ŀ"
    assert first.startswith("un·a\tNúria\tsí\tsí\t1.5\t")


def test_broken_tables_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("id\tspeaker\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"p.tsv:1: .*rerun fairseq-ext score classifier"):
        predictions.read_predictions(path)
    path.write_text("id\tspeaker\ttarget\tprediction\tscore_a\nx\ty\ta\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"p\.tsv:2"):
        predictions.read_predictions(path)
    path.write_text("id\tspeaker\ttarget\tprediction\tscore_a\nx\ty\tb\ta\t1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"found \['b'\]"):
        predictions.read_predictions(path)


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="score every utterance once"):
        Predictions(("a",), ("x", "y"), np.array([0]), np.zeros((1, 2), np.float32), ("no", "yes"))


def test_embeddings_survive(tmp_path: Path) -> None:
    embedding = np.arange(6, dtype=np.float32).reshape(2, 3)
    predictions.write_embeddings(tmp_path / "e.npz", ["a", "ç"], ["x", "y"], ["0", "1"], embedding)
    found = predictions.read_embeddings(tmp_path / "e.npz")
    assert found["id"].tolist() == ["a", "ç"]
    assert (found["embedding"] == embedding).all()
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]
