"""Noise mixed with the sound of clips: recordings of a folder, or babble made of other clips of the corpus.

What is mixed follows from a generator that the caller seeds by row and epoch.

Shapes: S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor

from ..media import audio
from ..modules.babble import Read, babble, mix

BABBLE = "babble"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")


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
        noise = babble(len(waveform), self.read, self.num_sources, self.voices, generator, without)
        return mix(waveform, noise, low + level * (high - low))


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
