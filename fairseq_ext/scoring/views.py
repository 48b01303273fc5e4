"""Distorted views of recordings through a frozen network: more to fit a linear probe on.

A probe is fitted on the distortions that the network was pre-trained with, as a classifier on top of it would be
trained (Chen et al. 2020, appendix B.8: linear evaluation with random crops and flips). It is scored on undistorted
recordings.
Shapes: B batch, S samples, D embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..augment import WaveformAugment, WaveformAugmentConfig
from ..line_index import AudioEntry
from .embeddings import Extracted, extract, padded
from .provenance import plain
from .trained import TrainedModel


class DistortingNetwork(nn.Module):
    """A frozen network whose input is distorted as in its training.

    Args:
        model: with a `front_end` whose distortions act in training mode, or none.
        settings: keys of `WaveformAugmentConfig` that the training used.
        sample_rate_hz: of the waveforms.
        seed: of the waveforms' distortions; those of the front-end draw from torch's generator.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any], sample_rate_hz: int, seed: int) -> None:
        super().__init__()
        self.model = model
        self.distort = WaveformAugment(WaveformAugmentConfig(**settings))
        self.sample_rate_hz = sample_rate_hz
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, source: Tensor, padding_mask: Tensor) -> Any:
        """Run the network, its encoder in evaluation mode.

        Args:
            source: (B, S).
            padding_mask: (B, S), True on padding.

        Returns:
            What the network returns.
        """
        clips = [clip[~padding].cpu() for clip, padding in zip(source, padding_mask, strict=True)]
        views = [self.distort(clip, self.sample_rate_hz, self.generator) for clip in clips]
        front_end = getattr(self.model, "front_end", None)
        if front_end is not None:
            front_end.train()
        try:
            return self.model(**padded([view.numpy() for view in views], str(source.device)))
        finally:
            self.model.eval()


def distorted_views(
    loaded: TrainedModel, entries: Sequence[AudioEntry], num_views: int, *, seed: int, device: str = "cpu"
) -> list[Extracted]:
    """Embeds recordings several times, distorted anew each time.

    Args:
        loaded: the network, and the configuration that says how its training distorted.
        entries: N audio locations.
        num_views: how many times.
        seed: of all distortions; the caller's random state stays as it is.
        device: torch device.

    Returns:
        Embeddings of each view, (N, D), in the order of `entries`.
    """
    settings = plain(loaded.cfg.task).get("augment") or {}
    settings = {key: value for key, value in settings.items() if not key.startswith("_")}
    network = DistortingNetwork(loaded.model, settings, loaded.sample_rate_hz, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [extract(network, entries, loaded.sample_rate_hz, device=device) for _ in range(num_views)]
