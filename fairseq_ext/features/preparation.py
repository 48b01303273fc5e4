"""What is done to a recording before its voice is measured, each step by choice, with its effect in numbers.

Silence at both ends is trimmed, a band is kept, and the loudness is brought to a target (ITU-R BS.1770-4, by
torchaudio). Resampling comes first, where the recording is read. `EFFECTS` names the numbers that tell what happened.

Shapes: S samples, T frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .prosody import FRAME_S, levels_db
from .voice_groups import Column

Floats = NDArray[np.float32]

# EBU R 128's target for programmes; read speech of close microphones is within 10 dB of it.
LOUDNESS_LUFS = -23.0
# Weak fricatives are 35 dB under the loudest vowel; noise floors of three corpora are at -17 to -60 dB.
TRIM_DB = 40.0
TRIM_MARGIN_S = 0.1
_LOUDNESS_BLOCK_S = 0.4  # of BS.1770
_EDGE_HZ = 100.0  # width of the band's edges, as in Praat's "Filter (pass Hann band)"
# A recorder that ran into its limit leaves runs of samples at full scale, or one step of 16 bits below; a single one
# may be the peak of a normalised recording.
_FULL_SCALE, _CLIPPED_RUN = 1.0 - 1.5 / 32768, 3

EFFECTS = (
    Column("trimmed_start", "s"),
    Column("trimmed_end", "s"),
    Column("band_removed", "dB"),  # change of the level by what lay outside the band, 0 or less
    Column("loudness", "LUFS"),  # before the gain; empty where nothing passes the gate
    Column("gain", "dB"),
    Column("clipped", "%"),  # samples in runs at full scale, as read
)


@dataclass(frozen=True)
class Preparation:
    """The steps to take.

    Attributes:
        trim: cut silence at both ends, all that is 40 dB below the loudest frame, but for 0.1 s.
        band_hz: lowest and highest frequency to keep, Hz; None = all.
        loudness_lufs: loudness to bring the recording to, LUFS; None = as it is.

    Raises:
        ValueError: for a band that is none.
    """

    trim: bool = True
    band_hz: tuple[float, float] | None = None
    loudness_lufs: float | None = LOUDNESS_LUFS

    def __post_init__(self) -> None:
        if self.band_hz is not None and not 0 <= self.band_hz[0] < self.band_hz[1]:
            raise ValueError(
                f"band: two rising frequencies expected, Hz, found {self.band_hz}; change the band"
            )

    def settings(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        band = list(self.band_hz) if self.band_hz else None
        return {"trim": self.trim, "band_hz": band, "loudness_lufs": self.loudness_lufs}


@dataclass(frozen=True)
class Prepared:
    """A prepared recording.

    Attributes:
        waveform: (S,).
        offset_s: time of its first sample in the recording as read, s.
        effects: value of each of `EFFECTS` by its name; NaN = could not be measured.
    """

    waveform: Floats
    offset_s: float
    effects: dict[str, float]


def prepare(waveform: Floats, sample_rate_hz: int, preparation: Preparation) -> Prepared:
    """Prepare a recording (S,), full scale = 1, that has a sample at least."""
    effects = {column.name: 0.0 for column in EFFECTS}
    effects["clipped"] = clipped_percent(waveform)
    start, stop = 0, len(waveform)
    if preparation.trim:
        start, stop = _speech(waveform, sample_rate_hz)
        effects["trimmed_start"] = start / sample_rate_hz
        effects["trimmed_end"] = (len(waveform) - stop) / sample_rate_hz
    kept = waveform[start:stop]
    if preparation.band_hz is not None:
        kept, effects["band_removed"] = keep_band(kept, sample_rate_hz, preparation.band_hz)
    effects["loudness"] = loudness = loudness_lufs(kept, sample_rate_hz)
    if preparation.loudness_lufs is not None and np.isfinite(loudness):
        effects["gain"] = preparation.loudness_lufs - loudness
        kept = kept * np.float32(10 ** (effects["gain"] / 20))
    return Prepared(kept, start / sample_rate_hz, effects)


def clipped_percent(waveform: Floats) -> float:
    """Return the share of the samples that are in a run at full scale, %."""
    full = np.abs(waveform) >= _FULL_SCALE
    if len(full) < _CLIPPED_RUN or not full.any():
        return 0.0
    starts = np.lib.stride_tricks.sliding_window_view(full, _CLIPPED_RUN).all(1)
    in_run = np.convolve(starts, np.ones(_CLIPPED_RUN)) > 0
    return 100 * float(in_run.mean())


def _speech(waveform: Floats, sample_rate_hz: int) -> tuple[int, int]:
    """Return first and end sample of what is not silence at an end; frame t starts at a multiple of the step."""
    level_db = levels_db(waveform, sample_rate_hz)
    loud = np.flatnonzero(level_db > level_db.max() - TRIM_DB)
    hop, margin = round(FRAME_S * sample_rate_hz), round(TRIM_MARGIN_S * sample_rate_hz)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(level_db))
    return max(0, first * hop - margin), min(len(waveform), last * hop + margin)


def keep_band(waveform: Floats, sample_rate_hz: int, band_hz: tuple[float, float]) -> tuple[Floats, float]:
    """Return the waveform within a band, in phase, and how much its level has changed, dB."""
    size = (
        1 << (len(waveform) + sample_rate_hz // 10 - 1).bit_length()
    )  # a tenth of a second against turn-around
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    edges = [(frequency_hz - band_hz[0]) / _EDGE_HZ, (band_hz[1] - frequency_hz) / _EDGE_HZ]
    gain = np.minimum(*(0.5 - 0.5 * np.cos(np.pi * np.clip(edge + 0.5, 0, 1)) for edge in edges))
    if band_hz[0] <= 0:
        gain[frequency_hz <= _EDGE_HZ / 2] = 1.0
    found = np.fft.irfft(np.fft.rfft(waveform, size) * gain, size)[: len(waveform)].astype(np.float32)
    before, behind = (float(np.square(x, dtype=np.float64).mean()) for x in (waveform, found))
    return found, 10 * math.log10(max(behind, 1e-20) / before) if before > 0 else 0.0


def loudness_lufs(waveform: Floats, sample_rate_hz: int) -> float:
    """Return the loudness of a recording (S,), LUFS; NaN for one that is quieter than the gate, -70 LUFS.

    One that is shorter than a block of 0.4 s is repeated until it fills one. torchaudio's filters read 0.3 dB low on
    the standard's sine of 997 Hz.
    """
    import torch
    import torchaudio

    block = round(_LOUDNESS_BLOCK_S * sample_rate_hz)
    repeated = np.tile(waveform, -(-block // len(waveform)))
    found = float(torchaudio.functional.loudness(torch.from_numpy(repeated)[None], sample_rate_hz))
    return found if np.isfinite(found) else float("nan")
