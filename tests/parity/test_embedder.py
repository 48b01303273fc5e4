"""Every layer of any encoder has the numbers of transformers, from its files as they are published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from fairseq_ext.checkpoints.encoder import load_encoder_layers
from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.modules.hf_config import config_to_fairseq
from fairseq_ext.modules.hf_keys import to_fairseq
from fairseq_ext.modules.padding import normalize_clips, pad_waveforms

RATE = 16_000
CLIPS = [
    0.1 * torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in (9000, 4321, 6400)
]
Export = Callable[..., Any]
flavours = pytest.mark.parametrize("large", [False, True], ids=["base", "large"])


@torch.no_grad()
def states_of_transformers(network: Any, source: Tensor) -> list[Tensor]:
    """Return what enters each layer, and what leaves the last one before and after the norm above it, of (1, S)."""
    found: list[Tensor] = []

    def keep(_: Any, args: Any, named: Any) -> None:
        found.append(args[0] if args else named["hidden_states"])

    def keep_last(_: Any, __: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    layers = network.encoder.layers
    hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    hooks.append(layers[-1].register_forward_hook(keep_last))
    last = network(source).last_hidden_state
    for hook in hooks:
        hook.remove()
    return [*found, last] if network.config.do_stable_layer_norm else found


def expected_of(network: Any, clip: Tensor, large: bool) -> list[Tensor]:
    """Return the layers (T, D) of a clip alone; large models take it normalised."""
    source = normalize_clips(clip[None]) if large else clip[None]
    return [frames[0] for frames in states_of_transformers(network, source)]


def assert_same_layers(path: Path, network: Any, large: bool) -> None:
    """Compare all layers of clips in one batch with those of each clip alone, as shares of the layer's size."""
    model, source = load_encoder_layers(path, final_norm=True)
    assert source.normalize is large
    with torch.no_grad():
        layers, lengths = model(*pad_waveforms(CLIPS))
    assert len(layers) == network.config.num_hidden_layers + 1 + large
    for i, clip in enumerate(CLIPS):
        expected = expected_of(network, clip, large)
        assert len(expected[0]) == lengths[i]
        for found, frames in zip(layers, expected, strict=True):
            distance = (found[i, : len(frames)] - frames).abs().max() / frames.square().mean().sqrt()
            assert distance < 1e-4


@flavours
@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_folders_of_hugging_face(family: str, large: bool, export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", family, "Model", large=large)
    assert_same_layers(theirs.folder, theirs.network, large)


def test_a_head_is_left_out(export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "hubert", "ForSequenceClassification")
    assert_same_layers(theirs.folder, theirs.network.hubert, False)


@flavours
def test_wavlm_as_microsoft_publishes_it(large: bool, export: Export, tmp_path: Path) -> None:
    """A flat configuration beside weights by fairseq's names, with WavLM's own."""
    theirs = export(tmp_path / "theirs", "wavlm", "Model", large=large)
    config = config_to_fairseq(theirs.network.config.to_dict(), "")
    weights = {
        to_fairseq(name, config["extractor_mode"]): value
        for name, value in theirs.network.state_dict().items()
    }
    torch.save({"cfg": {**config, "normalize": large}, "model": weights}, tmp_path / "WavLM.pt")
    assert_same_layers(tmp_path / "WavLM.pt", theirs.network, large)


@flavours
def test_vectors_of_files_are_those_of_a_plain_loop(large: bool, export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "hubert", "Model", large=large)
    files = []
    for number, clip in enumerate(CLIPS):
        files.append(tmp_path / f"{number}.wav")
        soundfile.write(files[-1], clip.numpy(), RATE, subtype="FLOAT")
    embed = load_embedder(theirs.folder, poolings=("mean", "std", "max", "first", "last"))
    found = embed(files)
    for vectors, clip in zip(found, CLIPS, strict=True):
        for vector, frames in zip(vectors, expected_of(theirs.network, clip, large), strict=True):
            parts = [frames.mean(0), frames.std(0, correction=0), frames.amax(0), frames[0], frames[-1]]
            np.testing.assert_allclose(vector, torch.cat(parts).numpy(), atol=1e-4, rtol=1e-4)
