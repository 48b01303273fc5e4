"""Speech detection and windows: right place, up to 30 s, no window in silence."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_ext.labelling.engine import MAX_SAMPLES
from fairseq_ext.labelling.speech import PAD_S, cut, find_speech, speech_s, windows

RATE = 16_000
pytest.importorskip("faster_whisper", reason="needs pip install -e .[whisper]")


def test_speech_is_found_in_place(spoken: dict[str, np.ndarray]) -> None:
    sentence = spoken["fr"]
    waveform = np.concatenate(
        [np.zeros(2 * RATE, np.float32), sentence, np.zeros(5 * RATE, np.float32), sentence]
    )
    found = find_speech(waveform)
    first, second = 2 * RATE + RATE // 2, 7 * RATE + len(sentence) + RATE // 2  # where the sentences begin
    length = len(sentence) - RATE
    starts = [min(start for start, _ in found), min(s for s, _ in found if s > first + length)]
    assert np.abs(np.array(starts) - [first, second]).max() < 0.25 * RATE
    assert speech_s(found) == pytest.approx(2 * length / RATE, rel=0.25)
    (window,) = windows(found, len(waveform))  # both fit into one window, with the silence between them
    assert window[0] == starts[0] - round(PAD_S * RATE)
    assert cut(waveform, window).shape == (window[1] - window[0],)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2])
def test_noise_has_no_speech(noise: float) -> None:
    waveform = np.random.default_rng(0).normal(scale=noise, size=6 * RATE).astype(np.float32)
    assert find_speech(waveform) == []
    assert windows([], len(waveform)) == []


def test_long_speech_is_cut_at_its_pauses(spoken: dict[str, np.ndarray]) -> None:
    waveform = np.tile(spoken["it"], 40)  # a minute and more, pauses of a second
    found = windows(find_speech(waveform), len(waveform))
    assert len(found) >= len(waveform) / MAX_SAMPLES
    assert all(end - start <= MAX_SAMPLES for start, end in found)
    for (_, end), (start, _) in pairwise(found):
        assert end <= start
        assert np.abs(waveform[end - RATE // 20 : end + RATE // 20]).max() < 0.01  # silence


def test_speech_without_pauses_is_cut_at_30_s(spoken: dict[str, np.ndarray]) -> None:
    voiced = spoken["es"][RATE // 2 : -RATE // 2]
    waveform = np.tile(voiced, 70_000 * 16 // len(voiced) + 1)
    found = windows(find_speech(waveform), len(waveform))
    assert len(found) > 1
    assert all(0 < end - start <= MAX_SAMPLES for start, end in found)


@given(st.data())
def test_windows_hold_all_speech_once(data: Any) -> None:
    edges = data.draw(st.lists(st.integers(100, 300_000), min_size=2, max_size=40))
    times = np.cumsum(edges[: len(edges) // 2 * 2]).tolist()
    spans = [
        (a, b)
        for a, b in zip(times[::2], times[1::2], strict=True)
        if b - a <= MAX_SAMPLES - 2 * PAD_S * RATE
    ]
    length = times[-1] + 1000
    found = windows(spans, length)
    assert all(0 <= start < end <= length and end - start <= MAX_SAMPLES for start, end in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    assert all(sum(start <= a and b <= end for start, end in found) == 1 for a, b in spans)
