"""Tables of classifiers on frozen embeddings: what they chose, groups, layers, calibration, other corpora."""

from typing import Any

import pytest

from fairseq_ext.report.classification import frozen
from fairseq_ext.report.classification.tables import scores_table
from fairseq_ext.report.partitions import CROSS_CORPUS

FAMILY = "unseen_speakers/"


def metric(value: float) -> dict[str, float]:
    return {"mean": value, "min": value, "max": value, "low": value - 0.1, "high": value + 0.1}


def summary(system: str, partition: str = FAMILY, **more: Any) -> dict[str, Any]:
    names = ("accuracy", "macro_f1", "macro_recall", "macro_precision")
    common = {"kind": "classification", "seeds": [1], "n": 40, "labels": ["happy", "sad"], "per_speaker": {}}
    counts = {"num_parameters": 10, "train_s": 1.0}
    return {
        "system": system,
        "partition": partition,
        "metrics": {name: metric(0.5) for name in names},
        **common,
        **counts,
        **more,
    }


def results(*pooled: dict[str, Any], plain: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    about = {"metric": "macro_recall", "headline": [FAMILY]}
    return {"about": about, "pooled": list(pooled), "summary": list(plain), "systems": []}


def choice(layer: Any, **parameters: Any) -> dict[str, Any]:
    return {"layer": layer, "pooling": "mean+std", "classifier": "svm", "parameters": parameters}


def test_choices_are_counted_over_folds() -> None:
    chosen = [choice(3, C=1.0), choice(4, C=1.0), choice(3, C=0.01)]
    found = frozen.choices(
        results(summary("a", choices=chosen, calibration={"ece": 0.032, "bins": []})), FAMILY
    )
    assert found is not None
    assert found.rows == (("a", "3 (2), 4 (1)", "mean+std", "C=1 (2), C=0.01 (1)", "3.2"),)


def test_of_many_settings_the_most_frequent_are_shown() -> None:
    chosen = [choice(2, depth=d) for d in (1, 2, 3, 4)]
    found = frozen.choices(results(summary("a", choices=chosen)), FAMILY)
    assert found is not None
    assert found.rows[0][3:] == ("depth=1 (1), depth=2 (1), depth=3 (1), ...", "–")


def test_a_single_partition_has_one_choice() -> None:
    given = results(summary("a", choice=choice("2+3")))
    found = frozen.choices(given, FAMILY)
    assert found is not None
    assert found.rows[0][:4] == ("a", "2+3", "mean+std", "–")


def test_systems_without_these_keys_have_no_tables() -> None:
    given = results(summary("a"))
    assert frozen.choices(given, FAMILY) is None
    assert frozen.layer_curves(given, FAMILY) is None
    assert frozen.calibration(given, FAMILY) is None
    assert list(frozen.groups(given, FAMILY)) == []
    assert frozen.cross_corpus(given) is None


def test_groups_have_a_table_per_kind() -> None:
    scores = {"f": {"macro_recall": 0.25, "n": 3}, "m": {"macro_recall": 0.75, "n": 4}}
    other = summary("b", per_group={"gender": {"m": {"macro_recall": 1.0, "n": 4}}})
    (table,) = frozen.groups(results(summary("a", per_group={"gender": scores}), other), FAMILY)
    assert table.header == ("System", "f (n = 3)", "m (n = 4)")
    assert table.rows == (("a", "25.0", "75.0"), ("b", "–", "100.0"))


def test_corpora_are_columns_and_no_folds() -> None:
    pytest.importorskip("matplotlib")
    plain = (
        summary("a", f"{CROSS_CORPUS}A-B"),
        summary("a", f"{CROSS_CORPUS}B-A"),
        summary("b", f"{CROSS_CORPUS}A-B"),
    )
    table = frozen.cross_corpus(results(plain=plain))
    assert table is not None
    assert table.header == ("System", "A to B (n = 40, 2 classes)", "B to A (n = 40, 2 classes)")
    assert table.rows[1] == ("b", "50.0 [40.0, 60.0]", "–")


def test_ua_comes_first_where_a_recipe_says_so() -> None:
    given = results(summary("a"))
    table = scores_table(given, FAMILY, "k")
    assert table is not None
    assert table.header[2:8:2] == ("UA (macro recall) %", "Accuracy %", "Macro-F1 %")
    del given["about"]["metric"]
    table = scores_table(given, FAMILY, "k")
    assert table is not None
    assert table.header[2:6:2] == ("Accuracy %", "Macro-F1 %")


def test_curves_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    bins = [{"confidence": 0.5, "accuracy": 0.4}, {"confidence": 0.9, "accuracy": 0.9}]
    given = results(
        summary("a", layers={"0": 0.3, "10": 0.5, "2": 0.6}, calibration={"ece": 0.1, "bins": bins})
    )
    for picture in (frozen.layer_curves(given, FAMILY), frozen.calibration(given, FAMILY)):
        assert picture is not None
        assert picture.png.startswith(b"\x89PNG")
        assert "a" in picture.description
