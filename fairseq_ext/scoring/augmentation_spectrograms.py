"""Spectrograms of one recording under each augmentation, computed by the network's own front-end.

Legend: S samples, T frames, F mel bands.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..modules import augment

PLAIN, AS_TRAINED = "no augmentation", "as trained"
# Strengths for the picture only, mostly above what trains well, so that each effect is visible.
MASKS_AND_WARPS: Mapping[str, Mapping[str, float | int]] = {
    "time warp": {"time_warp": 0.3},
    "time masks": {"time_masks": 2, "time_mask_share": 0.2},
    "frequency masks": {"frequency_masks": 2, "frequency_mask_bands": 6},
}
# All augmentations of the front-end; one is switched on at a time.
OFF = dict.fromkeys(
    (
        "vtlp",
        "stretch",
        "time_warp",
        "trim_jitter_db",
        "eq_db",
        "noise_snr_db",
        "time_masks",
        "frequency_masks",
    ),
    0,
)
VOCAL_TRACT = 1.15


def spectrograms(
    front_end: Any,
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    num_draws: int = 3,
) -> dict[str, NDArray[np.float32]]:
    """Compute features (T, F) of one recording (S,) plain, under each augmentation alone, and augmented as in training.

    Args:
        front_end: front-end of the network, with a `config`; maps (B, S) to features (B, T, F) and lengths (B,).
        settings: values of `WaveformAugmentConfig` in the training.
        num_draws: number of views augmented as in training.
    """
    clip = torch.from_numpy(waveform)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        views = {PLAIN: _features(front_end, clip)}
        for name, distorted in _distorted(clip, sample_rate_hz, torch.Generator().manual_seed(seed)).items():
            views[name] = _features(front_end, distorted)
        views[f"vocal tract 1/{VOCAL_TRACT}"] = _features(front_end, clip, warp=torch.tensor([VOCAL_TRACT]))
        for name, changes in MASKS_AND_WARPS.items():
            views[name] = _features(_with_only(front_end, changes, sample_rate_hz), clip, training=True)
        distort = augment.WaveformAugment(augment.WaveformAugmentConfig(**settings))
        for draw in range(1, num_draws + 1):
            distorted = distort(clip, sample_rate_hz, torch.Generator().manual_seed(seed + draw))
            views[f"{AS_TRAINED} {draw}"] = _features(front_end, distorted, training=True)
    return views


def _distorted(clip: torch.Tensor, rate: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return the waveform under each augmentation alone, at a visible strength."""
    return {
        "speed × 1.2": augment.change_speed(clip, 1.2),
        "pitch + 3 semitones": augment.shift_pitch(clip, 3.0, rate),
        "stretch × 1.25": augment.stretch(clip, 1.25, rate),
        "equaliser ± 12 dB": augment.equalize(clip, 12.0, generator),
        "room, 0.4 s": augment.reverberate(clip, 0.4, rate, generator),
        "noise at 10 dB": augment.add_noise(clip, 10.0, generator),
        "shift by 0.1 s": augment.shift_time(clip, rate // 10),
        "gain − 12 dB": clip * 10.0 ** (-12.0 / 20.0),
    }


def _features(front_end: Any, waveform: torch.Tensor, *, training: bool = False, **options: Any) -> Any:
    before = front_end.training
    front_end.train(training)
    features, lengths = front_end(waveform[None], **options)
    front_end.train(before)
    return features[0, : int(lengths[0])].float().numpy()  # (T, F)


def _with_only(front_end: Any, changes: Mapping[str, float | int], sample_rate_hz: int) -> Any:
    """Return a copy of the front-end with the given augmentation on and all others off."""
    config = copy.deepcopy(front_end.config)
    for name, value in (OFF | dict(changes)).items():
        setattr(config, name, value)
    return type(front_end)(config, sample_rate_hz)
