"""Noise mixed with the sound of clips: recordings of a folder, or babble made of other clips of the corpus.

What is mixed follows from a generator that the caller seeds by row and epoch.

Shapes: S samples.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor

from ..media import audio

BABBLE = "babble"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")

# Reads a waveform (S,) of one source by its number.
Read = Callable[[int], Tensor]


@dataclass
class NoiseConfig:
    """Keys of noise."""

    noise_source: str = field(
        default=BABBLE,
        metadata={"help": "babble = other clips of the split at once; or a folder of noise recordings"},
    )
    noise_prob: float = field(
        default=0.0, metadata={"help": "probability that noise is mixed with a clip; 0 = never"}
    )
    noise_snr_low_db: float = field(default=0.0, metadata={"help": "worst signal-to-noise ratio, dB"})
    noise_snr_high_db: float = field(default=0.0, metadata={"help": "best signal-to-noise ratio, dB"})
    noise_voices: int = field(default=30, metadata={"help": "number of clips that babble is made of"})
    noise_splits: str = field(
        default="train", metadata={"help": "where noise is mixed: train = in training only; all"}
    )


class NoiseMixer:
    """A mixer of clips with noise.

    Args:
        config: the keys.
        num_sources: clips or recordings to draw from.
        read: reads one of them.
        voices: how many make one noise.

    Raises:
        ValueError: a probability outside 0 to 1, or a range upside down.
    """

    def __init__(self, config: NoiseConfig, num_sources: int, read: Read, voices: int) -> None:
        if not 0.0 <= config.noise_prob <= 1.0:
            raise ValueError(
                f"task.noise_prob: 0 to 1 expected, found {config.noise_prob}; it is a probability"
            )
        if config.noise_snr_low_db > config.noise_snr_high_db:
            raise ValueError(
                f"task.noise_snr_low_db: at most noise_snr_high_db ({config.noise_snr_high_db:g}) expected, found "
                f"{config.noise_snr_low_db:g}; exchange them"
            )
        if voices < 1:
            raise ValueError(f"task.noise_voices: 1 or more expected, found {voices}; change it")
        self.config, self.num_sources, self.read, self.voices = config, num_sources, read, voices

    def __call__(self, waveform: Tensor, generator: Generator, without: int = -1) -> Tensor:
        """Mix a waveform (S,) with noise, or leave it as it is.

        Args:
            waveform: (S,).
            generator: seeded by the caller; the same state gives the same.
            without: number of the source that is the waveform itself; -1 = none.

        Raises:
            AudioError: a source cannot be read.
        """
        draw, level = torch.rand(2, generator=generator).tolist()
        if draw >= self.config.noise_prob:
            return waveform
        low, high = self.config.noise_snr_low_db, self.config.noise_snr_high_db
        return mix(waveform, self._noise(len(waveform), generator, without), low + level * (high - low))

    def _noise(self, num_samples: int, generator: Generator, without: int) -> Tensor:
        others = self.num_sources - (0 <= without < self.num_sources)
        if others < 1:
            raise ValueError("task.noise_source: babble needs other clips than the one itself; give a folder")
        total = torch.zeros(num_samples)
        for _ in range(min(self.voices, others)):
            number = int(torch.randint(others, (), generator=generator))
            number += 0 <= without <= number
            voice = fitted(self.read(number), num_samples, generator)
            total += voice / voice.square().mean().sqrt().clamp(min=1e-5)
        return total


def fitted(noise: Tensor, num_samples: int, generator: Generator) -> Tensor:
    """Return a stretch (S,) of a noise from a random place, repeated where it is too short."""
    start = int(torch.randint(len(noise), (), generator=generator))
    repeated = noise.roll(-start).repeat(math.ceil(num_samples / len(noise)))
    return repeated[:num_samples]


def mix(waveform: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Add noise (S,) to a waveform (S,) so that the ratio of their mean powers is `snr_db`.

    Silence has no ratio: with a silent waveform or a silent noise nothing is added.
    """
    signal, disturbance = waveform.square().mean(), noise.square().mean()
    if float(signal) == 0 or float(disturbance) == 0:
        return waveform
    scale = torch.sqrt(signal / disturbance * 10.0 ** (-snr_db / 10.0))
    return waveform + noise * scale


def noise_files(folder: str) -> list[Path]:
    """List the recordings of a folder and those below, sorted.

    Raises:
        ValueError: there are none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(
            f"{folder}: recordings ({', '.join(SUFFIXES)}) expected, found none; give task.noise_source another folder"
        )
    return found


def file_reader(paths: Sequence[Path], sample_rate_hz: int) -> Read:
    """Return what reads the recordings of a folder."""
    return lambda number: torch.from_numpy(audio.load(paths[number], sample_rate_hz=sample_rate_hz))
