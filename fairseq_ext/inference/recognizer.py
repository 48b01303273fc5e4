"""Load a recogniser from the path of a CTC checkpoint; only the file is needed.

    recognizer = load_recognizer("checkpoint_best.pt")
    print(recognizer.transcribe("interview.mp3"))

Shapes: B recordings, S samples, T frames, V symbols.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from .. import compat  # noqa: F401 - lets torch read the file
from ..checkpoints.devices import check_device
from ..data.labels import SPECIAL_SYMBOLS
from ..decoding.ctc import BeamSearch
from ..decoding.long_words import words_of_long
from ..decoding.subtitles import TimedWord
from ..decoding.windows import WINDOW_S, Samples, log_probs_of_long, overlap_of, window_of
from ..dictionary import read_dictionary
from ..media.stretches import Stretches
from ..models.ctc import CtcConfig, ExtCtc, load_head
from ..modules.padding import pad_waveforms
from ..modules.pretrained_encoder import USUAL_RATE_HZ, EncoderCheckpoint, load_encoder, read_encoder

logger = logging.getLogger(__name__)

Waveform = NDArray[np.float32]
Recording = str | os.PathLike[str] | Waveform
Progress = Callable[[float], None]


@dataclass(frozen=True)
class CtcRecognizer:
    """A trained CTC model with what is needed to use it.

    Attributes:
        model: network in evaluation mode.
        symbols: (V,) symbols of its outputs, fairseq's four first.
        sample_rate_hz: sample rate of the waveforms it expects.
        cfg: whole configuration of its training.
        window_s: length of the windows that longer recordings are cut into: that of the longest clip in training.
    """

    model: ExtCtc
    symbols: list[str]
    sample_rate_hz: int
    num_updates: int
    cfg: DictConfig
    window_s: float = WINDOW_S

    @property
    def hop_s(self) -> float:
        """Return the time from one frame to the next, s."""
        return self.model.encoder.hop_samples / self.sample_rate_hz

    @torch.no_grad()
    def log_probs(self, waveforms: Sequence[Waveform]) -> tuple[Tensor, Tensor]:
        """Score the symbols at every frame of recordings (S_i,) of some seconds; a result does not depend on others.

        Returns (B, T, V) ln p, float32, and (B,) frames, on the model's device.

        Raises:
            ValueError: no waveform, or not vectors.
        """
        if not waveforms or any(np.ndim(waveform) != 1 for waveform in waveforms):
            found = [np.shape(waveform) for waveform in waveforms]
            raise ValueError(
                f"log_probs: needs one or more waveforms of shape (S,), found shapes {found}; take one channel"
            )
        source, padding = pad_waveforms([torch.as_tensor(waveform).float() for waveform in waveforms])
        device = self.model.encoder.mask_emb.device
        output = self.model(source.to(device), padding.to(device) if padding.any() else None)
        return output["logits"].float().log_softmax(2), output["lengths"]

    def log_probs_of_long(
        self,
        waveform: Samples,
        *,
        window_s: float | None = None,
        overlap_s: float | None = None,
        on_progress: Progress | None = None,
    ) -> Iterator[Tensor]:
        """Score the symbols at every frame of a recording of any length, by overlapping windows.

        Yields (T', V) ln p of the next frames, float32, on the model's device; T in all.

        Args:
            waveform: (S,) at `sample_rate_hz`, in memory or `media.stretches.Stretches` of a file.
            window_s: length of a window; shorter recordings are one window. None: `window_s` of the recogniser.
            overlap_s: overlap of neighbouring windows. None: a third of a window, 4 s at most.
            on_progress: called after each window with the share of the recording that is done, 0 to 1.
        """
        window_s = self.window_s if window_s is None else window_s

        def of_window(samples: Tensor) -> Tensor:
            scores, lengths = self.log_probs([samples.numpy()])
            return scores[0, : int(lengths[0])]

        return log_probs_of_long(
            waveform,
            of_window,
            sample_rate_hz=self.sample_rate_hz,
            hop_samples=self.model.encoder.hop_samples,
            window_s=window_s,
            overlap_s=overlap_of(window_s) if overlap_s is None else overlap_s,
            on_progress=on_progress,
        )

    def transcribe(self, recording: Recording, search: BeamSearch | None = None, **options: Any) -> str:
        """Transcribe a recording of any length; arguments as of `timed_words`."""
        return " ".join(word.text for word in self.timed_words(recording, search, **options))

    def timed_words(
        self,
        recording: Recording,
        search: BeamSearch | None = None,
        *,
        window_s: float | None = None,
        overlap_s: float | None = None,
        on_progress: Progress | None = None,
    ) -> list[TimedWord]:
        """Transcribe a recording of any length, with the time of each word, by CTC alignment.

        Memory does not grow with the length: of a file, only the window at hand is decoded, and stretches of a minute
        are searched one after the other, cut between words (`decoding.stretches`). For windows and `on_progress` see
        `log_probs_of_long`.

        Args:
            recording: path of a file of any format, or a waveform (S,) at `sample_rate_hz`.
            search: beam search with or without a language model; None = greedy.

        Raises:
            AudioError: the file cannot be read.
        """
        waveform: Samples
        if isinstance(recording, str | os.PathLike):
            waveform = Stretches(recording, self.sample_rate_hz)
        else:
            waveform = recording
        scores = self.log_probs_of_long(
            waveform, window_s=window_s, overlap_s=overlap_s, on_progress=on_progress
        )
        return words_of_long(scores, self.symbols, self.hop_s, search)


def load_recognizer(
    path: str | os.PathLike[str],
    device: str = "cpu",
    *,
    dictionary: str | os.PathLike[str] | None = None,
    state: dict[str, Any] | None = None,
) -> CtcRecognizer:
    """Load a CTC checkpoint, ours (`ext_ctc`) or stock fairseq's (`wav2vec_ctc`, `hubert_ctc`).

    Averaged (EMA) weights are used when there are any. `dictionary` is `dict.ltr.txt` of the training, for a fairseq
    checkpoint without its symbols; `state` are the entries of the checkpoint, where they have been read already.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a fairseq checkpoint, without output layer, or without (or with another) dictionary; or no such
            device.
    """
    check_device(device)
    source = read_encoder(Path(path), state)
    if "weight" not in source.head:
        raise ValueError(f"{path} is not a recogniser: it holds {_describe(source)}")
    symbols = _symbols(source, dictionary)
    config = OmegaConf.merge(
        OmegaConf.structured(CtcConfig),
        source.shape,
        source.readout,
        {"normalize": source.normalize},
    )
    model = ExtCtc(cast(CtcConfig, config), len(symbols))
    load_encoder(model.encoder, source)
    load_head(model.w2v_encoder, source)
    cfg = OmegaConf.create(
        dict(source.cfg), flags={"allow_objects": True}
    )  # fairseq's older files hold namespaces
    return CtcRecognizer(
        model.to(device).eval(), symbols, _rate_hz(source), source.num_updates, cfg, window_of(source.long_s)
    )


def _describe(source: EncoderCheckpoint) -> str:
    """Describe a checkpoint that has an encoder and no output layer, and what to do with it."""
    if source.content.startswith("a classifier"):
        return f"{source.content}; load it with checkpoints.load.load_model, or give one trained with ext_ctc"
    if source.content.startswith("a CTC recogniser"):
        return f"{source.content}; give ctc.pt, of fairseq-ext convert checkpoint {source.path} ctc.pt"
    return "an encoder without output layer; fine-tune it with ext_ctc first"


def _rate_hz(source: EncoderCheckpoint) -> int:
    if source.sample_rate_hz is None:
        logger.warning(f"{source.path} does not give its sample rate; {USUAL_RATE_HZ} Hz is assumed")
        return USUAL_RATE_HZ
    return int(source.sample_rate_hz)


def _symbols(source: EncoderCheckpoint, dictionary: str | os.PathLike[str] | None) -> list[str]:
    if dictionary is not None:
        symbols = [*SPECIAL_SYMBOLS, *read_dictionary(dictionary)]
    else:
        symbols = source.symbols or []
    if len(symbols) != len(source.head["weight"]):
        raise ValueError(
            f"{dictionary or source.path}: {len(symbols)} symbols (with fairseq's four) for "
            f"{len(source.head['weight'])} outputs; give the dict.ltr.txt of the training"
        )
    return symbols
