"""What a training of a tiny Whisper is told; light, so that a command line can show it without torch."""

from dataclasses import dataclass

from .. import phrases


@dataclass(frozen=True)
class Settings:
    """What decides the weights.

    Attributes:
        languages: some of `phrases.LANGUAGES`.
        updates: of the weights; on one core of 2020s, about four in a second.
        batch_size: clips in an update.
        recordings: per language, each by another voice; 35 ms of CPU time each.
        seed: of weights, voices, phrases and examples.
        d_model: width.
        layers: of the encoder, and of the decoder.
        heads: of each attention.
    """

    languages: tuple[str, ...] = phrases.LANGUAGES
    updates: int = 800
    batch_size: int = 16
    recordings: int = 120
    seed: int = 0
    d_model: int = 96
    layers: int = 2
    heads: int = 3
