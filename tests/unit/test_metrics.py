"""Scores agree with scikit-learn's, and intervals behave as intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from fairseq_ext.scoring import metrics

NUM_CLASSES = 5
classes = st.integers(0, NUM_CLASSES - 1)
pairs_of_classes = st.lists(st.tuples(classes, classes), min_size=1, max_size=60)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs, dtype=np.int64)
    return table[:, 0], table[:, 1]


@settings(deadline=None)
@given(pairs_of_classes)
def test_overall_scores_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = columns(pairs)
    found = metrics.overall_scores(metrics.confusion_matrix(targets, predictions, NUM_CLASSES))
    asked = {"labels": sorted(set(targets.tolist())), "average": "macro", "zero_division": 0}
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(targets, predictions))
    assert found["macro_precision"] == pytest.approx(oracle.precision_score(targets, predictions, **asked))
    assert found["macro_recall"] == pytest.approx(oracle.recall_score(targets, predictions, **asked))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(targets, predictions, **asked))
    weighted = oracle.f1_score(targets, predictions, **{**asked, "average": "weighted"})
    assert found["weighted_f1"] == pytest.approx(weighted)


@given(pairs_of_classes)
def test_per_class_and_confusion_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = columns(pairs)
    labels = list(range(NUM_CLASSES))
    confusion = metrics.confusion_matrix(targets, predictions, NUM_CLASSES)
    assert (confusion == oracle.confusion_matrix(targets, predictions, labels=labels)).all()
    expected = oracle.precision_recall_fscore_support(targets, predictions, labels=labels, zero_division=0)
    found = metrics.per_class(confusion, [str(label) for label in labels])
    for name, values in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        assert [found[str(label)][name] for label in labels] == pytest.approx(values.tolist())


@settings(max_examples=20, deadline=None)
@given(pairs_of_classes, st.integers(0, 3))
def test_interval_holds_the_value_and_repeats(pairs: list[tuple[int, int]], seed: int) -> None:
    found = metrics.with_intervals(*columns(pairs), NUM_CLASSES, num_resamples=100, seed=seed)
    again = metrics.with_intervals(*columns(pairs), NUM_CLASSES, num_resamples=100, seed=seed)
    assert found == again
    accuracy = found["accuracy"]
    assert 0 <= accuracy["low"] <= accuracy["high"] <= 1
    assert accuracy["low"] - 1e-9 <= accuracy["value"] <= accuracy["high"] + 1e-9 or len(pairs) < 20


def test_interval_has_the_width_of_the_binomial() -> None:
    """For a proportion the bootstrap agrees with the normal approximation: 1.96 sqrt(p (1 - p) / N)."""
    targets = np.zeros(1000, dtype=np.int64)
    predictions = (np.arange(1000) < 200).astype(np.int64)
    found = metrics.with_intervals(targets, predictions, 2)["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert found["value"] == pytest.approx(0.8)
    assert found["low"] == pytest.approx(0.8 - half, abs=0.005)
    assert found["high"] == pytest.approx(0.8 + half, abs=0.005)


def test_groups_are_scored_apart() -> None:
    targets, predictions = np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0])
    found = metrics.per_group(targets, predictions, ["right", "right", "wrong", "wrong"], 2)
    assert found == {
        "right": {"accuracy": 1.0, "macro_recall": 1.0, "macro_f1": 1.0, "n": 2},
        "wrong": {"accuracy": 0.0, "macro_recall": 0.0, "macro_f1": 0.0, "n": 2},
    }


def test_score_has_every_key_of_the_format() -> None:
    found = metrics.score(np.array([0, 1, 1]), np.array([0, 1, 0]), ["a", "a", "b"], ["no", "yes"])
    assert found["n"] == 3
    assert found["confusion"] == [[1, 0], [1, 1]]
    assert set(found["metrics"]) == set(metrics.METRICS)
    assert set(found["per_speaker"]) == {"a", "b"}
    assert found["per_class"]["yes"]["n"] == 2


@pytest.mark.parametrize(
    ("targets", "predictions", "message"),
    [([0, 1], [0], "two equal rows"), ([0], [7], "classes 0..4"), ([-1], [0], "classes 0..4")],
)
def test_what_cannot_be_scored_is_refused(targets: list[int], predictions: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix(np.array(targets), np.array(predictions), NUM_CLASSES)


def test_nothing_to_score_is_refused() -> None:
    empty = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="no utterances to score"):
        metrics.with_intervals(empty, empty, NUM_CLASSES)


def test_intervals_over_speakers_are_wider_when_speakers_differ() -> None:
    """Ten speakers, all right or all wrong: what varies is the speaker, not the recording."""
    targets = np.tile([0, 1], 250)
    wrong = np.repeat(np.arange(10) < 3, 50)
    predictions = np.where(wrong, 1 - targets, targets)
    speakers = [f"s{number}" for number in np.repeat(np.arange(10), 50)]
    few = metrics.score(targets, predictions, speakers, ["no", "sí"])
    over = metrics.score(targets, predictions, speakers, ["no", "sí"], over="speakers")
    assert (few["intervals_over"], over["intervals_over"]) == ("recordings", "speakers")
    widths = [
        found["metrics"]["accuracy"]["high"] - found["metrics"]["accuracy"]["low"] for found in (few, over)
    ]
    # binomial over 500 recordings, over 10 speakers
    assert widths[0] == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 500), abs=0.01)
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 10), abs=0.1)
    assert few["metrics"]["macro_f1"]["value"] == over["metrics"]["macro_f1"]["value"]
    one = metrics.score(targets, predictions, ["s0"] * 500, ["no", "sí"], over="speakers")
    assert (one["intervals_over"], one["metrics"]) == ("recordings", few["metrics"])
    with pytest.raises(ValueError, match="found 'seeds'"):
        metrics.score(targets, predictions, speakers, ["no", "sí"], over="seeds")
