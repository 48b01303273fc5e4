"""Padding."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_ext.modules.padding import pad_waveforms


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_rows_keep_their_samples_and_the_rest_is_masked_zeros(lengths: list[int]) -> None:
    waveforms = [torch.full((length,), float(i + 1)) for i, length in enumerate(lengths)]
    source, mask = pad_waveforms(waveforms)
    assert source.shape == mask.shape == (len(lengths), max(lengths))
    assert mask.dtype == torch.bool
    for row, waveform in enumerate(waveforms):
        assert torch.equal(source[row][~mask[row]], waveform)
        assert not source[row][mask[row]].any()
        assert not mask[row][: len(waveform)].any()  # padding at the end only
