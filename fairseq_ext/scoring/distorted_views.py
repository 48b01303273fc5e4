"""Augmented views of recordings through a frozen network: more examples to fit a linear probe on.

The views are augmented as in the network's pre-training (Chen et al. 2020, appendix B.8: linear evaluation with random
crops and flips). The probe is scored on recordings without augmentation.
Shapes: B batch, S samples, D embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..line_index import AudioEntry
from ..modules.augment import WaveformAugment, WaveformAugmentConfig
from .embeddings import Extracted, extract, padded
from .provenance import augment_settings
from .trained import TrainedModel


class DistortingNetwork(nn.Module):
    """A frozen network whose input is augmented as in its training.

    A `front_end` of the network, if any, augments in training mode. `seed` is that of the waveform augmentation; the
    front-end draws from torch's global generator.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any], sample_rate_hz: int, seed: int) -> None:
        super().__init__()
        self.model = model
        self.distort = WaveformAugment(WaveformAugmentConfig(**settings))
        self.sample_rate_hz = sample_rate_hz
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, source: Tensor, padding_mask: Tensor) -> Any:
        """Run the network on waveforms (B, S), mask True on padding, its encoder in evaluation mode."""
        # On the CPU, where the generator is, and without padding, which filters and rooms would spread.
        clips = [clip[~padding].cpu() for clip, padding in zip(source, padding_mask, strict=True)]
        views = [self.distort(clip, self.sample_rate_hz, self.generator) for clip in clips]
        front_end = getattr(self.model, "front_end", None)
        if front_end is not None:  # only this part, which augments; the encoder's dropout stays off
            front_end.train()
        try:
            return self.model(**padded([view.numpy() for view in views], str(source.device)))
        finally:
            self.model.eval()


def distorted_views(
    trained: TrainedModel, entries: Sequence[AudioEntry], num_views: int, *, seed: int, device: str = "cpu"
) -> list[Extracted]:
    """Embed N recordings several times, augmented anew each time; return the embeddings of each view, (N, D).

    The global random state is restored afterwards.
    """
    network = DistortingNetwork(trained.model, augment_settings(trained.cfg), trained.sample_rate_hz, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [extract(network, entries, trained.sample_rate_hz, device=device) for _ in range(num_views)]
