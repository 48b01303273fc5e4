"""What every recogniser that labels clips offers.

Shapes: windows are `(S,)` float32 at 16 kHz, S up to `MAX_SAMPLES`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
Languages = Sequence[tuple[str, float]]

SAMPLE_RATE_HZ = 16_000
MAX_SAMPLES = 30 * SAMPLE_RATE_HZ  # what Whisper hears at once


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser made of a window.

    Attributes:
        text: as it writes.
        language: that it was told to expect.
        avg_logprob: ln p of the text per token, the end of the text counted as one.
        no_speech_prob: probability that nobody speaks; None where the recogniser has none.
        num_tokens: of the text, its end not counted.
        temperature: of the sampling that gave it; 0: the likeliest text found.
    """

    text: str
    language: str
    avg_logprob: float
    no_speech_prob: float | None
    num_tokens: int
    temperature: float = 0.0

    @property
    def compression_ratio(self) -> float:
        """See `compression_ratio`."""
        return compression_ratio(self.text)


@dataclass(frozen=True)
class Decoding:
    """How texts are searched for. Defaults are those of Whisper's paper (section 4.5) and of its command."""

    beam_size: int = field(default=5, metadata={"help": "hypotheses kept; 1 = greedy"})
    max_tokens: int = field(default=224, metadata={"help": "longest text of a window, in tokens"})
    temperatures: tuple[float, ...] = field(
        default=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        metadata={
            "help": "tried in turn until a text is neither unlikely nor a loop; 0 = beam search, others sample"
        },
    )
    best_of: int = field(default=5, metadata={"help": "samples drawn at temperatures above 0"})
    min_avg_logprob: float = field(default=-1.0, metadata={"help": "a lower ln p per token is unlikely"})
    max_compression_ratio: float = field(
        default=2.4, metadata={"help": "a text that deflates better is a loop"}
    )
    max_no_speech_prob: float = field(
        default=0.6, metadata={"help": "an unlikely text is left alone where silence is likelier than this"}
    )
    seed: int = field(default=1, metadata={"help": "of the sampling"})

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot work."""
        if self.beam_size < 1 or not 1 <= self.max_tokens <= 224 or self.best_of < 1 or not self.temperatures:
            raise ValueError(
                "decoding: a beam and best_of of 1 or more, 1 to 224 tokens and a temperature expected, found "
                f"{self.beam_size}, {self.best_of}, {self.max_tokens}, {self.temperatures}; change the settings"
            )


class Engine(Protocol):
    """A recogniser. A window's results do not depend on the others of its batch.

    Attributes:
        name: of the model, for the table of labels.
        languages: codes of those that it knows, such as "fr".
        batch_size: windows that it takes at once.
    """

    name: str
    languages: frozenset[str]
    batch_size: int

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Hears a batch of windows, once for both of the following."""
        ...

    def detect_language(self, heard: Any) -> list[Languages]:
        """Gives every window's languages and their probabilities, the likeliest first."""
        ...

    def transcribe(self, heard: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Writes down every window in its language, and leaves those with None alone."""
        ...


def compression_ratio(text: str) -> float:
    """How well a text deflates: normal ones by 1 to 2, loops by far more (Radford et al. 2022, section 4.5).

    Args:
        text: any.

    Returns:
        Bytes in UTF-8 by bytes of zlib's.
    """
    content = text.encode()
    return len(content) / len(zlib.compress(content))


def check_windows(windows: Sequence[Waveform]) -> None:
    """Checks what an engine is given, since a longer window would be cut off without a word.

    Args:
        windows: a batch.

    Raises:
        ValueError: for no window, an empty one, one of more than 30 s, or one of another shape or type.
    """
    for window in windows:
        if window.ndim != 1 or window.dtype != np.float32 or not 1 <= len(window) <= MAX_SAMPLES:
            raise ValueError(
                f"window: (S,) float32 with S from 1 to {MAX_SAMPLES} expected, found {window.shape} {window.dtype}; "
                "cut it at its silences (labelling.speech)"
            )
    if not len(windows):
        raise ValueError("windows: 1 or more expected, found none; leave the call out")
