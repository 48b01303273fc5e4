"""Values that no training can work with are found by their names, against the configuration without overrides."""

import runpy
from typing import Any

import pytest

USUAL: dict[str, Any] = {
    "model": {
        "dropout": 0.1,
        "encoder_layers": 2,
        "mask_prob": 0.65,
        "depth": [1, 2],
        "offset": -1.5,
        "frozen_layers": 2,
    },
    "optimization": {"lr": [0.001], "max_update": 100, "clip_norm": 25.0, "update_freq": [1]},
    "dataset": {"batch_size": None, "max_tokens": 5},
    "checkpoint": {"patience": -1, "keep": True},
}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("model.dropout", 7, "model.dropout=7: 0 to 1 expected"),
        ("model.dropout", 0.0, None),
        ("model.mask_prob", -0.1, "model.mask_prob=-0.1: 0 to 1 expected"),
        ("model.encoder_layers", 0, "model.encoder_layers=0: a value above 0 expected"),
        ("model.frozen_layers", 0, None),
        ("model.frozen_layers", -1, "model.frozen_layers=-1: 0 or more expected"),
        ("model.offset", -2.0, "model.offset=-2.0: a value of 0 or more expected"),
        ("model.offset", -1.0, None),
        ("model.depth", [1, -3], "model.depth=-3: a value of 0 or more expected"),
        ("optimization.lr", [0.1, -1], "optimization.lr=-1: a value above 0 expected"),
        ("optimization.lr", [float("nan")], "optimization.lr=nan: a finite value expected"),
        ("optimization.max_update", -5, "optimization.max_update=-5: a value of 0 or more expected"),
        ("optimization.max_update", 0, None),
        ("optimization.update_freq", [0], "optimization.update_freq=0: a value above 0 expected"),
        ("optimization.clip_norm", float("inf"), "optimization.clip_norm=inf: a finite value expected"),
        ("dataset.batch_size", 0, "dataset.batch_size=0: a value above 0 expected"),
        ("dataset.max_tokens", 9, None),
        ("checkpoint.patience", -1, None),
        ("checkpoint.keep", False, None),
    ],
)
def test_values_out_of_range_are_named(repository: Any, key: str, value: Any, expected: str | None) -> None:
    out_of_range = runpy.run_path(str(repository / "tools" / "training_plan" / "value_ranges.py"))[
        "out_of_range"
    ]
    section, name = key.split(".")
    assert out_of_range({**USUAL, section: {**USUAL[section], name: value}}, USUAL) == expected
