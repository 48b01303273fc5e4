"""Players of recordings for the page, or why there is none."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError
from ..line_index import AudioEntry
from ..media.audio import load
from .pieces import data_uri

# ISO/IEC 11172-3 and 13818-3, and MPEG-2.5, which browsers play too.
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class Player:
    """An embedded recording: its address, and what it is for those who cannot see the page."""

    uri: str
    description: str


def player(
    entry: AudioEntry | None,
    sample_rate_hz: int,
    name: str,
    *,
    max_s: float,
    compress: bool = False,
    max_bytes: int | None = None,
) -> Player | str:
    """Read a recording, or its first `max_s` seconds, for the page, as MP3 if `compress` is set.

    Args:
        entry: location of the recording, or None when the manifest does not list it.
        sample_rate_hz: sample rate of the embedded recording, Hz.
        name: id of the utterance.
        max_bytes: longest address; None = any.

    Returns:
        The player, or the reason why there is none.
    """
    if entry is None:
        return "recording not listed"
    place = {
        "start_sample": entry.start_sample,
        "num_samples": min(entry.num_samples, int(max_s * sample_rate_hz)),
    }
    try:
        waveform = load(entry.path, sample_rate_hz=sample_rate_hz, **place)
    except FileError:
        return "recording not readable"
    content, media_type = (compressed if compress else wav)(waveform, sample_rate_hz)
    uri = data_uri(content, media_type)
    if max_bytes is not None and len(uri) > max_bytes:
        return "player left out: the page would grow too large"
    return Player(uri, f"recording {name}")


def wav(waveform: NDArray[np.float32], sample_rate_hz: int) -> tuple[bytes, str]:
    """Write a waveform (S,), full scale = 1, as a 16-bit mono WAV file; return the file and its media type."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        # 1 channel, 2 bytes per sample
        file.setparams((1, 2, sample_rate_hz, 0, "NONE", ""))
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue(), "audio/wav"


def compressed(waveform: NDArray[np.float32], sample_rate_hz: int) -> tuple[bytes, str]:
    """Write a waveform as MP3, a tenth of the size of `wav`; as WAV at rates that MP3 does not have."""
    import soundfile

    if sample_rate_hz not in MP3_RATES_HZ:
        return wav(waveform, sample_rate_hz)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), sample_rate_hz, format="MP3")
    return buffer.getvalue(), "audio/mpeg"
