"""Log-mel and MFCC: independence of padding, level, frequency, vocal tract warping, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.modules.spectral import (
    MelSpectrogram,
    Mfcc,
    dct_matrix,
    frame_counts,
    hz_to_mel,
    mel_to_hz,
    power_to_db,
    valid_mask,
    warp_frequency,
)


def sine(frequency_hz: float, sample_rate_hz: int, duration_s: float = 0.5) -> torch.Tensor:
    time_s = torch.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return torch.sin(2 * math.pi * frequency_hz * time_s)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 3000), min_size=2, max_size=4), seed=st.integers(0, 99))
@pytest.mark.parametrize("kind", [MelSpectrogram, Mfcc])
def test_a_clip_is_the_same_alone_and_in_a_padded_batch(kind: type, lengths: list[int], seed: int) -> None:
    features = kind(8000)
    generator = torch.Generator().manual_seed(seed)
    clips = [torch.randn(n, generator=generator) for n in lengths]
    # Padding that is not zero: it must not matter either.
    batch = torch.full((len(clips), max(lengths)), 9.0)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    padding_mask = ~valid_mask(torch.tensor(lengths), max(lengths))
    together, num_frames = features(batch, padding_mask)
    for i, clip in enumerate(clips):
        alone, num_alone = features(clip[None])
        assert int(num_frames[i]) == int(num_alone[0]) == alone.shape[1]
        torch.testing.assert_close(together[i, : num_frames[i]], alone[0], rtol=1e-3, atol=1e-4)
        assert bool((together[i, num_frames[i] :] == 0).all())


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("frequency_hz", [300.0, 1000.0, 3000.0])
def test_a_sine_is_loudest_in_its_own_band_at_any_rate(sample_rate_hz: int, frequency_hz: float) -> None:
    mel = MelSpectrogram(sample_rate_hz)
    power, lengths = mel(sine(frequency_hz, sample_rate_hz)[None])
    band = int(power[0, int(lengths[0]) // 2].argmax())
    low, high = mel.get_buffer("edges_hz")[band], mel.get_buffer("edges_hz")[band + 2]
    assert low <= frequency_hz <= high


def test_doubling_the_amplitude_adds_six_decibels() -> None:
    mel = MelSpectrogram(16000)
    quiet, _ = mel(sine(1000, 16000)[None])
    loud, _ = mel(2 * sine(1000, 16000)[None])
    band = int(quiet[0, 20].argmax())
    step_db = power_to_db(loud)[0, 20, band] - power_to_db(quiet)[0, 20, band]
    assert float(step_db) == pytest.approx(20 * math.log10(2), abs=1e-3)


@given(frequency_hz=st.floats(0, 20000))
def test_mel_scale_inverts(frequency_hz: float) -> None:
    value = torch.tensor([frequency_hz], dtype=torch.float64)
    assert float(mel_to_hz(hz_to_mel(value))) == pytest.approx(frequency_hz, rel=1e-6, abs=1e-6)


@given(factor=st.floats(0.7, 1.3))
def test_warping_keeps_the_ends_and_the_order(factor: float) -> None:
    frequency_hz = torch.linspace(0, 4000, 201)
    warped = warp_frequency(frequency_hz, torch.tensor([factor]), 4000.0)[0]
    assert float(warped[0]) == pytest.approx(0.0, abs=1e-3)
    assert float(warped[-1]) == pytest.approx(4000.0, abs=1e-2)
    assert bool((warped.diff() > 0).all())
    assert float(warped[50]) == pytest.approx(1000 * factor, rel=1e-4)


def test_warping_moves_the_loudest_band_and_one_changes_nothing() -> None:
    mel = MelSpectrogram(8000)
    clip = sine(1500, 8000)[None].repeat(3, 1)
    plain, _ = mel(clip[:1])
    warped, _ = mel(clip, filters=mel.warped_filters(torch.tensor([0.8, 1.0, 1.2])))
    bands = warped[:, 20].argmax(1)
    assert bands[0] > bands[1] > bands[2]
    torch.testing.assert_close(warped[1:2], plain, rtol=1e-3, atol=1e-8)


def test_dct_is_orthonormal() -> None:
    matrix = dct_matrix(20, 20)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(20), rtol=0, atol=1e-5)


def test_mfcc_above_the_level_ignores_the_gain() -> None:
    mfcc = Mfcc(8000)
    clip = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    quiet, _ = mfcc(clip)
    loud, _ = mfcc(clip * 3)
    torch.testing.assert_close(loud[:, :, 1:], quiet[:, :, 1:], rtol=1e-3, atol=1e-2)


def test_an_empty_clip_has_no_frames() -> None:
    assert frame_counts(torch.tensor([0, 1, 80]), 80).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"f_max_hz": 5000.0}, "half the rate"),
        ({"f_min_hz": 4000.0}, "f_min_hz"),
        ({"n_mels": 400}, "contain no frequency bin"),
        ({"n_mels": 0}, "n_mels >= 1"),
        ({"hop_ms": 0.0}, "hop"),
    ],
)
def test_sizes_that_cannot_work_are_refused(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MelSpectrogram(8000, **keys)  # type: ignore[arg-type]


def test_wrong_shapes_are_refused() -> None:
    mel = MelSpectrogram(8000)
    with pytest.raises(ValueError, match=r"\(B, S\)"):
        mel(torch.zeros(100))
    with pytest.raises(ValueError, match="padding mask"):
        mel(torch.zeros(2, 100), torch.zeros(2, 99, dtype=torch.bool))
    with pytest.raises(ValueError, match="n_mfcc"):
        Mfcc(8000, n_mfcc=41)
