"""What the augmentations do to one recording, as the network's own front-end sees it.

Legend: S samples, T frames, F mel bands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..augment import WaveformAugment, WaveformAugmentConfig

# Strengths for the picture only, a little above what trains well, so that the eye sees what each one does.
FRONT_END_EXAMPLES: Mapping[str, Mapping[str, float | int]] = {
    "time warp": {"time_warp": 0.2},
    "vocal tract": {"vtlp": 0.15},
    "time masks": {"time_masks": 2, "time_mask_share": 0.2},
    "frequency masks": {"frequency_masks": 2, "frequency_mask_bands": 6},
}
FRONT_END_SWITCHES = (
    *(
        "vtlp",
        "stretch",
        "time_warp",
        "trim_jitter_db",
        "eq_db",
        "noise_snr_db",
        "time_masks",
        "frequency_masks",
    ),
)
PLAIN, AS_TRAINED = "no augmentation", "as trained"


def spectrograms(
    front_end: Any,
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    augment: Mapping[str, Any],
    *,
    seed: int = 0,
    num_draws: int = 3,
) -> dict[str, NDArray[np.float32]]:
    """Shows one recording plain, under each augmentation alone, and as the training saw it.

    Args:
        front_end: the network's; has `config`, and maps (B, S) to features (B, T, F) and lengths (B,).
        waveform: (S,).
        sample_rate_hz: of the waveform.
        augment: keys of `WaveformAugmentConfig` that the training used.
        seed: of every draw.
        num_draws: how many training draws to show.

    Returns:
        Name of the view -> features, (T, F).
    """
    import torch

    views: dict[str, NDArray[np.float32]] = {}
    clip = torch.from_numpy(waveform)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        views[PLAIN] = _features(front_end, clip, training=False)
        for name, config in _waveform_examples():
            generator = torch.Generator().manual_seed(seed)
            distorted = WaveformAugment(config)(clip, sample_rate_hz, generator)
            views[name] = _features(front_end, distorted, training=False)
        for name, changes in FRONT_END_EXAMPLES.items():
            views[name] = _features(_with_only(front_end, changes, sample_rate_hz), clip, training=True)
        trained = WaveformAugment(WaveformAugmentConfig(**augment))
        for draw in range(1, num_draws + 1):
            generator = torch.Generator().manual_seed(seed + draw)
            distorted = trained(clip, sample_rate_hz, generator)
            views[f"{AS_TRAINED} {draw}"] = _features(front_end, distorted, training=True)
    return views


def _features(front_end: Any, waveform: Any, *, training: bool) -> NDArray[np.float32]:
    before = front_end.training
    front_end.train(training)
    features, lengths = front_end(waveform[None])
    front_end.train(before)
    return np.asarray(features[0, : int(lengths[0])].float().numpy(), dtype=np.float32)


def _waveform_examples() -> Iterator[tuple[str, WaveformAugmentConfig]]:
    """Each distortion of the waveform alone, always on, at its default range."""
    for field in dataclasses.fields(WaveformAugmentConfig):
        if field.name.endswith("_prob"):
            yield field.name.removesuffix("_prob"), WaveformAugmentConfig(**{field.name: 1.0})


def _with_only(front_end: Any, changes: Mapping[str, float | int], sample_rate_hz: int) -> Any:
    """The same front-end with one of its distortions on and all others off."""
    import copy

    config = copy.deepcopy(front_end.config)
    for name, value in (dict.fromkeys(FRONT_END_SWITCHES, 0) | dict(changes)).items():
        setattr(config, name, value)
    return type(front_end)(config, sample_rate_hz)
