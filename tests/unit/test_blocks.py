"""Whole recordings block by block: samples, notes and errors as of loading them at once, in memory that stays flat."""

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from fairseq_ext.media import blocks, mp3, readers, resampling
from fairseq_ext.media.audio import AudioError, decode_check, load_with_notes
from fairseq_ext.media.blocks import Blocks
from fairseq_ext.media.convert import convert_file

RATE = 16_000
Samples = NDArray[np.float32]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recordings of seconds have several blocks of every kind."""
    for module in (readers, resampling):
        monkeypatch.setattr(module, "_BLOCK", 1 << 13)
    monkeypatch.setattr(blocks, "_SIZE", 1 << 12)
    monkeypatch.setattr(mp3, "_FRAMES_AT_ONCE", 8)


def voices(num_samples: int, num_channels: int) -> Samples:
    """Return (S, C) samples, of which the second half cancels out when channels are averaged."""
    mono = 0.2 * np.random.default_rng(3).standard_normal(num_samples)
    mono *= np.sin(np.arange(num_samples) / 4000) ** 2
    signs = np.ones((num_samples, num_channels))
    signs[num_samples // 2 :, 1:] = -1
    return (mono[:, None] * signs).astype(np.float32)


def write(path: Path, samples: Samples, rate_hz: int) -> Path:
    """Write (S, C) samples, with soundfile or, as m4a, with FFmpeg."""
    if path.suffix != ".m4a":
        soundfile.write(path, samples, rate_hz)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "aac", rate=rate_hz, layout="mono" if samples.shape[1] == 1 else "stereo"
        )
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="fltp", layout=stream.layout.name)
        frame.sample_rate = rate_hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


CASES = [
    (kind, num_channels, rate_hz)
    for kind, num_channels in (
        ("wav", 1), ("wav", 2), ("flac", 1), ("flac", 3), ("ogg", 2), ("mp3", 2), ("m4a", 1), ("m4a", 2)
    )
    for rate_hz in (16_000, 22_050, 48_000, 16_001)
    if kind not in {"mp3", "m4a"} or rate_hz != 16_001  # a rate that the codec does not have
]  # fmt: skip


@pytest.mark.parametrize(("kind", "num_channels", "rate_hz"), CASES)
def test_the_blocks_are_the_whole(tmp_path: Path, kind: str, num_channels: int, rate_hz: int) -> None:
    # without a common divisor of the rates a block depends on seconds around it
    duration_s = 6 if rate_hz == 16_001 else 2.7
    path = write(tmp_path / f"a.{kind}", voices(round(duration_s * rate_hz), num_channels), rate_hz)
    expected, notes = load_with_notes(path, sample_rate_hz=RATE)
    found = Blocks(path, RATE)
    for _ in range(2):
        pieces = list(found)
        assert len(pieces) >= 3
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
        assert found.notes == notes
    if kind in {"wav", "flac"}:  # lossy coding moves phases
        assert ("opposite_phase_s" in notes) == (num_channels > 1)


def test_what_a_conversion_writes_is_scaled_or_clipped_as_a_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "a.flac"
    for rate_hz in (RATE, RATE // 2):
        soundfile.write(source, voices(3 * rate_hz, 1) * 20_000, rate_hz, subtype="FLOAT")
        assert convert_file(source, target, RATE)["scaled_by"] == 2.0**-15
        expected, _ = load_with_notes(source, sample_rate_hz=RATE)
        np.testing.assert_allclose(soundfile.read(target)[0], expected, atol=2**-15)
    # a square wave at full scale overshoots when its rate is changed: more than a few samples
    square = np.sign(np.sin(np.arange(3 * 22_050) / 20)).astype(np.float32)
    soundfile.write(source, square, 22_050)
    notes = convert_file(source, target, RATE)
    samples, _ = load_with_notes(source, sample_rate_hz=RATE)
    assert notes == {
        "beyond_full_scale": int(np.count_nonzero(np.abs(samples) > 1)),
        "scaled_by": pytest.approx(1 / np.abs(samples).max()),
    }
    np.testing.assert_allclose(soundfile.read(target)[0], samples * notes["scaled_by"], atol=2**-15)


def test_samples_that_are_no_numbers_are_counted_to_the_end(tmp_path: Path) -> None:
    samples = voices(3 * RATE, 1)
    samples[[5, 20_000, 40_000]] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    for read in (decode_check, lambda path: convert_file(path, tmp_path / "out" / "a.flac", RATE)):
        with pytest.raises(AudioError, match=r"NaN or infinity \(3 of 48000\)"):
            read(tmp_path / "a.wav")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "m4a"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, kind: str) -> None:
    def peak(duration_s: int) -> int:
        path = write(tmp_path / f"a{duration_s}.{kind}", voices(duration_s * 8000, 1), 8000)
        tracemalloc.start()  # counts arrays of numpy too
        convert_file(path, tmp_path / "a.flac", RATE)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)  # imports
    assert peak(40) < 1.2 * peak(10)
