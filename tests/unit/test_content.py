"""Content of recordings: length, silence, and a fingerprint that headers and names do not change."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.media.audio import AudioError, num_samples_at, probe
from fairseq_ext.media.content import content_of


@pytest.fixture
def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(1).standard_normal(4001)


def test_copies_share_a_fingerprint_in_any_lossless_format(tmp_path: Path, noise: np.ndarray) -> None:
    pcm = np.round(noise * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 8000)
    soundfile.write(tmp_path / "b.flac", pcm, 8000)
    soundfile.write(tmp_path / "c.aiff", pcm, 8000)
    found = {content_of(tmp_path / name).fingerprint for name in ("a.wav", "b.flac", "c.aiff")}
    assert len(found) == 1
    pcm[2000] += 1
    soundfile.write(tmp_path / "d.wav", pcm, 8000)
    assert content_of(tmp_path / "d.wav").fingerprint not in found


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100])
def test_the_trace_does_not_depend_on_blocks_or_rate(tmp_path: Path, rate_hz: int) -> None:
    samples = 0.5 * np.sin(np.arange(10 * rate_hz) * 2 * np.pi * 50 / rate_hz)
    soundfile.write(tmp_path / "a.wav", samples, rate_hz)
    trace = content_of(tmp_path / "a.wav").trace
    assert len(trace) in {9999, 10000}
    middle = (np.arange(len(trace)) + 0.5) / 1000 - 0.5 / rate_hz
    assert np.abs(trace - 0.5 * np.sin(middle * 2 * np.pi * 50)).max() < 0.02


def test_it_counts_as_loading_does(tmp_path: Path, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", noise, 8000)
    content = content_of(tmp_path / "a.wav")
    for rate_hz in (8000, 16000, 11025, 44100):
        assert content.num_samples_at(rate_hz) == num_samples_at(probe(tmp_path / "a.wav"), rate_hz)


def test_silence_is_found_by_its_content_not_by_zeros(tmp_path: Path, noise: np.ndarray) -> None:
    for name, samples in (("zeros", 0 * noise), ("hiss", 0.002 * noise)):
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000)
        with pytest.raises(AudioError, match=f"{name}.wav: it is silent"):
            content_of(tmp_path / f"{name}.wav")
    soundfile.write(tmp_path / "whisper.wav", 0.05 * noise, 8000)
    assert content_of(tmp_path / "whisper.wav").num_samples == 4001


def test_a_recording_of_3_ms_and_a_pointer_of_git_lfs_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "short.wav", noise[:24], 8000)
    with pytest.raises(AudioError, match="it lasts 3 ms, too short for a word"):
        content_of(tmp_path / "short.wav")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 80000\n"
    (tmp_path / "stub.wav").write_text(pointer, encoding="utf-8")
    with pytest.raises(AudioError, match=r"stub\.wav"):
        content_of(tmp_path / "stub.wav")
