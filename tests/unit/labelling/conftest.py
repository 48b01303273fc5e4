"""Fixtures: a tiny Whisper with random weights in the real formats, and clips of synthetic speech."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.media.mouth.table import ClipRow, write_clips_table
from fairseq_ext.synthetic import speech
from fairseq_ext.synthetic.whisper import write_random

RATE = 16_000
SENTENCES = {
    "fr": "Anne achète deux pommes rouges demain",
    "it": "Paolo vende tre sedie verdi adesso",
    "es": "María lleva cinco flores blancas hoy",
}


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Whisper as hf/, ct2/ and openai.pt; return the folder."""
    for package in ("whisper", "faster_whisper", "ctranslate2", "transformers"):
        pytest.importorskip(package, reason="needs pip install -e .[whisper]")
    folder = tmp_path_factory.mktemp("whisper")
    write_random(folder, seed=5)
    return folder


@pytest.fixture(scope="session")
def spoken() -> dict[str, np.ndarray]:
    """Return language -> a sentence of about 2 s, (S,) float32 at 16 kHz, with 0.5 s of silence at both ends."""
    pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")
    found = {}
    for language, text in SENTENCES.items():
        audio = speech.synthesise(text, language=language)
        times = np.arange(0, audio.duration_s, 1 / RATE)
        samples = np.interp(times, np.arange(len(audio.samples)) / audio.sample_rate_hz, audio.samples)
        found[language] = np.pad(samples, RATE // 2).astype(np.float32)
    return found


def write_clips(folder: Path, clips: Mapping[str, tuple[str, np.ndarray]]) -> Path:
    """Write a folder of prepared clips, given as id -> (source, waveform), and one rejected clip."""
    rows = []
    for clip_id, (source, samples) in clips.items():
        path = folder / "audio" / f"{clip_id}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        rows.append(
            ClipRow(clip_id, source, num_frames=len(samples) // 640, num_samples=len(samples), audio="ok")
        )
    rows.append(ClipRow("rejected", "none.mp4", status="rejected", reason="no_face"))
    write_clips_table(folder, rows)
    return folder


@pytest.fixture
def make_clips() -> Callable[..., Path]:
    """Return `write_clips`."""
    return write_clips
