"""Waveform distortions: determinism, lengths, what each one changes and keeps, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.modules.augment import (
    WaveformAugment,
    WaveformAugmentConfig,
    add_noise,
    change_speed,
    equalize,
    reverberate,
    shift_pitch,
    shift_time,
    stretch,
)

RATE_HZ = 8000
PROBABILITIES = [name for name in vars(WaveformAugmentConfig()) if name.endswith("_prob")]


def sine(frequency_hz: float, duration_s: float = 0.5) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency_hz * torch.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def peak_hz(waveform: torch.Tensor) -> float:
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    return (
        float(torch.fft.rfft(middle * torch.hann_window(len(middle)), n=65536).abs().argmax())
        * RATE_HZ
        / 65536
    )


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_everything_is_off_by_default() -> None:
    augment = WaveformAugment(WaveformAugmentConfig())
    clip = sine(300)
    assert augment.is_identity
    assert augment(clip, RATE_HZ, generator()) is clip


@settings(max_examples=15, deadline=None)
@given(num_samples=st.integers(0, 5000), seed=st.integers(0, 1000))
@pytest.mark.parametrize("name", PROBABILITIES)
def test_same_generator_same_result_and_always_finite(name: str, num_samples: int, seed: int) -> None:
    augment = WaveformAugment(WaveformAugmentConfig(**{name: 1.0}))
    clip = torch.randn(num_samples, generator=generator(seed))
    first = augment(clip, RATE_HZ, generator(seed))
    assert torch.equal(first, augment(clip, RATE_HZ, generator(seed)))
    assert first.ndim == 1
    assert bool(torch.isfinite(first).all())
    assert 0.85 * num_samples - 1 <= len(first) <= 1.2 * num_samples + 1


@pytest.mark.parametrize("name", PROBABILITIES)
def test_each_distortion_changes_the_clip_and_not_its_input(name: str) -> None:
    augment = WaveformAugment(WaveformAugmentConfig(**{name: 1.0}))
    clip = sine(440)
    before = clip.clone()
    result = augment(clip, RATE_HZ, generator())
    assert torch.equal(clip, before)
    assert len(result) != len(clip) or not torch.allclose(result, clip, atol=1e-4)


@given(speed=st.floats(0.8, 1.25))
@settings(max_examples=15, deadline=None)
def test_speed_scales_pitch_and_duration(speed: float) -> None:
    result = change_speed(sine(500), speed)
    assert len(result) == round(4000 / speed)
    assert peak_hz(result) == pytest.approx(500 * speed, rel=0.01)
    assert float(result[500:-500].abs().max()) == pytest.approx(1.0, abs=0.1)


@given(factor=st.floats(0.8, 1.25))
@settings(max_examples=15, deadline=None)
def test_stretch_keeps_the_pitch(factor: float) -> None:
    result = stretch(sine(500), factor, RATE_HZ)
    assert len(result) == round(4000 * factor)
    assert peak_hz(result) == pytest.approx(500, rel=0.02)


@given(semitones=st.floats(-4, 4))
@settings(max_examples=15, deadline=None)
def test_pitch_keeps_the_duration(semitones: float) -> None:
    result = shift_pitch(sine(500), semitones, RATE_HZ)
    assert len(result) == 4000
    assert peak_hz(result) == pytest.approx(500 * 2 ** (semitones / 12), rel=0.02)


def test_noise_has_the_ratio_asked_for() -> None:
    clip = sine(500, 4.0)
    noise = add_noise(clip, 20.0, generator()) - clip
    ratio_db = 10 * math.log10(float(clip.square().mean() / noise.square().mean()))
    assert ratio_db == pytest.approx(20.0, abs=0.2)


def test_silence_stays_silent() -> None:
    silence = torch.zeros(1000)
    assert float(add_noise(silence, 10.0, generator()).abs().max()) == 0.0


def test_equalizer_stays_in_its_range() -> None:
    for seed in range(5):
        gain_db = 20 * math.log10(float(equalize(sine(700), 6.0, generator(seed))[1000:3000].abs().max()))
        assert -6.5 <= gain_db <= 6.5


def test_reverberation_adds_a_tail_after_the_sound() -> None:
    clip = torch.cat([torch.randn(1000, generator=generator()), torch.zeros(1000)])
    result = reverberate(clip, 0.3, RATE_HZ, generator())
    assert float(result[1000:1500].square().mean()) > 0
    assert float(result[1000:1100].square().mean()) > float(result[1900:].square().mean())


def test_shift_moves_both_ways_and_keeps_most_of_the_clip() -> None:
    clip = torch.arange(1.0, 9.0)
    assert shift_time(clip, 2).tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert shift_time(clip, -2).tolist() == [3, 4, 5, 6, 7, 8, 0, 0]
    assert shift_time(clip, 100).tolist() == shift_time(clip, 2).tolist()
    assert shift_time(clip, 0).tolist() == clip.tolist()


def test_probability_is_respected() -> None:
    augment = WaveformAugment(WaveformAugmentConfig(gain_prob=0.3))
    clip, source = sine(440, 0.01), generator()
    changed = sum(not torch.equal(augment(clip, RATE_HZ, source), clip) for _ in range(400))
    assert 80 <= changed <= 160


def test_bad_configs_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="noise_prob: expected a probability"):
        WaveformAugment(WaveformAugmentConfig(noise_prob=1.5))
    with pytest.raises(ValueError, match="speed_range"):
        WaveformAugment(WaveformAugmentConfig(speed_range=1.0))
    with pytest.raises(ValueError, match="take one channel"):
        WaveformAugment(WaveformAugmentConfig())(torch.zeros(2, 10), RATE_HZ, generator())
