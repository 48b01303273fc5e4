"""Families of folds as one table: of verification, and of folds within folds."""

from typing import Any

import pytest

from fairseq_ext.report import partitions
from fairseq_ext.report.classification import families
from fairseq_ext.report.partitions import shown_family
from fairseq_ext.report.verification import tables
from fairseq_ext.report.verification.folds import mean_metric


def metric(mean: float, half: float = 0.1) -> dict[str, float]:
    return {"mean": mean, "min": mean - 0.01, "max": mean + 0.01, "low": mean - half, "high": mean + half}


def verified(partition: str, system: str, eer: float, **more: Any) -> dict[str, Any]:
    names = ("min_dcf_0.05", "min_dcf_0.01", "recall_1", "recall_5", "nearest_centroid")
    counts = {"num_targets": 3, "num_others": 4, "num_same_speaker_left_out": 1}
    return {
        "kind": "verification", "partition": partition, "system": system, "seeds": [1, 2], "n": 8, "label": "accent",
        "num_speakers": 4, "trials": {"pairs": "all", **counts}, "silhouette": metric(0.5), "det": [[0.5, 0.5]],
        "metrics": {"eer": metric(eer), **dict.fromkeys(names, metric(0.5))}, **more,
    }  # fmt: skip


def by_sentence(eer: float | None) -> dict[str, Any]:
    kinds = {"num_targets": 1, "num_others": 2, "eer": None if eer is None else metric(eer)}
    return {"pairs_by": {"stream": "sentence", "num_unknown": 0, "same": kinds, "other": kinds}}


def test_folds_of_verification_share_a_table() -> None:
    folds = [verified("pairs/one", "net", 0.1), verified("pairs/two", "net", 0.3)]
    results = {
        "about": {},
        "summary": [*folds, verified("pairs/two", "mfcc", 0.4), verified("alone", "net", 0.2)],
    }
    pairs, alone = tables.all_tables(results)
    assert [row[0] for row in pairs.rows] == [
        "mfcc, two",
        *("net, mean of 2 folds", "net, one", "net, two"),
    ]
    assert [row[2] for row in pairs.rows[1:]] == ["20.0", "10.0 (9.0–11.0)", "30.0 (29.0–31.0)"]
    assert pairs.rows[1][3] == "[12.9, 27.1]"
    assert "network of its own" in pairs.note
    assert [row[0] for row in alone.rows] == ["net"]
    assert alone.title == "Verification by accent: alone"
    assert "network of its own" not in alone.note


@pytest.mark.parametrize(("second", "shown"), [(0.3, "20.0"), (None, "–")])
def test_a_kind_of_pairs_that_a_fold_lacks_has_no_mean(second: float | None, shown: str) -> None:
    folds = [verified(f"pairs/{i}", "net", 0.1, **by_sentence(eer)) for i, eer in enumerate((0.1, second))]
    _, pairs = tables.all_tables({"about": {}, "summary": folds})
    assert [row[2] for row in pairs.rows[:2]] == [shown, "10.0 (9.0–11.0)"]


def test_independent_intervals_add_up_as_standard_errors_do() -> None:
    one = {"mean": 0.2, "low": 0.1, "high": 0.5}
    assert mean_metric([one]) == pytest.approx(one)
    four = mean_metric([one] * 4)
    assert four == pytest.approx({"mean": 0.2, "low": 0.15, "high": 0.35})


def test_folds_within_folds_are_shown_together() -> None:
    nested = ["speaker/one/", "speaker/two/"]
    assert {shown_family(family, nested) for family in nested} == {"speaker/"}
    assert shown_family("speaker/one/", ["speaker/one/", "unseen/"]) == "speaker/one/"
    assert shown_family("unseen/", ["unseen/", "leaky/"]) == "unseen/"


def test_folds_within_folds_have_a_column_for_each_outer_fold() -> None:
    scores = {"one/a": 0.1, "one/b": 0.3, "two/a": 0.7, "two/b": 0.9}
    every = [
        {"partition": f"speaker/{fold}", "system": "net", "seed": 1, "num_speakers": 3, "seeds": [1],
         "metrics": {name: {"mean": value, "value": value} for name in ("macro_f1", "accuracy")}}
        for fold, value in scores.items()
    ]  # fmt: skip
    pooled = [{"partition": f"speaker/{fold}/", "system": "net"} for fold in ("one", "two")]
    results = {"about": {}, "summary": every, "systems": every, "pooled": pooled}
    (table,) = families.fold_tables(results)
    assert table.title == "Speaker: macro-F1 % of each fold"
    assert table.header == (
        "System",
        "Seeds",
        "Mean macro-F1 %",
        "Worst fold",
        "one",
        "two",
        "Mean accuracy %",
    )
    assert table.rows == (("net", "1", "50.0", "one 20.0", "20.0", "80.0", "50.0"),)
    assert "mean over 2 folds within that fold" in table.note


@pytest.mark.parametrize(
    ("titled", "best", "expected"),
    [
        (("net", "mfcc"), "net", "net"),
        (("net", "mfcc"), "missing", "mfcc"),
        (("mfcc", "net"), None, "net"),
        ((), None, "shuffled_labels"),
    ],
)
def test_a_control_is_not_shown_in_detail(titled: tuple[str, ...], best: str | None, expected: str) -> None:
    about = {"best": best, "systems": {name: name for name in titled}, "headline": ["unseen"]}
    summary = [{"partition": "unseen", "system": name} for name in ("shuffled_labels", "net", "mfcc")]
    assert partitions.detailed_system({"about": about, "summary": summary}, "unseen") == expected


def test_headlines_without_details_are_named_by_the_recipe() -> None:
    summary = [{"partition": name, "system": "net"} for name in ("unseen", "sentences")]
    about = {"headline": ["unseen", "sentences"]}
    assert partitions.detailed_headlines({"about": about, "summary": summary}) == ["unseen", "sentences"]
    about["details"] = ["unseen"]
    assert partitions.detailed_headlines({"about": about, "summary": summary}) == ["unseen"]
