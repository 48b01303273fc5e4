"""The interface of the recognisers that label clips, and what they return.

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
MAX_SAMPLES = 30 * SAMPLE_RATE_HZ  # one input of Whisper
FRAME_RATE_HZ = 50  # of Whisper's encoder


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The transcript of a window as the recogniser spells it, with its scores.

    Attributes:
        language: language that the window was decoded in.
        avg_logprob: ln p of the text per token, the end-of-text token included.
        no_speech_prob: probability that nobody speaks; None when the recogniser does not estimate it.
        num_tokens: tokens of the text, without the end-of-text token.
        temperature: sampling temperature; 0: the likeliest text that the search found.
    """

    text: str
    language: str
    avg_logprob: float
    no_speech_prob: float | None
    num_tokens: int
    temperature: float = 0.0

    @property
    def compression_ratio(self) -> float:
        """The compression ratio of the text; see `compression_ratio`."""
        return compression_ratio(self.text)


@dataclass(frozen=True)
class Decoding:
    """How an engine searches for texts; defaults as in Whisper's paper (section 4.5) and command."""

    beam_size: int = field(default=5, metadata={"help": "hypotheses kept; 1: greedy search"})
    max_tokens: int = field(default=224, metadata={"help": "longest text of a window, in tokens"})
    temperatures: tuple[float, ...] = field(
        default=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        metadata={
            "help": "tried in turn until a text is neither unlikely nor a loop; 0: beam search, others: sampling"
        },
    )
    best_of: int = field(default=5, metadata={"help": "samples drawn at temperatures above 0"})
    min_avg_logprob: float = field(
        default=-1.0, metadata={"help": "a text with a lower ln p per token is unlikely"}
    )
    max_compression_ratio: float = field(
        default=2.4, metadata={"help": "a text that compresses better is a loop"}
    )
    max_no_speech_prob: float = field(
        default=0.6,
        metadata={"help": "an unlikely text is not decoded again where silence is likelier than this"},
    )
    # Whisper base, 30 commands of GRID: WER 30.6 % with 2 s, 27.8 % with 8 s, 30.0 % with all; mean probability of
    # silence 0.24, 0.08, 0.02. CPU time per clip: 0.50, 0.66, 1.98 s. 5 s lies between.
    padding_s: float = field(
        default=5.0,
        metadata={
            "help": "silence that the encoder runs over behind a window, s; counts for CTranslate2 on a CPU"
        },
    )
    seed: int = field(default=1, metadata={"help": "random seed of the sampling"})
    # (language, text) pairs. Two or three sentences of the domain: names, rare words and spelling follow them.
    prompts: tuple[tuple[str, str], ...] = field(
        default=(), metadata={"help": "texts of a language that a transcript is taken to continue"}
    )

    def __post_init__(self) -> None:
        """Raise ValueError for settings out of range."""
        if len(dict(self.prompts)) < len(self.prompts):
            raise ValueError("decoding: several prompts of one language; join them")
        if self.padding_s < 0:
            raise ValueError(f"decoding: padding_s of 0 or more expected, found {self.padding_s}; change it")
        if self.beam_size < 1 or not 1 <= self.max_tokens <= 224 or self.best_of < 1 or not self.temperatures:
            raise ValueError(
                "decoding: a beam and best_of of 1 or more, 1 to 224 tokens and a temperature expected, found "
                f"{self.beam_size}, {self.best_of}, {self.max_tokens}, {self.temperatures}; change the settings"
            )


class Engine(Protocol):
    """A recogniser, with the codes of the languages that it can transcribe, such as "fr".

    The results for a window do not depend on the other windows of its batch.
    """

    name: str
    languages: frozenset[str]
    batch_size: int

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Run the encoder on B windows of up to 30 s; the result, in a type of its own, serves the other methods.

        Raises:
            ValueError: see `check_windows`.
        """
        ...

    def part(self, encoded: Any, index: int, start_s: float, end_s: float) -> Any:
        """Return a stretch of one encoded window, as `encode` would return a single window."""
        ...

    def detect_language(self, encoded: Any) -> list[Languages]:
        """Return (code, probability) of the languages of each encoded window, the likeliest first."""
        ...

    def transcribe(self, encoded: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Transcribe each encoded window in its language; None: skip the window.

        Raises:
            ValueError: for a language that the engine cannot transcribe.
        """
        ...


def language_token(code: str, token: int | None, model: str) -> int:
    """Return the token of a language; raise ValueError where the vocabulary of a model has none."""
    if token is None:
        raise ValueError(f"language {code!r}: {model} cannot transcribe it; change the languages")
    return token


def compression_ratio(text: str) -> float:
    """Return how well zlib compresses a text: 1 to 2 for speech, far more for loops (Radford et al. 2022, section 4.5).

    It is the number of bytes in UTF-8, divided by that after compression.
    """
    content = text.encode()
    return len(content) / len(zlib.compress(content))


def check_windows(windows: Sequence[Waveform]) -> None:
    """Check the input of an engine, since engines silently truncate longer windows.

    Raises:
        ValueError: for an empty batch, and for a window that is empty, longer than 30 s, or not (S,) float32.
    """
    for window in windows:
        if window.ndim != 1 or window.dtype != np.float32 or not 1 <= len(window) <= MAX_SAMPLES:
            raise ValueError(
                f"window: (S,) float32 with S from 1 to {MAX_SAMPLES} expected, found {window.shape} {window.dtype}; "
                "cut it at its silences (labelling.speech)"
            )
    if not len(windows):
        raise ValueError("windows: the batch is empty; skip the call")
