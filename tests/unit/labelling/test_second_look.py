"""The second look at an unsure language: at other speeds, for short recordings only, and named in the table."""

from collections.abc import Sequence

import numpy as np
import pytest

from fairseq_ext.labelling.engine import MAX_SAMPLES, Hypothesis, Waveform
from fairseq_ext.labelling.filters import FilterSettings, judge
from fairseq_ext.labelling.label import Labeller, Recording
from fairseq_ext.labelling.second_look import at_other_speeds, averaged

RATE = 16_000


class Tempo:
    """An engine for tests, which finds French with the probabilities given, look after look; the rest is Spanish."""

    name, languages, batch_size = "tempo", frozenset({"fr", "es", "en"}), 4

    def __init__(self, *french: float, spanish: str = "4-1, 6-0") -> None:
        self.left, self.texts = list(french), {"fr": "4, 1, 6, 0.", "es": spanish}
        self.lengths: list[int] = []

    def encode(self, windows: Sequence[Waveform]) -> list[int]:
        self.lengths += [len(window) for window in windows]
        return [len(window) for window in windows]

    def detect_language(self, encoded: list[int]) -> list[list[tuple[str, float]]]:
        rows = []
        for _ in encoded:
            french = self.left.pop(0)
            found = [("fr", french), ("es", 0.98 - french), ("en", 0.02)]
            rows.append(sorted(found, key=lambda item: -item[1]))
        return rows

    def part(self, encoded: list[int], index: int, start_s: float, end_s: float) -> list[int]:
        return encoded[index : index + 1]

    def transcribe(self, encoded: list[int], languages: Sequence[str | None]) -> list[Hypothesis | None]:
        return [Hypothesis(self.texts[code], code, -0.5, 0.1, 4) if code else None for code in languages]


def label(engine: Tempo, waveform: np.ndarray, language: str | None = None):  # type: ignore[no-untyped-def]
    return Labeller(engine, ["fr", "es"])([Recording("a", "a", waveform, language)])[0]


def test_a_short_unsure_recording_is_heard_slower_and_faster(spoken: dict[str, np.ndarray]) -> None:
    engine = Tempo(0.495, 0.7, 0.5)
    found = label(engine, spoken["fr"])
    first, *again = engine.lengths
    assert [length / first for length in again] == pytest.approx([1, 1 / 0.9, 1 / 1.1], abs=1e-3)
    assert found.first_look == "fr:0.4950 es:0.4850 en:0.0200"
    assert found.languages == "fr:0.5650 es:0.4150 en:0.0200"
    assert found.language_probability == pytest.approx((0.495 + 0.7 + 0.5) / 3)
    assert judge(found, None, FilterSettings(min_characters_per_second=0.0)) is None


def test_a_recording_that_stays_unsure_is_refused(spoken: dict[str, np.ndarray]) -> None:
    found = label(Tempo(0.495, 0.47, 0.5), spoken["fr"])
    assert (found.language, found.first_look) == ("es", "fr:0.4950 es:0.4850 en:0.0200")
    assert judge(found, None, FilterSettings()) == "language_unsure"


def test_where_the_texts_differ_the_recording_stays_unsure(spoken: dict[str, np.ndarray]) -> None:
    """Part of it may be in the other language, however sure of the first one the other speeds are."""
    engine = Tempo(0.495, 0.9, 0.9, spanish="cuatro, 1, 6, 0")
    found = label(engine, spoken["fr"])
    assert found.first_look == found.languages == "fr:0.4950 es:0.4850 en:0.0200"
    assert judge(found, None, FilterSettings()) == "language_unsure"
    assert len(engine.left) == 2  # not heard again


def test_sure_long_and_told_languages_are_not_heard_again(spoken: dict[str, np.ndarray]) -> None:
    long = np.tile(spoken["fr"], 4)
    for engine, waveform, language in (
        (Tempo(0.6), spoken["fr"], None),
        (Tempo(0.49, *[0.49] * 20), long, None),
        (Tempo(0.49), spoken["fr"], "fr"),
    ):
        assert label(engine, waveform, language).first_look == ""
        assert len(engine.lengths) == 1


def test_speed_changes_pitch_and_length() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    slower, faster = at_other_speeds(tone)
    for view, hz in ((slower, 900), (faster, 1100)):
        spectrum = np.abs(np.fft.rfft(view))
        assert spectrum.argmax() * RATE / len(view) == pytest.approx(hz, abs=2)
    assert [len(view) for view in at_other_speeds(np.zeros(MAX_SAMPLES, np.float32))] == [
        MAX_SAMPLES,
        -(-MAX_SAMPLES * 10 // 11),
    ]


def test_the_mean_counts_what_a_look_lacks_as_0() -> None:
    found = averaged([[("fr", 0.5), ("it", 0.5)], [("es", 0.9), ("fr", 0.1)]])
    assert found == [("es", 0.45), ("fr", 0.3), ("it", 0.25)]
