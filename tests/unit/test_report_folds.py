"""A corpus with no recipe and no report.json: whatever partitions there are get a page, and folds are pooled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_document import Document

from fairseq_ext.report import markdown, page, partitions, results
from fairseq_ext.report.classification import families, folds
from fairseq_ext.report.classification import tables as classification
from fairseq_ext.report.result_type import Fold
from fairseq_ext.report.run import Run
from fairseq_ext.scoring.predictions import read_predictions

SPEAKERS = ("anna", "bert", "clara", "dora", "emil")
FAMILY = "leave_one_out/"
Folds = Callable[..., None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_folds: Folds) -> Run:
    """Write a run that holds `leave_one_out/<speaker>` and nothing else."""
    folder = tmp_path_factory.mktemp("folds")
    make_folds(folder, SPEAKERS)
    return Run(folder, results.write_results(folder, {}), ("t-SNE",))


@pytest.fixture(scope="module")
def html(run: Run) -> str:
    return page.write_report(run).read_text(encoding="utf-8")


def test_folds_alone_fill_every_section(html: str) -> None:
    document = Document(html)
    assert [attributes["id"] for attributes in document.every("section")] == [
        *("summary", "speakers", "learning", "confusion", "embeddings", "examples", "augmentation"),
        *("maps", "provenance"),
    ]
    assert len(document.every("audio")) == 60
    for key in ("headline", "folds-leave_one_out", "per-speaker", "per-class", "systems"):
        assert f'id="{key}"' in html
    assert "Leave one out, folds pooled" in document.text
    assert "macro-F1 of the hardest speaker" in document.text


def test_one_confusion_matrix_holds_every_test_utterance(run: Run, html: str) -> None:
    pooled = {s["system"]: s for s in run.results["pooled"]}
    assert list(pooled) == ["linear_classifier", "temporal_cnn"]
    for name, summary in pooled.items():
        paths = (run.folder / "scores").glob(f"{FAMILY}*/{name}/seed1/predictions.tsv")
        every = [read_predictions(path) for path in paths]
        assert len(every) == len(SPEAKERS)
        assert np.sum(summary["confusion"]) == summary["n"] == sum(len(p.ids) for p in every) == 100
        right = sum(int((p.scores.argmax(1) == p.targets).sum()) for p in every)
        assert summary["metrics"]["accuracy"]["mean"] == right / 100
        assert list(summary["per_speaker"]) == list(SPEAKERS)
        assert summary["intervals_over"] == "speakers"
        assert summary["folds"] == [f"{FAMILY}{speaker}" for speaker in SPEAKERS]
    figures = html.count('alt="Confusion matrix of')
    assert figures == 2
    assert "all 5 folds together" in html


def test_tables_say_that_folds_are_pooled(run: Run) -> None:
    text = markdown.markdown(run.results)
    assert "## Leave one out, folds pooled" in text
    assert "all 5 folds are scored together" in text
    assert "## Leave one out: macro-F1 % of each unseen speaker" in text
    assert results.stale_results_page(run.folder) is None
    assert "folds pooled" in markdown.summary_text(run.results)


def test_folds_of_several_speakers_are_no_speakers(
    tmp_path: Path, make_system: Callable[..., Path], make_corpus: Callable[..., None]
) -> None:
    for fold, speakers in {"0": ["anna", "bert"], "1": ["clara", "dora"]}.items():
        make_system(tmp_path, f"cross/{fold}", "temporal_cnn", 1, n=40, speakers=speakers)
    found = results.collect(tmp_path, {})
    assert partitions.headlines(found) == ["cross/"]
    assert "## Cross: macro-F1 % of each fold" in (text := markdown.markdown(found))
    assert "With 4 speakers the intervals are rough." in text
    assert "Worst fold" in text


def test_partitions_with_one_test_set_are_not_folds(tmp_path: Path, make_system: Callable[..., Path]) -> None:
    for noise in ("clean", "street"):
        make_system(tmp_path, f"noise/{noise}", "temporal_cnn", 1)
    found = results.collect(tmp_path, {})
    assert "pooled" not in found
    assert partitions.headlines(found) == ["noise/clean", "noise/street"]


def test_a_system_without_every_fold_is_not_pooled(
    tmp_path: Path, make_system: Callable[..., Path], make_folds: Folds
) -> None:
    make_folds(tmp_path, SPEAKERS[:2])
    make_system(tmp_path, f"{FAMILY}anna", "simclr_probe", 1, n=20, speakers=["anna"])
    found = results.collect(tmp_path, {})
    assert {s["system"] for s in found["pooled"]} == {"linear_classifier", "temporal_cnn"}
    assert "simclr probe" in markdown.markdown(found)


def test_published_split_comes_first_and_folds_stay(
    tmp_path: Path, make_system: Callable[..., Path], make_folds: Folds
) -> None:
    make_folds(tmp_path, SPEAKERS[:3])
    make_system(tmp_path, "published", "temporal_cnn", 1)
    found = results.collect(tmp_path, {})
    assert partitions.headlines(found) == ["published"]
    assert "macro-F1 % of each unseen speaker" in markdown.markdown(found)
    assert partitions.headlines({**found, "about": {"headline": [FAMILY]}}) == [FAMILY]


def test_controls_do_not_come_first(
    tmp_path: Path, make_system: Callable[..., Path], make_folds: Folds
) -> None:
    make_folds(tmp_path, SPEAKERS[:3])
    leaky = make_system(tmp_path, "random", "temporal_cnn", 1)
    (leaky / "metrics.json").write_text(
        json.dumps(json.loads((leaky / "metrics.json").read_text()) | {"num_shared_speakers": 3})
    )
    make_system(tmp_path, "leaky/0", "temporal_cnn", 1)
    found = results.collect(tmp_path, {})
    assert partitions.headlines(found) == [FAMILY]
    text = markdown.markdown(found)
    assert "Leaky control: not a result (1 fold)" in text
    assert "## Partition: random" in text


def test_few_labels_of_folds_are_pooled(tmp_path: Path, make_folds: Folds) -> None:
    for family in ("leave_one_speaker_out", "labels_1", "labels_5"):
        make_folds(tmp_path, SPEAKERS[:2], family=family)
    found = results.collect(tmp_path, {})
    assert partitions.headlines(found) == ["leave_one_speaker_out/"]
    table = families.label_efficiency(found)
    assert table is not None
    assert table.header == ("System", "1 per class and speaker", "5 per class and speaker", "all")
    assert all(cell.endswith("]") for row in table.rows for cell in row[1:])
    assert [t.key for t in classification.all_tables(found) if "label" in t.key] == ["label-efficiency"]
    assert len(families.label_curves(found)["temporal_cnn"]) == 2


def test_classes_that_a_fold_does_not_have_are_kept(tmp_path: Path, make_system: Callable[..., Path]) -> None:
    folders = [make_system(tmp_path, f"x/{s}", "temporal_cnn", 1, n=20, speakers=[s]) for s in ("a", "b")]
    path = folders[1] / "predictions.tsv"
    table = [line.split("\t") for line in path.read_text().splitlines()]
    column = table[0].index("score_9")
    kept = [[*row[:column], *row[column + 1 :]] for row in table if "9" not in row[2:4]]
    path.write_text("".join("\t".join(row) + "\n" for row in kept))
    found: dict[str, Any] | None = folds.pool([Fold({}, folder, folder) for folder in folders])
    assert found is not None
    assert found["labels"] == list("0123456789")
    assert np.sum(found["confusion"]) == found["n"] == 20 + len(kept) - 1
