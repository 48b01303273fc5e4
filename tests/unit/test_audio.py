"""Audio: every format, rate and channel count; stretches equal slices of the whole; damage is an
AudioError."""

import contextlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairseq_ext.line_index import AudioIndex
from fairseq_ext.media.audio import AudioError, AudioInfo, decode_check, load, load_row, num_samples_at, probe

Samples = NDArray[np.float32]

PROBLEMS = (
    "expected .*, found|it does not decode to its end: |neither soundfile nor FFmpeg can read it"
    "|the file is empty|it has no audio stream"
)
LOSSLESS = ["wav_8", "wav_16", "wav_24", "wav_float", "flac"]
LOSSY = ["ogg", "mp3", "opus", "m4a", "webm"]
RATES = [8000, 22050, 44100, 48000]
KINDS_AND_RATES = [
    (kind, rate) for kind in LOSSLESS + LOSSY for rate in RATES if kind not in {"opus", "webm"}
]
KINDS_AND_RATES += [
    (kind, rate) for kind in ("opus", "webm") for rate in (8000, 16000, 48000)
]  # no others exist
SUBTYPES = {"wav_8": "PCM_U8", "wav_16": "PCM_16", "wav_24": "PCM_24", "wav_float": "FLOAT"}
CODECS = {"m4a": "aac", "webm": "libopus"}


def tone(num_samples: int, rate: int, num_channels: int = 1) -> Samples:
    """Return a voice-like sum of tones and a little noise, different for each channel."""
    t = np.arange(num_samples)[:, None] / rate
    pitch = 150.0 * (1 + np.arange(num_channels))
    noise = np.random.default_rng(1).standard_normal((num_samples, num_channels))
    wave = 0.3 * np.sin(2 * np.pi * pitch * t) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t)) + 0.02 * noise
    return wave.astype(np.float32)


def write_audio(folder: Path, kind: str, samples: Samples, rate: int) -> Path:
    suffix = kind.split("_")[0]
    path = folder / f"gravació_{kind}_{rate}_{samples.shape[1]}.{suffix}"
    if kind in CODECS:
        _write_container(path, CODECS[kind], samples, rate)
    elif kind == "opus":
        soundfile.write(path, samples, rate, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, samples, rate, subtype=SUBTYPES.get(kind))
    return path


def _write_container(path: Path, codec: str, samples: Samples, rate: int) -> None:
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout = layout
        size = 1024 if codec == "aac" else rate // 50
        for start in range(0, len(samples), size):
            piece = np.ascontiguousarray(samples[start : start + size].T)
            frame: Any = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(_converted(frame, stream)))
        container.mux(stream.encode(None))


def _converted(frame: Any, stream: Any) -> Any:
    if stream.codec_context.format.name == frame.format.name:
        return frame
    (out,) = av.AudioResampler(format=stream.codec_context.format.name).resample(frame)
    out.pts = frame.pts
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


@pytest.fixture(scope="module")
def long_files(folder: Path) -> dict[str, Path]:
    """Write five seconds of each format at 16 kHz: long enough for several pages and packets."""
    return {kind: write_audio(folder, kind, tone(80_000, 16_000), 16_000) for kind in LOSSLESS + LOSSY}


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize(("kind", "rate"), KINDS_AND_RATES)
def test_every_format_rate_and_channel_count(tmp_path: Path, kind: str, rate: int, num_channels: int) -> None:
    original = tone(rate, rate, num_channels)
    path = write_audio(tmp_path, kind, original, rate)
    info = probe(path)
    assert (info.sample_rate_hz, info.num_channels) == (48000 if kind == "webm" else rate, num_channels)
    own = load(path, sample_rate_hz=info.sample_rate_hz)
    assert own.dtype == np.float32
    assert own.shape == (info.num_samples,)
    if kind in LOSSLESS:
        tolerance = {"wav_8": 1 / 128, "wav_16": 1 / 32768, "flac": 1 / 32768}.get(kind, 1e-6)
        np.testing.assert_allclose(own, original.mean(axis=1), atol=tolerance)
    else:
        assert len(own) / info.sample_rate_hz == pytest.approx(1.0, abs=0.15)  # coders pad
    for asked in (16000, 8000):
        assert load(path, sample_rate_hz=asked).shape == (num_samples_at(info, asked),)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_give_back_the_sound(long_files: dict[str, Path], kind: str) -> None:
    original, decoded = tone(80_000, 16_000)[:, 0], load(long_files[kind], sample_rate_hz=16_000)
    spectra = [np.abs(np.fft.rfft(x[8000:72_000])) for x in (original, decoded)]
    assert np.corrcoef(spectra[0], spectra[1])[0, 1] > 0.95


def test_resampling_keeps_a_tone_and_removes_what_does_not_fit(tmp_path: Path) -> None:
    t = np.arange(44100)[:, None] / 44100
    both = (0.4 * np.sin(2 * np.pi * 440 * t) + 0.4 * np.sin(2 * np.pi * 7000 * t)).astype(np.float32)
    resampled = load(write_audio(tmp_path, "wav_float", both, 44100), sample_rate_hz=8000)
    assert resampled.shape == (8000,)
    expected = 0.4 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    np.testing.assert_allclose(resampled[100:-100], expected[100:-100], atol=0.01)


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY)
@pytest.mark.parametrize("asked", [16_000, 8000, 22_050, 48_000])
def test_a_stretch_equals_the_slice_of_the_whole(long_files: dict[str, Path], kind: str, asked: int) -> None:
    path = long_files[kind]
    whole = load(path, sample_rate_hz=asked)
    tolerance = 0 if kind in LOSSLESS and asked == 16_000 else 2e-5
    for start_s, length_s in [(0, 0.3), (0.1, 1), (1.2345, 0.7), (2.9, 0.05), (4.4, 0.4), (4.7, 0.2)]:
        start, length = round(start_s * asked), round(length_s * asked)
        stretch = load(path, sample_rate_hz=asked, start_sample=start, num_samples=length)
        assert stretch.shape == (length,)
        np.testing.assert_allclose(stretch, whole[start : start + length], rtol=0, atol=tolerance)
    tail = load(path, sample_rate_hz=asked, start_sample=len(whole) - 100)
    np.testing.assert_allclose(tail, whole[-100:], rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    asked=st.sampled_from([8000, 11_025, 12_000, 16_000, 44_100]),
    own=st.integers(7000, 50_000),
)
def test_stretches_of_any_rate_meet_without_a_seam(
    folder: Path, data: st.DataObject, asked: int, own: int
) -> None:
    path = folder / "seam.wav"
    soundfile.write(path, tone(3000, own), own, subtype="FLOAT")
    whole = load(path, sample_rate_hz=asked)
    assert len(whole) == num_samples_at(probe(path), asked)
    cut = data.draw(st.integers(1, len(whole) - 1))
    left = load(path, sample_rate_hz=asked, num_samples=cut)
    right = load(path, sample_rate_hz=asked, start_sample=cut, num_samples=len(whole) - cut)
    np.testing.assert_allclose(np.concatenate([left, right]), whole, atol=2e-6)


def test_both_ways_of_resampling_agree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for own, asked in [(44_100, 16_000), (8000, 16_000), (16_000, 11_025)]:
        path = write_audio(folder, "wav_float", tone(5000, own), own)
        by_filter_bank = load(path, sample_rate_hz=asked)
        with monkeypatch.context() as patch:
            patch.setattr("fairseq_ext.media.resampling._MAX_KERNEL", 0)
            by_position = load(path, sample_rate_hz=asked)
        np.testing.assert_allclose(by_position, by_filter_bank, atol=2e-6)


@pytest.mark.parametrize("rate", [1, 999, 800_000])
def test_a_rate_that_no_recorder_uses_is_a_damaged_header(tmp_path: Path, rate: int) -> None:
    path = write_audio(tmp_path, "wav_16", tone(100, 8000), rate)
    with pytest.raises(AudioError, match=f"expected a sample rate of 1000 to 768000 Hz, found {rate} Hz"):
        load(path, sample_rate_hz=16_000)


def test_long_files_are_resampled_in_blocks_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_audio(tmp_path, "wav_16", tone(40_000, 11_025), 11_025)
    whole = load(path, sample_rate_hz=16_000)
    monkeypatch.setattr("fairseq_ext.media.resampling._BLOCK", 1000)
    np.testing.assert_allclose(load(path, sample_rate_hz=16_000), whole, atol=2e-6)


def test_a_stretch_of_a_long_file_is_read_without_decoding_it_all(
    long_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    original = soundfile.SoundFile.read

    def counting(self: soundfile.SoundFile, frames: int = -1, **options: Any) -> Any:
        decoded.append(frames)
        return original(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    for kind in ("wav_16", "flac"):
        decoded.clear()
        load(long_files[kind], sample_rate_hz=16_000, start_sample=60_000, num_samples=800)
        assert decoded == [800]
    decoded.clear()
    load(long_files["mp3"], sample_rate_hz=16_000, start_sample=60_000, num_samples=800)
    assert sum(decoded) < 20_000


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY)
def test_a_cut_off_file_is_an_error(long_files: dict[str, Path], tmp_path: Path, kind: str) -> None:
    content = long_files[kind].read_bytes()
    for share in (0.9, 0.5, 0.1):
        path = tmp_path / f"cut{share}{long_files[kind].suffix}"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(AudioError, match=rf"{path}: ({PROBLEMS})"):
            decode_check(path)
        with pytest.raises(AudioError, match=str(path)):
            load(path, sample_rate_hz=16_000)


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3", "opus"])
def test_damage_inside_is_an_error_where_the_format_has_checks(
    long_files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    content = bytearray(long_files[kind].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(3).bytes(300)
    path = tmp_path / f"damaged{long_files[kind].suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"{path}: it does not decode to its end: "):
        decode_check(path)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), kind=st.sampled_from(LOSSLESS + LOSSY))
def test_random_damage_never_raises_anything_else(
    long_files: dict[str, Path], folder: Path, data: st.DataObject, kind: str
) -> None:
    content = bytearray(long_files[kind].read_bytes()[: data.draw(st.integers(0, 20_000))])
    if content:
        where = data.draw(st.integers(0, min(len(content) - 1, 400)))
        content[where : where + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path = folder / f"random{long_files[kind].suffix}"
    path.write_bytes(content)
    with contextlib.suppress(AudioError):
        waveform = load(path, sample_rate_hz=16_000)
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert np.isfinite(waveform).all()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.wav", b""),
        ("text.wav", "això no és àudio, ni de bon tros\n".encode() * 50),
        ("text.txt", b"neither is this\n" * 50),
        ("zeros.mp3", bytes(5000)),
        ("header.wav", b"RIFF"),
        ("header.ogg", b"OggS"),
        ("page.ogg", b"OggS" + bytes(60)),
        ("random.m4a", np.random.default_rng(1).bytes(5000)),
        ("image.png", b"\x89PNG\r\n\x1a\n" + bytes(300)),
    ],
)
def test_what_is_not_audio_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for function in (probe, decode_check, lambda path: load(path, sample_rate_hz=8000)):
        with pytest.raises(AudioError, match=rf"{tmp_path / name}: ({PROBLEMS})"):
            function(tmp_path / name)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such audio file"):
        load(tmp_path / "no.wav", sample_rate_hz=8000)
    with pytest.raises(AudioError, match="this is a folder, not an audio file"):
        probe(tmp_path)


@pytest.mark.parametrize("kind", ["flac", "m4a"])
def test_a_name_that_is_not_text(tmp_path: Path, kind: str) -> None:
    path = write_audio(tmp_path, kind, tone(8000, 16_000), 16_000)
    expected = load(path, sample_rate_hz=16_000)
    renamed = path.rename(tmp_path / os.fsdecode(b"caf\xe9" + path.suffix.encode()))  # Latin-1
    np.testing.assert_array_equal(load(renamed, sample_rate_hz=16_000), expected)
    renamed.write_bytes(b"no sound")
    with pytest.raises(AudioError, match=r"\(text, 'no sound'\)"):
        load(renamed, sample_rate_hz=16_000)


def test_zero_length(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    soundfile.write(path, np.zeros((0, 1), dtype=np.float32), 8000)
    with pytest.raises(AudioError, match="it has no samples"):
        probe(path)
    with pytest.raises(AudioError, match="it has no samples"):
        load(path, sample_rate_hz=16000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, value: float) -> None:
    samples = tone(1000, 8000)
    samples[500] = value
    path = write_audio(tmp_path, "wav_float", samples, 8000)
    with pytest.raises(AudioError, match="its samples contain NaN or infinity"):
        load(path, sample_rate_hz=8000)
    assert len(load(path, sample_rate_hz=8000, num_samples=500)) == 500  # the stretch before it is sound


@pytest.mark.parametrize("kind", ["wav_16", "m4a"])
def test_a_stretch_that_is_not_there_names_both_lengths(tmp_path: Path, kind: str) -> None:
    path = write_audio(tmp_path, kind, tone(1000, 8000), 8000)
    total = probe(path).num_samples
    for start, length in [(0, total + 1), (total, 1), (total - 9, 10), (total + 90_000, 5)]:
        message = rf"{path}: expected samples {start} to {start + length}, found {total} in all"
        with pytest.raises(AudioError, match=message):
            load(path, sample_rate_hz=8000, start_sample=start, num_samples=length)
    for start, length in [(-1, 10), (5, 0), (5, -1)]:
        with pytest.raises(
            AudioError, match=rf"{path}: expected 1 or more samples from 0 on, found {length} from {start}"
        ):
            load(path, sample_rate_hz=8000, start_sample=start, num_samples=length)


def test_wav_of_unknown_size_as_pipes_write_it(tmp_path: Path) -> None:
    path = write_audio(tmp_path, "wav_16", tone(1000, 8000), 8000)
    content = bytearray(path.read_bytes())
    where = content.index(b"data") + 4
    content[where : where + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert load(path, sample_rate_hz=8000).shape == (1000,)


def test_info_and_error_can_cross_processes(tmp_path: Path) -> None:
    info = AudioInfo(8000, 5, 1)
    assert pickle.loads(pickle.dumps(info)) == info
    assert str(pickle.loads(pickle.dumps(AudioError("x: y")))) == "x: y"


def test_video_gives_its_sound_and_silent_video_an_error(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
            )
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="it has no audio stream"):
        probe(path)


def test_real_recordings_load_as_they_are(fsdd_root: Path) -> None:
    path = sorted((fsdd_root / "recordings").glob("7_*_1*.wav"))[0]
    direct, rate = soundfile.read(path, dtype="float32")
    assert probe(path) == AudioInfo(rate, len(direct), 1)
    np.testing.assert_array_equal(load(path, sample_rate_hz=rate), direct)
    assert len(load(path, sample_rate_hz=16_000)) == 2 * len(direct)


def test_a_row_of_another_rate_is_no_half_of_its_file(tmp_path: Path) -> None:
    write_audio(tmp_path, "wav_16", tone(4000, 8000), 8000)
    (name,) = (path.name for path in tmp_path.iterdir())
    tsv = tmp_path / "test.tsv"
    tsv.write_text(f"{tmp_path}\n{name}\t4000\n{name}:0:3000\t3000\n{name}\t3900\n", encoding="utf-8")
    whole, segment, shorter = (AudioIndex(tsv).entry(row) for row in range(3))
    assert len(load_row(whole, 8000)) == 4000
    with pytest.raises(AudioError, match="counts 4000 samples, found 8000 at 16000 Hz; give the rate"):
        load_row(whole, 16000)
    assert len(load_row(segment, 8000)) == 3000
    assert len(load_row(shorter, 8000)) == 3900  # other tools count otherwise


def test_a_header_that_states_more_than_fits_into_memory_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros((16_000, 2)), 16_000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the number of samples: 36 bits from the middle of byte 21 (FLAC format, STREAMINFO)
    content[22:26] = b"\xff\xff\xff\xf0"
    path.write_bytes(content)
    with pytest.raises(AudioError, match="damage behind"):
        load(path, sample_rate_hz=16_000)
