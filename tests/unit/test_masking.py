"""Properties of the masks: how much, where, and that only a clip's own length and seed decide."""

import pytest
import torch

from fairseq_ext.modules.masking import channel_masks, equalize_mask_counts, masks_at, time_masks


def seeds(count: int, first: int = 0) -> torch.Tensor:
    """Seeds as data sets give them: up to 63 bits."""
    return (torch.arange(first, first + count) * 0x9E3779B97F4A7C1) & (2**63 - 1)


def runs(mask: torch.Tensor) -> list[int]:
    """Lengths of the runs of True."""
    text = "".join("x" if value else " " for value in mask.tolist())
    return [len(run) for run in text.split()]


@pytest.mark.parametrize(("prob", "length"), [(0.65, 10), (0.3, 10), (0.8, 5), (0.05, 10), (1.0, 1)])
def test_share_masked_is_that_of_spans_drawn_without_replacement(prob: float, length: int) -> None:
    size = 500
    mask = time_masks(torch.full((400,), size), prob, length, seeds(400))
    # starts fall on a position with probability prob / length, and a frame is free when none of `length` has one
    expected = 1 - (1 - prob / length) ** length if length > 1 else (size - 1) / size
    assert float(mask.float().mean()) == pytest.approx(expected, abs=0.02)


def test_every_place_is_masked_as_often() -> None:
    mask = time_masks(torch.full((4000,), 100), 0.65, 10, seeds(4000)).float().mean(0)
    assert float(mask[10:90].std()) < 0.02
    assert float(mask[9:91].min()) > 0.4


@pytest.mark.parametrize("prob", [0.0, 0.01, 0.65, 1.0])
@pytest.mark.parametrize("length", [1, 3, 10])
def test_never_beyond_the_clip_and_never_all_of_it(prob: float, length: int) -> None:
    sizes = torch.arange(0, 60).repeat_interleave(5)
    mask = time_masks(sizes, prob, length, seeds(len(sizes)), num_frames=64, min_masks=2)
    assert mask.shape == (300, 64)
    for row, size in zip(mask, sizes.tolist(), strict=True):
        assert not row[size:].any()
        assert size == 0 or not row[:size].all()
        if size > 1:
            assert bool(row.any()) == (prob > 0)


@pytest.mark.parametrize("min_masks", [0, 1, 2, 5])
def test_at_least_so_many_spans_when_the_clip_is_long_enough(min_masks: int) -> None:
    mask = time_masks(torch.full((200,), 400), 0.001, 10, seeds(200), min_masks=min_masks)
    counts = [sum(runs(row)) for row in mask]
    # distinct starts: spans that overlap cover at least length + number - 1 frames
    assert min(counts) >= (9 + min_masks if min_masks else 0)
    assert max(counts) <= max(min_masks, 1) * 10


def test_spans_have_their_length() -> None:
    mask = time_masks(torch.full((100,), 300), 0.1, 7, seeds(100), min_masks=1)
    assert min(min(runs(row)) for row in mask) == 7


def test_same_seed_same_mask_whatever_the_batch() -> None:
    sizes = torch.tensor([100, 80, 120, 33])
    together = time_masks(sizes, 0.65, 10, seeds(4), min_masks=2)
    for row in range(4):
        alone = time_masks(sizes[row : row + 1], 0.65, 10, seeds(4)[row : row + 1], min_masks=2)
        assert torch.equal(alone[0], together[row, : sizes[row]])


def test_other_seeds_other_masks() -> None:
    mask = time_masks(torch.full((200,), 100), 0.65, 10, seeds(200))
    assert len({tuple(row.tolist()) for row in mask}) == 200
    high_bits = torch.tensor([5, 5 + (1 << 40), 5 + (1 << 62)])
    mask = time_masks(torch.full((3,), 100), 0.65, 10, high_bits)
    assert len({tuple(row.tolist()) for row in mask}) == 3


def test_masks_of_neighbouring_seeds_are_not_correlated() -> None:
    mask = time_masks(torch.full((2000,), 50), 0.65, 5, torch.arange(2000)).float()
    centred = mask - mask.mean(0)
    correlation = (centred[1:] * centred[:-1]).mean() / centred.square().mean()
    assert abs(float(correlation)) < 0.02


def test_channel_masks_have_a_stream_of_their_own() -> None:
    mask = channel_masks(100, 0.25, 8, seeds(500), min_masks=1)
    assert mask.shape == (500, 100)
    assert float(mask.float().mean()) == pytest.approx(1 - (1 - 0.25 / 8) ** 8, abs=0.03)
    assert not torch.equal(mask, time_masks(torch.full((500,), 100), 0.25, 8, seeds(500), min_masks=1))
    assert not channel_masks(100, 0.0, 8, seeds(5), min_masks=1).any()


def test_same_number_keeps_as_many_frames_of_each_clip() -> None:
    mask = time_masks(torch.full((50,), 200), 0.65, 10, seeds(50), min_masks=2)
    positions = equalize_mask_counts(mask, seeds(50))
    assert positions.shape == (50, int(mask.sum(1).min()))
    kept = masks_at(positions, 200)
    assert kept.sum(1).unique().tolist() == [positions.shape[1]]
    assert not (kept & ~mask).any()
    assert torch.equal(positions, positions.sort(1).values)
    assert torch.equal(positions, equalize_mask_counts(mask, seeds(50)))


def test_same_number_of_nothing() -> None:
    assert equalize_mask_counts(torch.zeros(3, 0, dtype=torch.bool), seeds(3)).shape == (3, 0)
    mask = time_masks(torch.tensor([1, 40]), 0.65, 10, seeds(2))
    assert equalize_mask_counts(mask, seeds(2)).shape == (2, 0)


@pytest.mark.parametrize(
    ("prob", "length", "name"), [(-0.1, 5, "mask_prob"), (1.5, 5, "mask_prob"), (0.5, 0, "mask_length")]
)
def test_bad_settings_are_refused(prob: float, length: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .* expected, found"):
        time_masks(torch.tensor([10]), prob, length, seeds(1))
