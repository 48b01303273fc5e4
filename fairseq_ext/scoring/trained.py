"""Trained networks as scoring, explanation and inference take them: the one declaration of each type.

Both are light: nothing here needs fairseq. `checkpoints.load` and `inference.recognizer` load them.

Shapes: B recordings, S samples, T frames, V symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from ..line_index import AudioEntry


@dataclass(frozen=True)
class TrainedModel:
    """A trained classifier or encoder with what is needed to use it; `checkpoints.load.load_model` returns one.

    Attributes:
        model: network in evaluation mode.
        cfg: whole configuration of its training.
        label: label stream of the logits; empty for a model without classifier.
        labels: classes in the order of the network's outputs; empty for a model without classifier.
        sample_rate_hz: sample rate of the waveforms it expects, Hz.
        num_updates: number of updates it was trained for.
        task_state: what its task has kept in the checkpoint.
    """

    model: Any
    cfg: Any
    label: str
    labels: list[str]
    sample_rate_hz: int
    num_updates: int
    task_state: Mapping[str, Any] = field(default_factory=dict)


class Recognizer(Protocol):
    """A trained recogniser; `inference.recognizer.load_recognizer` returns one of CTC.

    `inference.lip_reader.LipReader` reads clips of mouths in place of waveforms: see `ClipRecognizer`.
    """

    @property
    def model(self) -> Any:
        """Network in evaluation mode."""

    @property
    def cfg(self) -> Any:
        """Whole configuration of its training."""

    @property
    def symbols(self) -> Sequence[str]:
        """Symbols (V,) in the order of the network's outputs."""

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the waveforms it expects, Hz."""

    @property
    def num_updates(self) -> int:
        """Number of updates it was trained for."""

    def log_probs(self, waveforms: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
        """Return ln p (B, T, V) and the valid frames (B,) of B waveforms (S,)."""


@runtime_checkable
class ClipRecognizer(Protocol):
    """What a recogniser has beside that of `Recognizer` if its input is no waveform; `log_probs` takes such inputs."""

    @property
    def hears_sound(self) -> bool:
        """Whether its input has sound."""

    def read_row(
        self,
        entry: AudioEntry,
        mix: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> Any:
        """Read the input of a row of a manifest; raise ValueError, such as FileError, where it cannot be read.

        `mix` changes its sound (S,), which a recogniser that reads pictures alone has not.
        """

    def encode(self, clips: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `log_probs` does, and the frames (B, T, E) that the attention decoder reads."""

    def decode(self, search: Any, log_probs: Tensor, lengths: Tensor, memory: Tensor) -> Sequence[Any]:
        """Search by CTC and attention in what `encode` returned: hypotheses of each clip, the best first."""

    def speaking(self, language: str) -> Self:
        """Return the recogniser for a language."""
