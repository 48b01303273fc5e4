"""Synthetic speakers: distinct, balanced, reproducible, each with another microphone and room."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.synthetic import speech, voices

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

CATALAN = ["ca", "ca-ba", "ca-nw", "ca-va"]
ROMANCE = ["fr", "it", "es", "pt"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 160), st.integers(0, 2**31), st.sampled_from([CATALAN, ROMANCE, ["ca"], "ca"]))
def test_pools_are_distinct_balanced_nested_and_reproducible(
    n: int, seed: int, languages: list[str] | str
) -> None:
    pool = voices.voice_pool(languages, n, seed=seed)
    assert len({voice.speaker for voice in pool}) == n
    assert len({replace(voice, speaker="") for voice in pool}) == n
    assert pool == voices.voice_pool(languages, n + 7, seed=seed)[:n]
    counts = Counter((voice.language, voice.gender) for voice in pool)
    for language in {voice.language for voice in pool}:
        assert abs(counts[language, "female"] - counts[language, "male"]) <= 1
    if n > 1:
        assert pool != voices.voice_pool(languages, n, seed=seed + 1)


def test_variants_have_the_gender_they_are_listed_under() -> None:
    found = speech.list_variants()
    for gender, names in voices.VARIANTS.items():
        assert len(set(names)) == len(names)
        wrong = {name: found.get(name) for name in names if found.get(name) not in {gender, ""}}
        assert not wrong


@pytest.mark.parametrize("language", [*CATALAN, *ROMANCE])
def test_every_speaker_can_say_something(language: str) -> None:
    for voice in voices.voice_pool(language, 6, seed=4):
        result = voices.speak(voice, "bon dia, setze jutges", sample_rate_hz=16_000)
        assert result.sample_rate_hz == 16_000
        assert 0.5 < result.duration_s < 6
        assert np.abs(result.samples).max() <= 1
        assert all(0 <= p.start_s <= p.end_s <= result.duration_s for p in result.phonemes)
        starts = [p.start_s for p in result.phonemes]
        assert starts == sorted(starts)


def test_every_variant_speaks() -> None:
    for gender, names in voices.VARIANTS.items():
        for name in names:
            voice = voices.Voice("x", "ca", name, gender)
            assert voices.speak(voice, "bon dia").duration_s > 0.3


def test_takes_differ_and_repeat() -> None:
    (voice,) = voices.voice_pool("ca", 1, seed=1)
    takes = [voices.speak(voice, "bon dia", take=take).samples.tobytes() for take in (0, 1, 2, 0)]
    assert len(set(takes)) == 3
    assert takes[0] == takes[3]


def test_a_shorter_tract_raises_the_formants() -> None:
    def centroid_hz(scale: float) -> float:
        voice = voices.Voice("x", "ca", "m3", "male", tract_scale=scale, channel=voices.Channel(noise_db=-90))
        result = voices.speak(voice, "aaa", sample_rate_hz=16_000)
        power = np.abs(np.fft.rfft(result.samples)) ** 2
        return float((power * np.fft.rfftfreq(len(result.samples), 1 / 16_000)).sum() / power.sum())

    assert centroid_hz(0.8) < centroid_hz(1.0) < centroid_hz(1.25)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
def test_resampling_keeps_phonemes_on_the_sound(rate_hz: int) -> None:
    voice = voices.Voice(
        "x", "ca", "m3", "male", tract_scale=1.1, margin_s=0.2, channel=voices.Channel(noise_db=-90)
    )
    result = voices.speak(voice, "pa", sample_rate_hz=rate_hz)
    vowel = result.phonemes[-1]
    inside = result.samples[round(vowel.start_s * rate_hz) : round(vowel.end_s * rate_hz)]
    margin = result.samples[: round(result.phonemes[0].start_s * rate_hz * 0.8)]
    assert np.mean(inside**2) > 300 * np.mean(margin**2)


@settings(max_examples=30, deadline=None)
@given(
    noise_db=st.floats(-70, -10),
    peak_dbfs=st.floats(-40, 0),
    tilt_db=st.floats(-6, 6),
    num_samples=st.integers(1, 5000),
)
def test_a_recording_has_the_requested_level(
    noise_db: float, peak_dbfs: float, tilt_db: float, num_samples: int
) -> None:
    clean = np.sin(np.arange(num_samples) * 0.3 + 0.5).astype(np.float32)
    channel = voices.Channel(peak_dbfs, noise_db, tilt_db=tilt_db, high_cut_hz=3000)
    recorded = voices.record(clean, 8000, channel, np.random.default_rng(1))
    assert recorded.shape == clean.shape
    assert 20 * np.log10(np.abs(recorded).max()) == pytest.approx(peak_dbfs, abs=0.1)


def test_the_noise_has_the_level_of_the_channel() -> None:
    clean = np.zeros(16_000, np.float32)
    clean[4000:8000] = np.sin(np.arange(4000) * 0.8)
    for noise_db in (-20.0, -40.0, -60.0):
        recorded = voices.record(clean, 8000, voices.Channel(noise_db=noise_db), np.random.default_rng(1))
        ratio = np.sqrt(np.mean(recorded[10_000:] ** 2) / np.mean(recorded[4500:7500] ** 2))
        assert 20 * np.log10(ratio) == pytest.approx(noise_db, abs=1.5)


def test_bad_pools_are_refused() -> None:
    with pytest.raises(ValueError, match="n=-1"):
        voices.voice_pool("ca", -1, seed=1)
    with pytest.raises(ValueError, match="languages=\\[\\]"):
        voices.voice_pool([], 3, seed=1)


@pytest.mark.parametrize("tract_scale", [0.9, 1.1])
def test_words_stay_on_the_sound(tract_scale: float) -> None:
    channel = voices.Channel(noise_db=-90)
    voice = voices.Voice("x", "ca", "m3", "male", tract_scale=tract_scale, margin_s=0.2, channel=channel)
    text = "Porta, plaça, taula, cançó, pluja, camí."  # more than 2.7 s: padded transforms
    result = voices.speak(voice, text, sample_rate_hz=16_000)
    assert len(result.words) == 6
    power = result.samples.astype(np.float64) ** 2
    for word, following in zip(result.words, result.words[1:], strict=False):
        inside = power[round(word.start_s * 16_000) : round(word.end_s * 16_000)].mean()
        pause = power[round((word.end_s + 0.05) * 16_000) : round((following.start_s - 0.03) * 16_000)].mean()
        assert inside > 100 * pause
