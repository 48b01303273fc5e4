"""Preparation of recordings before their voice is measured: trimming, band, loudness, and what is told of them."""

import numpy as np
import pytest

from fairseq_ext.features.preparation import EFFECTS, Preparation, loudness_lufs, prepare

RATE = 16_000
NOTHING = Preparation(trim=False, loudness_lufs=None)


def tone(frequency_hz: float, duration_s: float = 1.0, peak: float = 0.1) -> np.ndarray:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return (peak * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_each_step_can_be_left_out() -> None:
    given = np.pad(tone(300), 8000)
    found = prepare(given, RATE, NOTHING)
    np.testing.assert_array_equal(found.waveform, given)
    assert (found.offset_s, set(found.effects)) == (0, {column.name for column in EFFECTS})
    assert {name for name, value in found.effects.items() if value} == {"loudness"}


def test_silence_at_both_ends_is_trimmed_and_counted() -> None:
    given = np.pad(tone(300), (8000, 4800))
    given[12_000:14_000] = 0  # what is between stays
    found = prepare(given, RATE, Preparation(loudness_lufs=None))
    assert found.offset_s == pytest.approx(0.4, abs=0.03)  # but for a margin
    assert found.effects["trimmed_start"] == found.offset_s
    assert found.effects["trimmed_end"] == pytest.approx(0.2, abs=0.03)
    assert len(found.waveform) / RATE == pytest.approx(1.2, abs=0.06)


def test_loudness_is_that_of_the_standard() -> None:
    # ITU-R BS.1770-4, annex 1: a sine of 997 Hz at full scale in one channel is at -3.01 LUFS; torchaudio's shelf
    # filter is 0.3 dB off there, at any rate.
    assert loudness_lufs(tone(997, peak=1.0), RATE) == pytest.approx(-3.01, abs=0.35)
    found = prepare(tone(997, peak=0.1), RATE, Preparation(loudness_lufs=-30.0))
    assert found.effects["loudness"] == pytest.approx(-23.01, abs=0.35)
    assert found.effects["gain"] == pytest.approx(-6.99, abs=0.35)
    assert loudness_lufs(found.waveform, RATE) == pytest.approx(-30, abs=0.05)


def test_short_and_silent_recordings_have_a_loudness_or_none() -> None:
    assert loudness_lufs(tone(997, 0.1, peak=1.0), RATE) == pytest.approx(-3.01, abs=0.5)
    found = prepare(np.zeros(RATE, dtype=np.float32), RATE, Preparation())
    assert np.isnan(found.effects["loudness"])
    assert (found.effects["gain"], len(found.waveform)) == (0, RATE)


def test_the_band_is_kept_in_phase() -> None:
    inside = tone(1000)
    found = prepare(
        inside + tone(6000), RATE, Preparation(trim=False, band_hz=(300, 3400), loudness_lufs=None)
    )
    np.testing.assert_allclose(found.waveform[800:-800], inside[800:-800], atol=1e-3)
    assert found.effects["band_removed"] == pytest.approx(-3.01, abs=0.05)
    low = prepare(
        np.full(RATE, 0.1, np.float32), RATE, Preparation(trim=False, band_hz=(0, 1000), loudness_lufs=None)
    )
    np.testing.assert_allclose(low.waveform[1600:-1600], 0.1, atol=2e-3)  # 0 Hz belongs to a band from 0 Hz


def test_clipped_samples_are_counted_in_runs() -> None:
    peak = tone(300, peak=1.0)
    peak[100] = 1.0
    assert prepare(peak * 0.9999, RATE, NOTHING).effects["clipped"] == 0
    assert prepare(np.clip(2 * peak, -1, 1), RATE, NOTHING).effects["clipped"] == pytest.approx(66.7, abs=2)


def test_a_wrong_band_is_refused() -> None:
    with pytest.raises(ValueError, match="two rising frequencies"):
        Preparation(band_hz=(3000, 300))
