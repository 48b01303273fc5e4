"""Figures of attribution: their contents, and input that they refuse."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from fairseq_ext.explain.maps import AttributionMap, FrameGrid
from fairseq_ext.explain.plot import Label, Spectrogram, attribution_rows, hit_rates
from fairseq_ext.explain.pointing_score import PointingScore
from fairseq_ext.modules.spectral import MelSpectrogram
from fairseq_ext.report.plots import png
from fairseq_ext.text.scoring import Interval

RATE = 8000
MEL = MelSpectrogram(RATE, n_mels=32)
WAVEFORM = torch.randn(1, 6000, generator=torch.Generator().manual_seed(1))
CLIP = Spectrogram.of(WAVEFORM, MEL, RATE)
SPOKEN = [Label("plaça", 0.05, 0.4), Label("col·lecció", 0.4, 0.7)]
ALIGNED = [Label(letter, 0.1 + 0.06 * i, 0.12 + 0.06 * i) for i, letter in enumerate("plaça|ŀl")]


def made(method: str, peak: int, bands: np.ndarray | None = None) -> AttributionMap:
    values = np.full(37, -0.1, dtype=np.float32)
    values[peak] = 2.0
    return AttributionMap(method, "plaça", values, FrameGrid(0.02, 0.01), time_frequency=bands)


def pointing(rate: float, num_cases: int = 12) -> PointingScore:
    interval = Interval(rate, rate - 0.1, min(1.0, rate + 0.1))
    return PointingScore(interval, Interval(0.5, 0.4, 0.6), 0.31, 0.01, num_cases, 0)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_spectrogram_is_that_of_the_clip() -> None:
    assert CLIP.level_db.shape == (1 + 6000 // MEL.hop, 32)
    assert CLIP.duration_s == 0.75
    assert CLIP.hop_s == 0.01
    time_s = torch.arange(6000) / RATE
    tone = Spectrogram.of(torch.sin(2 * torch.pi * 1500 * time_s)[None], MEL, RATE)
    assert tone.centres_hz[tone.level_db[30].argmax()] == pytest.approx(1500, rel=0.1)


def test_rows_say_what_was_said_when_and_where_each_method_points() -> None:
    bands = np.zeros(CLIP.level_db.shape, dtype=np.float32)
    bands[20, 10] = 1.0
    maps = [made("hirescam", 10), made("gradcam", 30), made("integrated_gradients", 10, bands)]
    figure = attribution_rows(
        CLIP, maps, title="“plaça”", aligned=ALIGNED, spoken=SPOKEN, true_span_s=(0.05, 0.4)
    )
    assert texts(figure) == ["plaça", "col·lecció", *"plaça|ŀl"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["spoken", "aligned"]
    assert [axes.get_title(loc="left") for axes in figure.axes[1:]] == [
        "log-mel",
        "HiRes-CAM: peak at 0.21 s, inside; 100% of the map inside",
        "Grad-CAM: peak at 0.61 s, outside; 0% of the map inside",
        "Integrated gradients: peak at 0.21 s, inside; 100% of the map inside",
        "Integrated gradients, over time and frequency",
    ]
    assert figure.axes[-1].get_xlabel() == "time, s"
    assert {axes.get_ylabel() for axes in figure.axes[1:]} == {"Hz"}
    image = Image.open(io.BytesIO(png(figure)))
    assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_a_map_is_drawn_at_its_own_times() -> None:
    """A peak at 0.21 s is strongest there, though map and spectrogram have different frames."""
    axes = attribution_rows(CLIP, [made("hirescam", 10)], title="x").axes[2]
    curve, peak = axes.lines
    assert curve.get_xdata()[np.argmax(curve.get_ydata())] == pytest.approx(0.21)
    assert peak.get_xdata()[0] == pytest.approx(0.21)
    left, right = axes.images[1].get_extent()[:2]
    assert (left, right) == pytest.approx((0.0, 37 * 0.02))


def test_rows_do_without_labels_and_without_evidence() -> None:
    nothing = AttributionMap("occlusion", "x", -np.ones(5, dtype=np.float32), FrameGrid(0.15, 0.075))
    figure = attribution_rows(CLIP, [nothing], title="x")
    assert figure.axes[2].get_title(loc="left") == "Occlusion: nothing supports it"
    assert len(png(figure)) > 1000


def test_bands_of_another_shape_are_refused() -> None:
    found = made("integrated_gradients", 3, np.zeros((4, 32), dtype=np.float32))
    with pytest.raises(ValueError, match=r"of 'plaça': expected a time-frequency map .*, found \(4, 32\)"):
        attribution_rows(CLIP, [found], title="x")


def test_hit_rates_stand_beside_chance() -> None:
    figure = hit_rates({"hirescam": pointing(0.987), "gradcam": pointing(0.56), "my_own": pointing(0.3)})
    axes = figure.axes[0]
    assert texts(figure) == ["98.7", "56.0", "30.0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["HiRes-CAM", "Grad-CAM", "my_own"]
    assert axes.get_title(loc="left") == "Pointing game"
    assert axes.get_xlabel() == "peak inside the true span (10 ms of tolerance), % of 12 cases"
    assert any(line.get_xdata()[0] == pytest.approx(31.0) for line in axes.lines)
    assert "chance, 31.0%" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert png(figure) == png(figure)


def test_chance_is_that_of_the_table() -> None:
    scores = {"hirescam": pointing(0.9), "occlusion": pointing(0.9), "alignment": pointing(0.8)}
    scores["occlusion"] = replace(scores["occlusion"], chance=0.29)
    scores["alignment"] = replace(scores["alignment"], chance=0.304)
    figure = hit_rates(scores)
    assert "chance, 30.4%" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(line.get_xdata()[0] == pytest.approx(30.4) for line in figure.axes[0].lines)


def test_hit_rates_of_different_cases_are_not_compared() -> None:
    with pytest.raises(ValueError, match="expected scores of the same cases, found 11, 12 cases"):
        hit_rates({"hirescam": pointing(0.9), "gradcam": pointing(0.5, num_cases=11)})
    with pytest.raises(ValueError, match="found none cases"):
        hit_rates({})
