"""What a recording holds, decoded to its last sample: its length, whether there is any sound, and a fingerprint."""

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from .audio import AudioError, probe
from .blocks import Blocks

# Below this peak nobody speaks: 33 steps of 16 bits. The quietest of 1,439 recordings of RAVDESS peaks at -47 dB.
SILENCE_DB = -60.0
# Shorter than any spoken word; the shortest of 3,000 recorded digits (FSDD) has 0.14 s.
SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a recording.

    Attributes:
        sample_rate_hz: sample rate of the file, Hz.
        num_samples: length at that rate.
        fingerprint: hash of the samples in 16 bits; equal for copies of a recording, whatever their names and headers.
    """

    sample_rate_hz: int
    num_samples: int
    fingerprint: str

    def num_samples_at(self, sample_rate_hz: int) -> int:
        """Return the length at another rate."""
        return -(-self.num_samples * sample_rate_hz // self.sample_rate_hz)


def content_of(path: str | os.PathLike[str]) -> Content:
    """Decode a recording; 20 ms for 3 s of Opus.

    Raises:
        AudioError: as `audio.load`, and for a recording that is silent or too short to hold a word.
    """
    info = probe(path)
    if info.num_samples < SHORTEST_S * info.sample_rate_hz:
        duration_ms = 1000 * info.num_samples / info.sample_rate_hz
        raise AudioError(f"{path}: it lasts {duration_ms:.0f} ms, too short for a word")
    digest, peak = hashlib.sha256(), 0.0
    for block in Blocks(path, info.sample_rate_hz):
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        digest.update(np.round(block * 32768).astype("<i4").tobytes())
    if peak < 10 ** (SILENCE_DB / 20):
        raise AudioError(f"{path}: it is silent (peak below {SILENCE_DB:.0f} dB of full scale)")
    return Content(info.sample_rate_hz, info.num_samples, digest.hexdigest())
