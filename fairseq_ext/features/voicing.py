"""How long a voice is heard in a recording: what must be there before anything is said about the voice.

Voice is what Praat's pitch calls voiced in stretches of 50 ms or more, by frames within 25 dB of the loudest, whose
pitch moves by 10 cents (standard deviation): that of mains hum does not. Measured at 16 kHz: of 12 minutes of noise,
white, low-passed at 500 and 1000 Hz, falling by 3 to 20 dB per decade, 0.17 s passes; of RAVDESS, FSDD and
speechocean762, 416 stretches of 91 recordings, the 1 % with the steadiest pitch move by less than 12 cents. Noise
between 100 and 300 Hz alone passes for a voice; so does hum with noise less than 10 dB below it.

Shapes: S samples.
"""

from __future__ import annotations

import numpy as np

from .prosody import FRAME_S, Floats, are_silent, contours, runs

# In a stretch of the noises above there are 0.07 s at most; the shortest digits of FSDD have 0.06 to 0.12 s.
LEAST_VOICE_S = 0.1
_LEAST_FRAMES = 5
_LEAST_CENTS = 10.0


def voiced_s(waveform: Floats, sample_rate_hz: int) -> float:
    """Return the length of the voice in a recording (S,), s.

    Raises:
        ImportError: parselmouth is missing.
    """
    found = contours(waveform, sample_rate_hz)
    voiced = (found.pitch_hz > 0) & ~are_silent(found.level_db)
    stretches = [found.pitch_hz[first:end] for first, end in runs(voiced) if end - first >= _LEAST_FRAMES]
    moving = [hz for hz in stretches if 1200 * np.std(np.log2(hz)) >= _LEAST_CENTS]
    return FRAME_S * sum(map(len, moving))
