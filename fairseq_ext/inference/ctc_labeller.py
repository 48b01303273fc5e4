"""A CTC model of one language, fine-tuned on existing transcripts, as a labeller.

The user states the language: such a model cannot detect it.

Shapes: B windows, T frames, V symbols.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..decoding.ctc import greedy
from ..labelling.devices import choose_device
from ..labelling.engine import SAMPLE_RATE_HZ, Hypothesis, Languages, Waveform, check_windows
from ..optional import reason
from .recognizer import CtcRecognizer, load_recognizer

Encoded = tuple[Tensor, Tensor]  # (B, T, V) ln p, (B,) frames


class CtcLabeller:
    """A recogniser at 16 kHz with the interface of `labelling.engine.Engine`, for the language that it was trained on.

    `avg_logprob` is ln p of the likeliest path per symbol that it writes (spaces included, and one for the end), so
    that it is comparable with Whisper's; choose a filter's limit anew all the same.

    Raises:
        ValueError: for a recogniser of another rate.
    """

    def __init__(self, recognizer: CtcRecognizer, language: str, *, name: str, batch_size: int = 8) -> None:
        if recognizer.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(
                f"{name}: the recogniser was trained at {recognizer.sample_rate_hz} Hz, labelling needs "
                f"{SAMPLE_RATE_HZ} Hz; train one at that rate"
            )
        self.name, self.batch_size = name, batch_size
        self.languages = frozenset({language})
        self._recognizer, self._language = recognizer, language

    def encode(self, windows: Sequence[Waveform]) -> Encoded:
        """Score the symbols of B windows of up to 30 s, (S,) float32 at 16 kHz: (B, T, V) ln p, (B,) frames."""
        check_windows(windows)
        return self._recognizer.log_probs(windows)

    def part(self, encoded: Encoded, index: int, start_s: float, end_s: float) -> Encoded:
        """Return the whole window: the language is the same everywhere."""
        scores, lengths = encoded
        return scores[index : index + 1], lengths[index : index + 1]

    def detect_language(self, encoded: Encoded) -> list[Languages]:
        """Return the language of the training, alone, for each window."""
        return [[(self._language, 1.0)] for _ in encoded[1]]

    def transcribe(self, encoded: Encoded, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Transcribe windows in the language of the training; None for those whose language is None.

        Raises:
            ValueError: another language than that of the training.
        """
        if other := sorted({code for code in languages if code} - self.languages):
            raise ValueError(
                f"{self.name}: transcribes {self._language!r}, not {other[0]!r}; use another model"
            )
        found = greedy(*encoded, self._recognizer.symbols)
        return [
            Hypothesis(
                text=hypothesis.text,
                language=code,
                avg_logprob=hypothesis.score / (len(hypothesis.tokens) + 1),
                no_speech_prob=None,
                num_tokens=len(hypothesis.tokens),
            )
            if code
            else None
            for hypothesis, code in zip(found, languages, strict=True)
        ]


def load_ctc_labeller(
    path: str | os.PathLike[str],
    languages: Sequence[str],
    *,
    device: str = "auto",
    batch_size: int = 8,
    num_threads: int = 1,
    dictionary: str | os.PathLike[str] | None = None,
) -> CtcLabeller:
    """Load a CTC checkpoint, ours or stock fairseq's, as a labeller of the one language that it was trained on.

    `dictionary` is `dict.ltr.txt` of the training, for a fairseq checkpoint without its symbols.

    Raises:
        ValueError: for a file that is no recogniser, or one of another rate than 16 kHz, for several languages, and
            for a device that is not there or too small.
    """
    if len(languages) != 1:
        raise ValueError(
            f"{path}: a CTC model has one language, {len(languages)} are given {list(languages)}; pass the one that it "
            "was trained on, such as --languages fr"
        )
    torch.set_num_threads(num_threads)
    chosen = choose_device(device, torch.cuda.device_count())
    try:
        recognizer = load_recognizer(path, chosen, dictionary=dictionary)
    except RuntimeError as error:  # raised by CUDA
        raise ValueError(
            f"{path}: the recogniser does not load on {chosen} ({reason(error)}); choose another device"
        ) from error
    return CtcLabeller(recognizer, languages[0], name=Path(path).name, batch_size=batch_size)
