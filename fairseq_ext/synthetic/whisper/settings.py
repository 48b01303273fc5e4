"""The settings of a tiny Whisper's training, without torch, so that a command line can show them quickly."""

from dataclasses import dataclass

from .. import phrases


@dataclass(frozen=True)
class Settings:
    """Settings that decide the weights."""

    languages: tuple[str, ...] = phrases.LANGUAGES  # some of `phrases.LANGUAGES`
    updates: int = 800  # number of updates; about four per second on one core of a 2020s CPU
    batch_size: int = 16  # clips per update
    recordings: int = 120  # recordings per language, each by another voice; 35 ms of CPU time each
    seed: int = 0  # random seed of weights, voices, phrases and examples
    d_model: int = 96  # width
    layers: int = 2  # layers of the encoder, and of the decoder
    heads: int = 3  # heads of each attention
