"""The calibration error agrees with scikit-learn's calibration curve."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fairseq_ext.scoring.calibration import calibration


def test_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, 3)).astype(np.float32) * 2
    targets = rng.integers(0, 3, 500)
    found = calibration(targets, scores)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    right = scores.argmax(1) == targets
    accuracy, confidence = calibration_curve(right, shares.max(1).astype(float), n_bins=10)
    assert [b["accuracy"] for b in found["bins"]] == pytest.approx(accuracy)
    assert [b["confidence"] for b in found["bins"]] == pytest.approx(confidence, rel=1e-5)
    assert sum(b["n"] for b in found["bins"]) == 500
    gaps = sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in found["bins"])
    assert found["ece"] == pytest.approx(gaps / 500)


def test_certain_and_right_has_no_error() -> None:
    scores = np.array([[0.0, -np.inf], [-np.inf, 0.0]], dtype=np.float32)
    assert calibration(np.array([0, 1]), scores)["ece"] == 0
    assert calibration(np.array([1, 0]), scores) == {
        "ece": 1.0,
        "bins": [{"low": 0.9, "high": 1.0, "n": 2, "confidence": 1.0, "accuracy": 0.0}],
    }
