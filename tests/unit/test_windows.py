"""Windows: joined log-probabilities equal those of the whole recording where the receptive field is small."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fairseq_ext.decoding import windows

HOP = 8
RATE = 80  # 10 frames per second


def log_probs_of_long(*args: Any, **options: Any) -> Tensor:
    return torch.cat(list(windows.log_probs_of_long(*args, **options)))


def recogniser(padding: int) -> Callable[[Tensor], Tensor]:
    """Three convolutions: one frame per 8 samples, with a receptive field of about 5 frames."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv1d(1, 6, 10, stride=4, padding=padding),
        nn.GELU(),
        nn.Conv1d(6, 6, 4, stride=2, padding=padding),
        nn.GELU(),
        nn.Conv1d(6, 5, 3, padding=min(padding, 1)),
    ).double()

    def log_probs_of(waveform: Tensor) -> Tensor:
        return net(waveform[None, None])[0].T.log_softmax(-1)

    return log_probs_of


def waveform_of(num_samples: int) -> Tensor:
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@settings(deadline=None, max_examples=60)
@given(
    num_samples=st.integers(100, 4000),
    padding=st.sampled_from([0, 1]),
    window_s=st.sampled_from([4.0, 5.05, 8.0]),
    overlap_s=st.sampled_from([1.6, 1.7, 2.5]),
)
def test_windows_equal_the_whole(num_samples: int, padding: int, window_s: float, overlap_s: float) -> None:
    log_probs_of, waveform = recogniser(padding), waveform_of(num_samples)
    found = log_probs_of_long(
        waveform, log_probs_of, sample_rate_hz=RATE, hop_samples=HOP, window_s=window_s, overlap_s=overlap_s
    )
    torch.testing.assert_close(found, log_probs_of(waveform), rtol=0, atol=1e-12)


def test_windows_of_a_recogniser_with_a_larger_field_differ_a_little() -> None:
    def smoothed(waveform: Tensor) -> Tensor:
        frames = waveform[: len(waveform) // HOP * HOP].reshape(-1, HOP).mean(1, keepdim=True)
        return (frames - frames.mean()).repeat(1, 5)

    waveform = waveform_of(3000)
    found = log_probs_of_long(
        waveform, smoothed, sample_rate_hz=RATE, hop_samples=HOP, window_s=4.0, overlap_s=1.6
    )
    assert found.shape == smoothed(waveform).shape
    assert not torch.equal(found, smoothed(waveform))


def test_windows_have_the_expected_number_and_length() -> None:
    lengths = []

    def count(waveform: Tensor) -> Tensor:
        lengths.append(len(waveform))
        return torch.zeros(len(waveform) // 320, 3)

    for num_samples, expected in ((320_000, [320_000]), (320_001, [320_000, 64_001]), (5, [5]), (0, [0])):
        lengths.clear()
        found = log_probs_of_long(torch.zeros(num_samples), count, sample_rate_hz=16000, hop_samples=320)
        assert lengths == expected
        assert len(found) == num_samples // 320
    lengths.clear()
    log_probs_of_long(torch.zeros(16000 * 100), count, sample_rate_hz=16000, hop_samples=320)
    assert lengths == [320_000] * 6


@pytest.mark.parametrize("hop", [HOP // 2, HOP * 2])
def test_another_hop_is_refused(hop: int) -> None:
    with pytest.raises(ValueError, match="give the recogniser's hop"):
        log_probs_of_long(
            waveform_of(3000),
            recogniser(1),
            sample_rate_hz=RATE,
            hop_samples=hop,
            window_s=8.0,
            overlap_s=1.6,
        )


def test_bad_settings_are_refused() -> None:
    options = {"sample_rate_hz": RATE, "hop_samples": HOP}
    with pytest.raises(ValueError, match="overlap from 0 to less than the window"):
        log_probs_of_long(waveform_of(100), recogniser(0), **options, window_s=2.0, overlap_s=2.0)
    with pytest.raises(ValueError, match=r"windows: 0\.1 s or more expected, found -1 s"):
        log_probs_of_long(waveform_of(100), recogniser(0), **options, window_s=-1.0, overlap_s=0.0)
    with pytest.raises(ValueError, match="make the overlap longer, or give the recogniser's hop"):
        log_probs_of_long(waveform_of(800), recogniser(0), **options, window_s=4.0, overlap_s=0.0)
    with pytest.raises(ValueError, match=r"expected shape \(S,\), found \(1, 100\)"):
        log_probs_of_long(waveform_of(100)[None], recogniser(0), **options)
