"""Augmented views for probes: they differ, are reproducible, and leave the network unchanged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from fairseq_ext.line_index import AudioEntry
from fairseq_ext.modules.front_end import FrontEnd, FrontEndConfig
from fairseq_ext.scoring.distorted_views import distorted_views
from fairseq_ext.scoring.embeddings import extract

RATE = 8000


class Spectra(nn.Module):
    """A mean spectrum with a dropout that must stay off."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.front_end = FrontEnd(config, RATE)
        self.dropout = nn.Dropout(0.5)

    def forward(self, source: Tensor, padding_mask: Tensor) -> dict[str, Tensor | None]:
        features, lengths = self.front_end(source, padding_mask)
        return {"embedding": self.dropout(features.sum(1) / lengths[:, None]), "logits": None}


def loaded(config: FrontEndConfig, **augment: float) -> Any:
    cfg = SimpleNamespace(task=SimpleNamespace(augment={"_name": None, **augment}))
    return SimpleNamespace(model=Spectra(config).eval(), cfg=cfg, sample_rate_hz=RATE)


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    rng = np.random.default_rng(1)
    found = []
    for i in range(5):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(3000 + 500 * i), RATE)
        found.append(AudioEntry(str(path), 0, 3000 + 500 * i))
    return found


def test_nothing_switched_on_gives_the_recording_itself(entries: list[AudioEntry]) -> None:
    network = loaded(FrontEndConfig())
    plain = extract(network.model, entries, RATE)
    (view,) = distorted_views(network, entries, 1, seed=1)
    assert np.allclose(view.embedding, plain.embedding, atol=1e-5)


@pytest.mark.parametrize("augment", [{"gain_prob": 0.0}, {"noise_prob": 1.0, "pitch_prob": 1.0}])
def test_views_differ_and_come_back_with_the_seed(
    entries: list[AudioEntry], augment: dict[str, float]
) -> None:
    network = loaded(FrontEndConfig(vtlp=0.2 if augment.get("gain_prob") == 0.0 else 0.0), **augment)
    first, second = distorted_views(network, entries, 2, seed=1)
    assert np.abs(first.embedding - second.embedding).max() > 1e-3
    assert np.array_equal(distorted_views(network, entries, 1, seed=1)[0].embedding, first.embedding)
    assert np.abs(distorted_views(network, entries, 1, seed=2)[0].embedding - first.embedding).max() > 1e-3


def test_network_and_random_state_are_left_as_they_were(entries: list[AudioEntry]) -> None:
    network = loaded(FrontEndConfig(vtlp=0.2))
    before = torch.random.get_rng_state()
    distorted_views(network, entries, 1, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(module.training for module in network.model.modules())
