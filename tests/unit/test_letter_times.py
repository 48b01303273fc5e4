"""Aligning texts with the sound of clips: each letter gets frames, in order; what does not fit is left out."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import OmegaConf
from small_lip_reader import store

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.inference.letter_times import letter_times, load_aligner
from fairseq_ext.models.av_ctc_attention import AvCtcAttentionConfig, ExtAvCtcAttention

KEYS: dict[str, Any] = {
    "modality": "audio", "front_end_width": 4, "front_end_blocks": "1", "encoder_type": "gru", "encoder_layers": 1,
    "encoder_embed_dim": 16, "decoder_layers": 0,
}  # fmt: skip


def write_checkpoint(path: Path, symbols: list[str], **changes: Any) -> Path:
    keys = {**KEYS, **changes}
    symbols = [*SPECIAL_SYMBOLS, *symbols]
    model = ExtAvCtcAttention(merge_with_parent(AvCtcAttentionConfig(), OmegaConf.create(keys)), len(symbols))
    return store(path, model, keys, symbols)


def test_letters_have_frames_in_order_and_misfits_are_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).normal(0, 0.1, 16_000), 16_000)
    aligner = load_aligner(write_checkpoint(tmp_path / "sound.pt", ["|", *"algo"]))
    texts = {"whole": "la gola", "foreign": "la gala z", "long": "gola " * 6}
    clips = ((name, tmp_path / "a.wav", 25, text) for name, text in texts.items())
    found = dict(letter_times(aligner, clips))
    assert list(found) == ["whole"]
    assert [len(word) for word in found["whole"]] == [2, 4]
    spans = [span for word in found["whole"] for span in word]
    assert all(start < end for start, end in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert spans[-1][1] <= 25


def test_a_lip_reader_and_one_of_pieces_are_refused(tmp_path: Path) -> None:
    for symbols, modality in ((["|", "a"], "video"), (["▁la", "▁gola"], "audio")):
        path = write_checkpoint(tmp_path / "other.pt", symbols, modality=modality)
        with pytest.raises(ValueError, match="a network for the sound with characters"):
            load_aligner(path)
