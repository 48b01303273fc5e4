"""Results of self-supervised trainings: the last figures of the log, and the hours of audio."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.report import plots, results
from fairseq_ext.report.pretraining import tables as pretraining_tables
from fairseq_ext.report.pretraining.sections import PANELS
from fairseq_ext.scoring import pretraining, trainings
from fairseq_ext.scoring.provenance import read_log

CFG = {
    "task": {"sample_rate_hz": 8000},
    "dataset": {"train_subset": "train"},
    "model": {"_name": "ext_wav2vec2"},
}


@pytest.fixture
def trained(speech_run: Path, make_corpus: Callable[..., None], tmp_path: Path) -> Path:
    """Return a run folder with a finished pre-training on tones of two speakers."""
    folder = tmp_path / "train" / "ssl" / "ctc" / "seed1"
    folder.mkdir(parents=True)
    log = speech_run / "train" / "ssl" / "ctc" / "seed1" / "train.log"
    (folder / "train.log").write_bytes(log.read_bytes())
    for name in (trainings.LAST_CHECKPOINT, trainings.DONE):
        (folder / name).touch()
    make_corpus(tmp_path / "manifests" / "ssl", tmp_path / "corpus", {"train": ["anna", "bert"]})
    return tmp_path


def checkpoint(path: str) -> dict[str, object]:
    """Return the entries of a checkpoint file."""
    return {"cfg": CFG, "model": {"a": np.zeros((3, 4)), "b": np.zeros(5)}}


def read(path: str) -> dict[str, object]:
    """Return a reader of checkpoints with torch tensors."""
    import torch

    state = checkpoint(path)
    return state | {"model": {k: torch.from_numpy(v) for k, v in state["model"].items()}}  # type: ignore[attr-defined]


def test_metrics_are_the_last_of_the_log(trained: Path) -> None:
    jobs = trainings.finished_trainings(trained, "synthetic", "gather", ["ss*"])
    (line,) = pretraining.gather_all(jobs, read)
    assert line.startswith("ssl/ctc seed 1: loss 0.25")
    assert line.endswith("400 updates")
    (row,) = results.read_systems(trained)
    assert (row["kind"], row["n"], row["num_parameters"], row["split"]) == ("pretraining", 40, 17, "valid")
    assert row["metrics"]["prob_perplexity"] == 1.5
    samples = [
        int(line.split("\t")[1])
        for line in (trained / "manifests/ssl/train.tsv").read_text().split("\n")[1:-1]
    ]
    assert row["hours"] == pytest.approx(sum(samples) / 8000 / 3600)
    (again,) = pretraining.gather_all(jobs, lambda _: pytest.fail("read again"))
    assert again.endswith("already gathered")


def test_other_partitions_are_left_alone(trained: Path) -> None:
    assert trainings.finished_trainings(trained, "synthetic", "x", ["labels/*"]) == []


def test_training_figures_serve_without_validation(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(json.dumps({"train_loss": "2.5", "train_num_updates": "10", "train_odd": "x"}) + "\n")
    found = pretraining.read_figures(log)
    assert (found["split"], found["metrics"], found["num_updates"]) == ("train", {"loss": 2.5}, 10)


def test_a_log_without_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train.log: no line has train_loss"):
        pretraining.read_figures(tmp_path / "train.log")


def test_table_has_the_metrics_that_were_logged(trained: Path) -> None:
    list(pretraining.gather_all(trainings.finished_trainings(trained, "synthetic", "x"), read))
    (table,) = pretraining_tables.all_tables(results.collect(trained, {}))
    cells = dict(zip(table.header, table.rows[0], strict=True))
    assert cells["Accuracy %"] == "1"
    assert cells["Updates"] == "400"
    assert set(pretraining_tables.COLUMNS.values()) <= set(table.header)
    assert "validation log" in table.note


def test_curves_show_every_metric(speech_run: Path) -> None:
    lines = read_log(speech_run / "train" / "ssl" / "ctc" / "seed1" / "train.log")
    figure = plots.learning_curves({"ssl": [lines]}, PANELS)
    assert [axes.get_title("left") for axes in figure.axes] == [panel.title for panel in PANELS]
    for axes in figure.axes:
        train, valid = (line.get_xydata() for line in axes.lines)
        assert len(train) == 8  # the lines within epochs, since there are only two epochs
        assert len(valid) == 2


def test_curves_leave_out_what_was_not_logged() -> None:
    lines = [{"train_num_updates": 10.0 * i, "train_loss": 1.0 / i} for i in range(1, 7)]
    figure = plots.learning_curves({"x": [lines]}, PANELS)
    assert [axes.get_title("left") for axes in figure.axes if axes.get_visible()] == ["Loss"]
