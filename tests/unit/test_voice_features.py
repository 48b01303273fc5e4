"""Voice features against values of Praat 6.1 (its commands at their defaults) and librosa 0.11, stored and live."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_voice import DURATION_S, RATE, pulses_s, voice

from fairseq_ext.features.cepstral_peak import cepstral_peak_db
from fairseq_ext.features.dump import MfccFrames
from fairseq_ext.features.harmonicity import harmonicity_db
from fairseq_ext.features.perturbation import jitter, shimmer
from fairseq_ext.features.praat import UNMEASURED_DB, formant_settings
from fairseq_ext.features.praat_resampling import lower_rates
from fairseq_ext.features.spectral_shape import centroid_bandwidth_rolloff, chroma, contrast_db
from fairseq_ext.features.voice import analyse_voice, voice_features
from fairseq_ext.features.voice_groups import GROUPS, parse_groups
from fairseq_ext.media.audio import load
from fairseq_ext.modules.spectral import MelSpectrogram

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
WITHOUT_PRAAT = ("mel", "mfcc", "chroma", "spectral")
# Of Praat, for `synthetic_voice`. HNR: every tenth frame of "To Harmonicity (cc)" from 0.015 s, and its mean. CPP: of
# "To PowerCepstrogram" (60, 0.01, 5000, 50) from 0.05 s, "Get peak prominence" (60, 330, straight, least squares).
HNR_DB = [
    *(-200.0, -200.0, 24.256, 34.0735, 34.4361, 33.1327, 34.6615, 33.9474, 34.4152, 34.9869, 34.9425, 35.3827),
    *(34.5941, -200.0, -200.0),
]  # fmt: skip
HNR_MEAN_DB = 33.728238
CPP_DB = [
    *(25.5999, 25.2861, 30.2606, 29.3974, 30.4222, 30.5631, 29.7143, 30.1408, 28.7061, 32.6138, 31.0929, 32.9494),
    *(33.0561, 23.5523, 25.2063),
]  # fmt: skip
# "Get jitter (local)", "Get shimmer (local)" on a PointProcess of `pulses_s`.
JITTER, SHIMMER = 0.020008657010412777, 0.05502149753214809
# Of librosa, at two frames: roll-off, bandwidth, centroid, Hz; contrast, dB; chroma.
SHAPES = {40: (900.0, 465.214, 543.183), 90: (800.0, 424.192, 557.385)}
CONTRASTS = {
    40: (12.9515, 17.7953, 19.3102, 23.7886, 19.783, 15.0099, 13.3895),
    90: (14.3583, 17.1317, 17.7146, 20.1006, 17.835, 17.1218, 14.2964),
}
CHROMA = {
    40: (
        0.07021,
        1,
        0.36886,
        0.01102,
        0.02459,
        0.05921,
        0.46875,
        0.18298,
        0.00573,
        0.00403,
        0.03029,
        0.00638,
    ),
    90: (
        0.00917,
        0.00349,
        0.31898,
        1,
        0.07691,
        0.00125,
        0.00226,
        0.05533,
        0.14124,
        0.01696,
        0.00044,
        0.00486,
    ),
}


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return voice()


def column(group: str, name: str, track: Any) -> np.ndarray:
    return np.asarray(track)[:, [column.name for column in GROUPS[group]].index(name)]


def test_hnr_is_that_of_praat(wave: np.ndarray) -> None:
    found, first_s = harmonicity_db(wave.astype(np.float64), RATE)
    assert first_s == pytest.approx(0.015)
    np.testing.assert_allclose(found[::10], HNR_DB, atol=0.05)
    assert found[found > UNMEASURED_DB].mean() == pytest.approx(HNR_MEAN_DB, rel=0.001)


def test_cpp_is_that_of_praat(wave: np.ndarray) -> None:
    (low,) = lower_rates(torch.from_numpy(wave).double(), RATE, (10_000,))
    found, first_s = cepstral_peak_db(low, DURATION_S)
    assert first_s == pytest.approx(0.05)
    assert len(found) == 141
    np.testing.assert_allclose(found[::10], CPP_DB, atol=0.05)


def test_jitter_and_shimmer_are_those_of_praat(wave: np.ndarray) -> None:
    assert jitter(pulses_s()).whole(2) == pytest.approx(JITTER, rel=1e-9)
    found = shimmer(wave.astype(np.float64), RATE, pulses_s())
    assert found.whole(2) == pytest.approx(SHIMMER, rel=1e-4)
    # The voice is regular: what is local is about what is of the whole, and 0 where there are no pulses.
    local = jitter(pulses_s()).around(np.array([0.05, 0.6, 0.9, 1.45]))
    np.testing.assert_allclose(local, [0, 0.02, 0.02, 0], atol=3e-4)


@pytest.mark.parametrize("num_pulses", [0, 1, 2, 3])
def test_few_pulses_have_no_jitter(wave: np.ndarray, num_pulses: int) -> None:
    few = pulses_s()[:num_pulses]
    assert np.isnan(jitter(few).whole(2))
    assert np.isnan(shimmer(wave.astype(np.float64), RATE, few).whole(2))


@pytest.mark.parametrize("frame", [40, 90])
def test_spectral_shape_is_that_of_librosa(wave: np.ndarray, frame: int) -> None:
    mel = MelSpectrogram(RATE, 80)
    magnitude, bins_hz = mel.power_spectrum(torch.from_numpy(wave)[None])[0].sqrt(), mel.get_buffer("bins_hz")
    found = centroid_bandwidth_rolloff(magnitude, bins_hz)[frame]
    np.testing.assert_allclose(found, SHAPES[frame], rtol=1e-4)
    np.testing.assert_allclose(contrast_db(magnitude, bins_hz, 7)[frame], CONTRASTS[frame], atol=5e-3)
    window = torch.hann_window(2048)
    options = {"window": window, "pad_mode": "constant", "return_complex": True}
    power = torch.stft(torch.from_numpy(wave), 2048, 160, **options).abs().square().mT
    np.testing.assert_allclose(chroma(power, RATE)[frame], CHROMA[frame], atol=2e-5)


def test_mel_and_mfcc_are_those_of_other_commands(wave: np.ndarray) -> None:
    found = voice_features(wave, RATE, ("mel", "mfcc"))
    power, _ = MelSpectrogram(RATE, 80)(torch.from_numpy(wave)[None])
    torch.testing.assert_close(found["mel"], 10 * torch.log10(power[0].clamp(min=1e-10)))
    np.testing.assert_array_equal(found["mfcc"], MfccFrames(RATE)(wave))


def test_groups_have_the_same_frames_and_their_columns(wave: np.ndarray) -> None:
    pytest.importorskip("parselmouth")
    found = voice_features(torch.from_numpy(wave), RATE)
    assert list(found) == list(GROUPS)
    for name, track in found.items():
        assert (track.dtype, track.shape) == (torch.float32, (1 + len(wave) // 160, len(GROUPS[name]))), name
        assert track.isfinite().all(), name
    voiced = column("prosody", "voiced", found["prosody"]) > 0
    assert voiced[25:125].all()
    assert not voiced[:18].any()
    for group in ("formants", "quality"):  # nothing is measured of a voice that is not there
        for name in ("jitter", "shimmer", "hnr") if group == "quality" else ():
            assert not column(group, name, found[group])[~voiced].any(), name


def test_praat_itself_gives_the_same(wave: np.ndarray) -> None:
    praat = pytest.importorskip("parselmouth")
    agrees_with_praat(praat, wave, RATE)


def agrees_with_praat(praat: Any, wave: np.ndarray, rate_hz: int) -> None:
    """Compare with Praat's commands at their defaults; below 16 kHz with four formants below half the rate."""
    call, sound = praat.praat.call, praat.Sound(wave.astype(np.float64), RATE)
    voice = analyse_voice(wave, RATE, ("prosody", "formants", "quality"), band_hz=rate_hz / 2)
    prosody, formants = voice.tracks["prosody"], voice.tracks["formants"]
    pitch = sound.to_pitch()
    at = round(round(pitch.x1 / 0.01, 6)) + np.arange(pitch.nx)
    expected = pitch.selected_array["frequency"]
    voiced = column("prosody", "voiced", prosody)[at] > 0
    np.testing.assert_array_equal(voiced, expected > 0)
    found_hz = 100 * 2 ** (column("prosody", "pitch", prosody)[at] / 12)
    np.testing.assert_allclose(found_hz[voiced], expected[voiced], rtol=1e-4)
    ceiling, number = (5500.0, 5) if rate_hz >= RATE else (rate_hz / 2, 4)
    burg = sound.to_formant_burg(0.01, number, ceiling)
    frames = round(round(burg.x1 / 0.01, 6)) + np.arange(burg.nx)
    wanted = np.array([[burg.get_value_at_time(i, t) for i in (1, 2, 3)] for t in burg.xs()])
    kept = column("prosody", "voiced", prosody)[frames] > 0
    difference = np.abs(formants[frames, :3][kept] / wanted[kept] - 1)
    assert (difference[np.isfinite(difference)] < 0.02).mean() > 0.99
    pulses = call(sound, "To PointProcess (periodic, cc)", 75, 600)
    periods = (0, 0, 0.0001, 0.02, 1.3)
    expected_whole = {
        "jitter_local": 100 * call(pulses, "Get jitter (local)", *periods),
        "shimmer_local": 100 * call([sound, pulses], "Get shimmer (local)", *periods, 1.6),
        "hnr_mean": call(sound.to_harmonicity_cc(), "Get mean", 0, 0),
    }
    assert {name: voice.whole[name] for name in expected_whole} == pytest.approx(expected_whole, rel=0.01)


@pytest.mark.parametrize(
    "name",
    [
        "speechocean762/wav/0024/000240010.ogg",
        "ravdess/Actor_08/03-01-05-02-01-01-08.ogg",
        "fsdd/recordings/9_nicolas_0.wav",
    ],
)
def test_real_recordings_agree_with_praat(name: str) -> None:
    """Three of the hundred that tests/bench/voice_features.py compares."""
    praat = pytest.importorskip("parselmouth")
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is not there")
    rate_hz = 8000 if name.startswith("fsdd") else 16_000
    agrees_with_praat(praat, load(SHARED / name, sample_rate_hz=RATE), rate_hz)


def test_resampling_is_that_of_praat(wave: np.ndarray) -> None:
    praat = pytest.importorskip("parselmouth")
    given = wave[:7001]  # a duration that is no multiple of the new step
    rates = (11_000, 10_000)
    lower = lower_rates(torch.from_numpy(given).double(), RATE, rates)
    for rate_hz, found in zip(rates, lower, strict=True):
        expected = praat.Sound(given.astype(np.float64), RATE).resample(rate_hz).values[0]
        np.testing.assert_allclose(found[100:-100], expected[100:-100], atol=1e-8)
    (same,) = lower_rates(torch.ones(5), RATE, (RATE,))
    assert same.tolist() == [1] * 5


def odd_recordings() -> dict[str, np.ndarray]:
    one_frame = np.zeros(RATE, dtype=np.float32)  # a few periods of 200 Hz
    one_frame[8000:8640] = np.sin(2 * np.pi * 200 / RATE * np.arange(640)) * np.hanning(640)
    return {
        "silence": np.zeros(RATE, dtype=np.float32),
        "one sample": np.full(1, 0.5, dtype=np.float32),
        "ten ms": voice()[8000:8160],
        "a few periods": one_frame,
        "clipped": np.clip(8 * voice(), -1, 1),
        "click": np.eye(1, RATE, 4000, dtype=np.float32)[0],
    }


@pytest.mark.parametrize("name", odd_recordings())
def test_odd_recordings_have_finite_tracks(name: str) -> None:
    pytest.importorskip("parselmouth")
    found = analyse_voice(odd_recordings()[name], RATE)
    assert all(np.isfinite(track).all() for track in found.tracks.values())
    if name == "clipped":
        assert found.whole["pitch_median"] > 70
    elif name != "a few periods":
        assert np.isnan(found.whole["pitch_median"])
        assert np.isnan(found.whole["jitter_local"])


def test_a_recording_at_8_khz_has_formants_below_4_khz() -> None:
    pytest.importorskip("parselmouth")
    found = analyse_voice(voice()[::2], 8000)
    assert formant_settings(4000) == (4000, 4)
    assert len(found.tracks["mel"]) == 1 + round(DURATION_S * 100)
    formants = found.tracks["formants"]
    assert formants[:, :4].max() < 4000
    assert found.whole["f1_median"] == pytest.approx(620, rel=0.1)
    assert found.whole["f3_median"] == pytest.approx(2550, rel=0.1)


def test_other_rates_are_resampled(wave: np.ndarray) -> None:
    twice = np.repeat(wave, 2)
    found = voice_features(twice, 2 * RATE, WITHOUT_PRAAT)
    assert {len(track) for track in found.values()} == {1 + len(wave) // 160}


def test_wrong_arguments_are_refused(wave: np.ndarray) -> None:
    with pytest.raises(ValueError, match="found 'pitch'; change the groups"):
        voice_features(wave, RATE, ("pitch",))
    for wrong in (wave[:0], wave[None], np.array([np.nan])):
        with pytest.raises(ValueError, match="finite numbers expected"):
            voice_features(wrong, RATE, ("mel",))
    assert parse_groups("quality,mel") == ("mel", "quality")
    assert parse_groups("all") == tuple(GROUPS)
    with pytest.raises(ValueError, match="found pitch; change --groups"):
        parse_groups("mel,pitch")
    with pytest.raises(ValueError, match="found none"):
        parse_groups(",")
