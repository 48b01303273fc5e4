"""Recurrent encoder and residual blocks: stacking, padding, how the recurrence starts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.modules.padding import strided_lengths, valid_mask
from fairseq_ext.modules.recurrent import RecurrentEncoder, stack_frames
from fairseq_ext.modules.residual import ResidualBlock1d, ResidualBlock2d


def test_frames_are_stacked_in_order_and_the_last_group_is_filled() -> None:
    features = torch.arange(10.0).reshape(1, 5, 2)
    stacked, lengths = stack_frames(features, torch.tensor([5]), 2)
    assert stacked.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]]
    assert lengths.tolist() == [3]


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4))
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_clip_is_encoded_the_same_alone_and_in_a_batch(cell: str, lengths: list[int]) -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(cell, 6, hidden=8, num_layers=2, frame_stack=2, dropout=0.1).eval()
    features = torch.randn(len(lengths), max(lengths), 6)
    features = features * valid_mask(torch.tensor(lengths), max(lengths))[:, :, None]
    encoded = encoder(features, torch.tensor(lengths))
    assert encoded.shape == (len(lengths), encoder.out_dim)
    for i, length in enumerate(lengths):
        alone = encoder(features[i : i + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(encoded[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_recurrent_weights_start_as_rotations() -> None:
    encoder = RecurrentEncoder("lstm", 6, hidden=8, num_layers=1, frame_stack=1, dropout=0.0)
    for gate in dict(encoder.named_parameters())["layers.0.weight_hh_l0"].split(8):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), rtol=0, atol=1e-5)


@pytest.mark.parametrize("planes", [False, True])
def test_blocks_keep_padding_at_zero_and_never_read_it(planes: bool) -> None:
    torch.manual_seed(1)
    lengths = torch.tensor([3, 7])
    valid = valid_mask(lengths, 7)[:, None]
    values = torch.randn(2, 4, 7, 5) if planes else torch.randn(2, 4, 7)
    mask = valid[..., None] if planes else valid
    block = (ResidualBlock2d(4, 0.1) if planes else ResidualBlock1d(4, 5, 2, 0.1)).eval()
    # Statistics as after training: a shift that would fill the padding if nothing cleared it.
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.bias.data.fill_(0.7)
    result = block(values * mask, mask)
    assert bool((result[0, :, 3:] == 0).all())
    torch.testing.assert_close(
        result[:1, :, :3], block(values[:1, :, :3], mask[:1, :, :3]), rtol=1e-4, atol=1e-5
    )


@given(length=st.integers(1, 50))
def test_halved_lengths_are_those_of_the_convolution(length: int) -> None:
    for kernel_size in (3, 5):
        result = torch.nn.functional.conv1d(
            torch.zeros(1, 1, length), torch.zeros(1, 1, kernel_size), stride=2, padding=kernel_size // 2
        )
        assert int(strided_lengths(torch.tensor([length]), 2)) == result.shape[2]
