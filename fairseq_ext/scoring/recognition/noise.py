"""Babble in which a split is scored beside the clean sound: other clips of the split at once.

Every system of one sample rate hears the same noise: it follows from the row of the clip alone, at each ratio the same
noise at another level. The sound is mixed as in training (`modules/babble.py`).

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ...file_errors import FileError
from ...line_index import AudioEntry
from ...media.audio import load_row
from ...modules.babble import babble, mix
from .noise_conditions import KEPT, SOURCE, condition_name

Waveform = NDArray[np.float32]


class InNoise(Protocol):
    """What mixes the sound of a row with its noise."""

    def __call__(self, waveform: Waveform, row: int) -> Waveform:
        """Return the waveform (S,) of a row in noise."""


# As in training, `task.noise.noise_voices`: 30 clips at once, of which no word is understood.
VOICES = 30
# Clips that the voices are drawn from; so many are held in memory.
MAX_SOURCES = 100
_SEED = 0


@dataclass(frozen=True)
class SplitBabble:
    """The babble of a split.

    Attributes:
        rows: the rows whose sound can be drawn, at most `MAX_SOURCES` of those that can be read.
        waveforms: their sound, (S,) each.
    """

    rows: tuple[int, ...]
    waveforms: tuple[Tensor, ...]

    @property
    def num_voices(self) -> int:
        """Return how many voices a noise has; a small split has fewer than `VOICES`."""
        return min(VOICES, len(self.rows) - 1)

    def at(self, snr_db: float) -> InNoise:
        """Return what mixes a row with its noise at a ratio in dB."""

        def in_noise(waveform: Waveform, row: int) -> Waveform:
            mixed: Waveform = mix(torch.from_numpy(waveform), self.noise(row, len(waveform)), snr_db).numpy()
            return mixed

        return in_noise

    def noise(self, row: int, num_samples: int) -> Tensor:
        """Return the noise (S,) of a row, without its own voice.

        Raises:
            ValueError: no other row can be read.
        """
        seed = np.random.SeedSequence([_SEED, row]).generate_state(1, np.uint64)[0]
        generator = Generator().manual_seed(int(seed >> np.uint64(1)))
        without = self.rows.index(row) if row in self.rows else -1
        return babble(
            num_samples, self.waveforms.__getitem__, len(self.rows), VOICES, generator, without=without
        )


def read_babble(entries: Sequence[AudioEntry], sample_rate_hz: int) -> SplitBabble:
    """Read the voices of a split; rows that cannot be read are none, and are reported where they are scored."""
    found: dict[int, Tensor] = {}
    for row in np.random.default_rng(_SEED).permutation(len(entries)).tolist():
        try:
            waveform = load_row(entries[row], sample_rate_hz)
        except FileError:
            continue
        if len(waveform):
            found[row] = torch.from_numpy(waveform)
        if len(found) == MAX_SOURCES:
            break
    return SplitBabble(tuple(found), tuple(found.values()))


def score_in_noise(
    entries: Sequence[AudioEntry],
    sample_rate_hz: int,
    ratios_db: Sequence[float],
    score: Callable[[InNoise, str], Mapping[str, Mapping[str, Any]]],
) -> dict[str, Any]:
    """Score a split in babble at some ratios, the best first.

    Args:
        entries: the rows.
        sample_rate_hz: rate at which they count samples, and which the recogniser expects, Hz.
        ratios_db: the ratios, dB.
        score: what mixes the sound, and the name of the condition -> decoder -> scores.

    Returns:
        `noise` for metrics.json: `source`, `voices` (how many one noise has), `heard`, and `conditions`, each `snr_db`
        and `decoders`, name -> scores of `KEPT`.
    """
    babble = read_babble(entries, sample_rate_hz)
    conditions = []
    for ratio_db in sorted(set(ratios_db), reverse=True):
        of_decoders = score(babble.at(ratio_db), condition_name(ratio_db))
        kept = {name: {key: found[key] for key in KEPT} for name, found in of_decoders.items()}
        conditions.append({"snr_db": ratio_db, "decoders": kept})
    return {"source": SOURCE, "voices": babble.num_voices, "heard": True, "conditions": conditions}
