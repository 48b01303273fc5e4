"""Every figure can be drawn from plain numbers, repeats to the byte, and copes with little data."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fairseq_ext.report import plots, score_plots

GENERATOR = np.random.default_rng(3)
POINTS = GENERATOR.normal(size=(30, 2)).astype(np.float32)
LINES = [
    {"train_num_updates": 10.0 * i, "train_loss": 1.0 / i, "train_accuracy": 10.0 * i}
    | {"valid_num_updates": 10.0 * i, "valid_loss": 1.1 / i, "valid_accuracy": 9.0 * i}
    for i in range(1, 6)
]
ACCURACY = {"mean": 0.8, "low": 0.7, "high": 0.9}
FIGURES: dict[str, Callable[[], Figure]] = {
    "learning_curves": lambda: plots.learning_curves({"one": [LINES], "two": [LINES[:1]], "none": [[]]}),
    "confusion": lambda: plots.confusion(
        GENERATOR.integers(0, 9, (10, 10)).tolist(), list("0123456789"), "A"
    ),
    "confusion_empty": lambda: plots.confusion(np.zeros((2, 2), int).tolist(), ["no", "yes"], "nothing"),
    "scatter": lambda: plots.scatter(
        {"t-SNE": POINTS, "UMAP": POINTS},
        {"class": [str(i % 12) for i in range(30)], "speaker": ["a", "b", "c"] * 10},
    ),
    "spectrograms": lambda: plots.spectrogram_grid(
        {f"view {i}": GENERATOR.random((20 + i, 40), dtype=np.float32) for i in range(5)}, hop_ms=10
    ),
    "efficiency": lambda: score_plots.efficiency(
        {"few": {"a": {1: ACCURACY, 50: ACCURACY}, "b": {5: ACCURACY}}, "x": {}}
    ),
    "bars": lambda: score_plots.bars({"a": {"x": 0.5, "y": 0.7}, "b": {"y": 1.0}}, "Speakers", "macro-F1, %"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_drawn(name: str) -> None:
    figure = FIGURES[name]()
    image = Image.open(io.BytesIO(plots.png(figure)))
    width_inches = figure.get_size_inches()[0]
    assert image.width == pytest.approx(1.5 * plots.PAGE_DPI * width_inches, abs=2)
    assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_equal_figures_give_equal_bytes() -> None:
    first, second = (plots.png(plots.learning_curves({"one": [LINES]})) for _ in range(2))
    assert first == second


def test_axes_name_their_units() -> None:
    labels = {axes.get_xlabel() for axes in plots.learning_curves({"one": [LINES]}).axes}
    assert labels == {"updates"}
    axes = score_plots.efficiency({"few": {"a": {1: ACCURACY}}}).axes[0]
    assert "%" in axes.get_ylabel()
    assert axes.get_xlabel() == "labelled recordings per class and speaker"


def test_lowest_bar_is_marked() -> None:
    texts = [text.get_text() for text in score_plots.bars({"a": {"x": 0.5, "y": 0.7}}, "", "").axes[0].texts]
    assert texts == ["50.0 lowest", "70.0"]


def test_ten_classes_stay_apart() -> None:
    """Colours alone would not do for every reader: no pair of colour and marker comes twice."""
    assert len(set(zip(plots.COLOURS, plots.MARKERS, strict=True))) == 10


def test_legends_of_long_names_are_not_cut() -> None:
    name = "temporal CNN, pre-trained, frozen, linear probe"
    systems = {f"{name} {i}": {1: ACCURACY} for i in range(5)}
    for figure in (
        score_plots.efficiency({"few": systems}),
        plots.learning_curves({system: [LINES] for system in systems}),
    ):
        plots.png(figure)
        box = figure.legends[0].get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
