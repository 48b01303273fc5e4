"""The front-end: the same features alone and in a batch, what it removes, what it draws in training."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.modules.front_end import (
    FrontEnd,
    FrontEndConfig,
    add_noise,
    bend,
    gather_frames,
    random_curve,
    time_difference,
)
from fairseq_ext.modules.padding import valid_mask

RATE_HZ = 8000
STRONG = {
    "vtlp": 0.2,
    "stretch": 0.3,
    "time_warp": 0.15,
    "trim_jitter_db": 5.0,
    "eq_db": 5.0,
    "noise_snr_db": 10.0,
    "time_masks": 2,
    "frequency_masks": 2,
}


def clips(lengths: list[int], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a rise and a fall, so that there are ends to trim."""
    generator = torch.Generator().manual_seed(seed)
    batch = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = torch.randn(length, generator=generator) * torch.hann_window(length)
    return batch, ~valid_mask(torch.tensor(lengths), max(lengths))


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 3000), min_size=2, max_size=4), seed=st.integers(0, 99))
@pytest.mark.parametrize("normalize", ["none", "clip", "clip_std", "band", "band_std"])
def test_a_clip_is_the_same_alone_and_in_a_padded_batch(
    lengths: list[int], seed: int, normalize: str
) -> None:
    front_end = FrontEnd(FrontEndConfig(normalize=normalize, delta=True), RATE_HZ).eval()
    source, padding_mask = clips(lengths, seed)
    together, num_frames = front_end(source, padding_mask)
    assert together.shape[2] == front_end.num_features == 80
    for i, length in enumerate(lengths):
        alone, num_alone = front_end(source[i : i + 1, :length])
        assert int(num_alone[0]) == int(num_frames[i])
        torch.testing.assert_close(
            together[i, : num_frames[i]], alone[0, : num_frames[i]], rtol=1e-3, atol=1e-3
        )
        assert bool((together[i, num_frames[i] :] == 0).all())


def test_level_and_quiet_ends_do_not_matter() -> None:
    front_end = FrontEnd(FrontEndConfig(), RATE_HZ).eval()
    source, _ = clips([3200])
    plain, length = front_end(source)
    louder, _ = front_end(source * 5)
    torch.testing.assert_close(louder, plain, rtol=1e-3, atol=1e-3)
    quiet = torch.zeros(1, 800)  # ten frames of silence on either side
    padded, padded_length = front_end(torch.cat([quiet, source, quiet], dim=1))
    assert int(padded_length) == int(length)
    torch.testing.assert_close(padded[:, : int(length)], plain[:, : int(length)], rtol=1e-3, atol=1e-3)


def test_what_lies_below_the_floor_is_cut() -> None:
    source, _ = clips([4000])
    for floor_db in (20.0, 40.0):
        features, _ = FrontEnd(FrontEndConfig(floor_db=floor_db, trim_db=0.0), RATE_HZ).eval()(source)
        assert float(features.amax() - features[:, :51].amin()) == pytest.approx(floor_db / 10, abs=1e-3)


def test_normalisations_do_what_they_say() -> None:
    source, _ = clips([4000])
    features = {
        kind: FrontEnd(FrontEndConfig(normalize=kind, trim_db=0.0), RATE_HZ).eval()(source)[0][0, :51]
        for kind in ("clip", "clip_std", "band", "band_std")
    }
    assert float(features["clip"].mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(features["clip_std"].std(correction=0)) == pytest.approx(1.0, abs=1e-2)
    torch.testing.assert_close(features["band"].mean(0), torch.zeros(40), rtol=0, atol=1e-4)
    torch.testing.assert_close(features["band_std"].std(0, correction=0), torch.ones(40), rtol=0, atol=1e-2)


def test_evaluation_draws_nothing_and_training_follows_the_global_seed() -> None:
    front_end = FrontEnd(FrontEndConfig(**STRONG), RATE_HZ)
    source, padding_mask = clips([3000, 4000, 2500])
    state = torch.get_rng_state()
    front_end.eval()(source, padding_mask)
    assert torch.equal(torch.get_rng_state(), state)
    front_end.train()
    torch.manual_seed(7)
    first, first_lengths = front_end(source, padding_mask)
    torch.manual_seed(7)
    again, again_lengths = front_end(source, padding_mask)
    other, _ = front_end(source, padding_mask)
    assert torch.equal(first, again)
    assert torch.equal(first_lengths, again_lengths)
    assert first.shape != other.shape or not torch.allclose(first, other)
    assert bool(torch.isfinite(first).all())


@pytest.mark.parametrize("name", list(STRONG))
def test_each_distortion_acts_in_training_only(name: str) -> None:
    front_end = FrontEnd(FrontEndConfig(**{name: STRONG[name]}), RATE_HZ)  # type: ignore[arg-type]
    source, padding_mask = clips([4000, 3500])
    torch.manual_seed(3)
    plain, _ = front_end.eval()(source, padding_mask)
    distorted, _ = front_end.train()(source, padding_mask)
    assert distorted.shape != plain.shape or not torch.allclose(distorted, plain)


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 400), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_training_survives_very_short_clips(lengths: list[int], seed: int) -> None:
    front_end = FrontEnd(FrontEndConfig(**STRONG), RATE_HZ).train()
    source, padding_mask = clips(lengths, seed)
    features, num_frames = front_end(source, padding_mask)
    assert bool(torch.isfinite(features).all())
    assert bool((num_frames >= 1).all())


def test_silence_gives_finite_features() -> None:
    for normalize in ("clip", "clip_std", "band_std"):
        front_end = FrontEnd(FrontEndConfig(normalize=normalize, **STRONG), RATE_HZ)
        for training in (True, False):
            features, _ = front_end.train(training)(torch.zeros(2, 2000))
            assert bool(torch.isfinite(features).all())


def test_gather_frames_reads_between_frames() -> None:
    ramp = torch.arange(5.0)[None, :, None]
    result = gather_frames(ramp, torch.tensor([[0.0, 0.5, 3.25, 9.0]]))
    assert result[0, :, 0].tolist() == [0.0, 0.5, 3.25, 4.0]


@given(shift=st.floats(-0.4, 0.4))
def test_bend_keeps_order_and_ends(shift: float) -> None:
    share = torch.linspace(0, 1, 21)[None]
    bent = bend(share, torch.tensor([shift]))[0]
    assert float(bent[0]) == pytest.approx(0.0)
    assert float(bent[-1]) == pytest.approx(1.0)
    assert float(bent[10]) == pytest.approx(0.5 + shift, abs=1e-6)
    assert bool((bent.diff() > 0).all())


def test_noise_and_curve_have_the_sizes_asked_for() -> None:
    torch.manual_seed(1)
    power = torch.ones(50, 60, 40)
    added = add_noise(power, torch.full((50,), 60), 10.0, 10.0) - power
    # The tilt of up to +-10 dB raises the mean a little above the asked ratio.
    assert 0.08 < float(added.mean()) < 0.25
    assert float(random_curve(power.repeat(20, 1, 1), 3.0)[:, 0, ::39].std()) == pytest.approx(3.0, abs=0.3)


def test_delta_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(6.0)[None, :, None]
    assert time_difference(ramp, torch.tensor([6]))[0, 1:5, 0].tolist() == [1.0] * 4
    assert time_difference(ramp, torch.tensor([6]))[0, 0, 0] == 0.5


def test_every_key_has_a_help_and_an_unknown_normalisation_is_refused() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(FrontEndConfig))
    with pytest.raises(ValueError, match="normalize"):
        FrontEnd(FrontEndConfig(normalize="loudness"), RATE_HZ)
