"""The settings of a tiny Whisper's training, without torch, so that a command line can show them quickly."""

from dataclasses import dataclass

from .. import phrases


@dataclass(frozen=True)
class Settings:
    """Settings that decide the weights.

    Attributes:
        languages: some of `phrases.LANGUAGES`.
        updates: number of updates; about four per second on one core of a 2020s CPU.
        batch_size: clips per update.
        recordings: recordings per language, each by another voice; 35 ms of CPU time each.
        seed: random seed of weights, voices, phrases and examples.
        d_model: width.
        layers: layers of the encoder, and of the decoder.
        heads: heads of each attention.
    """

    languages: tuple[str, ...] = phrases.LANGUAGES
    updates: int = 800
    batch_size: int = 16
    recordings: int = 120
    seed: int = 0
    d_model: int = 96
    layers: int = 2
    heads: int = 3
