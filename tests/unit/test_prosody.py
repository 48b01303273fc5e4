"""Prosody of signals whose pitch, level, syllables and pauses are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fairseq_ext.features.prosody import NAMES, contours

pytest.importorskip("parselmouth")

RATE = 16_000
Doubles = NDArray[np.float64]


def tone(hz: Doubles) -> Doubles:
    """Return a buzz with five harmonics of a pitch per sample."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    buzz: Doubles = sum(np.sin(k * phase) / k for k in range(1, 6)) / 4
    return buzz


def measured(waveform: Doubles) -> dict[str, float]:
    noise = 1e-4 * np.random.default_rng(1).normal(size=len(waveform))
    found = contours((waveform + noise).astype(np.float32), RATE).statistics()
    return dict(zip(NAMES, found.tolist(), strict=True))


def test_rising_pitch() -> None:
    """An octave in a second: 12 semitones per second, from 150 Hz."""
    found = measured(tone(150 * 2.0 ** (np.arange(RATE) / RATE)))
    assert found["pitch_trend_st_per_s"] == pytest.approx(12, abs=0.5)
    assert found["pitch_rise_st_per_s"] == pytest.approx(12, abs=0.5)
    assert found["pitch_p50_st"] == pytest.approx(12 * np.log2(1.5) + 6, abs=0.3)
    assert found["voiced_share"] > 0.95
    assert found["pause_share"] == 0.0


def test_syllables_and_pauses() -> None:
    """Four syllables of 0.2 s, a pause of 0.5 s, three more."""
    syllable = np.sin(np.pi * np.arange(3200) / 3200) * tone(np.full(3200, 200.0))
    found = measured(np.concatenate([*[syllable] * 4, np.zeros(8000), *[syllable] * 3]))
    assert found["syllables_per_s"] == pytest.approx(7 / 1.9, rel=0.02)
    assert found["pauses_per_s"] == pytest.approx(1 / 1.9, rel=0.02)
    assert found["pause_longest_s"] == pytest.approx(0.5, abs=0.05)
    assert found["speech_s"] == pytest.approx(1.4, abs=0.06)
    assert found["syllables_per_speech_s"] == pytest.approx(5.0, rel=0.05)


def test_twice_the_amplitude_is_6_db() -> None:
    clip = np.sin(np.pi * np.arange(8000) / 8000) * tone(np.full(8000, 120.0))
    quiet, loud = measured(clip / 4), measured(clip / 2)
    assert loud["level_p95_db"] - quiet["level_p95_db"] == pytest.approx(6.02, abs=0.01)
    assert loud["pitch_mean_st"] == pytest.approx(quiet["pitch_mean_st"], abs=0.02)


def test_noise_has_no_pitch_and_windows_are_joined() -> None:
    noise = 0.1 * np.random.default_rng(2).normal(size=RATE)
    found = measured(noise)
    assert found["pitch_mean_st"] == found["pitch_range_st"] == 0.0
    assert found["voiced_share"] < 0.1
    halves = [contours(part.astype(np.float32), RATE) for part in np.split(noise, 2)]
    joined = halves[0].joined(halves[1])
    assert len(joined.pitch_hz) == len(joined.level_db) == 2 * 51
    assert np.isfinite(joined.statistics()).all()
    assert np.isfinite(contours(noise[:400].astype(np.float32), RATE).statistics()).all()
