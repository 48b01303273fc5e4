"""Frames of an encoder's layer, read from a checkpoint, equal what the encoder gives inside the model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from small_encoder import SLOWER

from fairseq_ext.inference.frames import EncoderFrames
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.modules.padding import normalize_clips

RATE = 8000
CLIP = np.random.default_rng(0).normal(3.0, 2.0, size=4000).astype(np.float32)


@pytest.fixture
def model() -> ExtCtc:
    torch.manual_seed(4)
    return ExtCtc(OmegaConf.structured(CtcConfig(**SLOWER)), 9).eval()


@pytest.fixture
def path(model: ExtCtc, tmp_path: Path) -> Path:
    network = {**SLOWER, "_name": "ext_ctc", "normalize": True}
    task = {"_name": "ext_audio_ctc", "sample_rate_hz": RATE}
    state = {"cfg": {"model": network, "task": task}, "model": model.state_dict()}
    torch.save(state, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_layer_is_that_of_the_model(model: ExtCtc, path: Path, layer: int) -> None:
    frames = EncoderFrames(path, layer)
    assert frames.sample_rate_hz == RATE
    with torch.no_grad():
        source = normalize_clips(torch.from_numpy(CLIP)[None])
        expected = model.encoder(source, return_hidden=True).hidden[layer][0]
    np.testing.assert_allclose(frames(CLIP), expected.numpy(), atol=1e-6)


def test_clip_too_short_for_a_frame_has_none(path: Path) -> None:
    assert EncoderFrames(path, 1)(CLIP[:20]).shape == (0, 24)


def test_layer_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="its encoder has layers 0 to 2, not 3"):
        EncoderFrames(path, 3)
