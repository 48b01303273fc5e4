"""Nothing of a recording is lost, spoiled or guessed in silence: lengths, time, tracks, channels, scale."""

import contextlib
import os
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from fairseq_ext.jobs import Execution
from fairseq_ext.media.audio import AudioError, load, load_with_notes, probe
from fairseq_ext.media.chunks import Extent, extent
from fairseq_ext.media.convert import convert_folder
from fairseq_ext.media.media_files import media_files
from fairseq_ext.media.sound import Sound
from fairseq_ext.media.video import MediaReader

RATE = 16_000
Samples = NDArray[np.float32]
JOINED = "several recordings one after the other"


@pytest.fixture
def cases() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def voice(duration_s: float = 2.0, rate: int = RATE, pitch: float = 150.0) -> Samples:
    t = np.arange(round(duration_s * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * pitch * t) * (1 + np.sin(20 * t)) / 2).astype(np.float32)


def write(
    path: Path,
    codec: str,
    samples: Samples,
    *,
    container: str | None = None,
    pictures: bool = False,
    tracks: list[Samples] | None = None,
    default: int | None = None,
    at_s: Callable[[float], float] = lambda time_s: time_s,
) -> Path:
    """Write (S,) or (C, S) samples; `at_s` moves the time of each frame, further tracks follow the first."""
    with av.open(str(path), "w", format=container) as out:
        video: Any = None
        if pictures:
            video = out.add_stream("mpeg4", rate=25)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        sounds = [np.atleast_2d(one) for one in [samples, *(tracks or [])]]
        streams: list[Any] = [out.add_stream(codec, rate=RATE) for _ in sounds]
        for number, (stream, sound) in enumerate(zip(streams, sounds, strict=True)):
            stream.layout = "stereo" if len(sound) == 2 else "mono"
            if default is not None:
                stream.disposition = av.stream.Disposition.default if number == default else 0
        for number in range(100 if pictures else 0):
            picture = av.VideoFrame(32, 32, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
        for stream, sound in zip(streams, sounds, strict=True):
            convert = av.AudioResampler(format=stream.codec_context.format.name)
            size = stream.codec_context.frame_size or 1024
            for start in range(0, sound.shape[1], size):
                piece = np.ascontiguousarray(sound[:, start : start + size])
                frame: Any = av.AudioFrame.from_ndarray(piece, format="fltp", layout=stream.layout.name)
                frame.sample_rate = RATE
                (frame,) = convert.resample(frame)
                frame.pts = round(at_s(start / RATE) * RATE)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        if pictures:
            out.mux(video.encode(None))
    return path


# ---- lengths, both ways

UNCOMPRESSED = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "SVX"]
COMPRESSED = {"flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}


@pytest.mark.parametrize("kind", [*UNCOMPRESSED, *COMPRESSED.values()])
def test_half_a_file_and_two_in_one_are_named(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "a.x", tmp_path / "b.x"
    soundfile.write(path, voice(), RATE, format=kind)
    content = path.read_bytes()
    assert probe(path).num_samples == pytest.approx(2 * RATE, abs=1200)
    other.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"b\.x: .*(cut off|does not decode to its end|neither soundfile)"):
        load(other, sample_rate_hz=RATE)
    other.write_bytes(content + content)
    with pytest.raises(AudioError, match=rf"b\.x: .*({JOINED}|joined)"):
        load(other, sample_rate_hz=RATE)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mkv", "aac", None), ("a.mp4", "aac", None), ("a.avi", "pcm_s16le", None), ("a.mov", "pcm_s16le", None),
        ("a.tta", "tta", None), ("a.m4b", "aac", "ipod"), ("a.ts", "aac", "mpegts"),
    ],
)  # fmt: skip
def test_half_a_container_and_two_in_one_are_named(
    tmp_path: Path, name: str, codec: str, container: str | None
) -> None:
    path = write(tmp_path / name, codec, voice(), container=container)
    content = path.read_bytes()
    assert len(load(path, sample_rate_hz=RATE)) == pytest.approx(2 * RATE, abs=2100)
    other = tmp_path / f"b{path.suffix}"
    other.write_bytes(content + content)
    with pytest.raises(AudioError, match=JOINED):
        load(other, sample_rate_hz=RATE)
    if name != "a.ts":  # it states no length
        other.write_bytes(content[: len(content) // 2])
        with pytest.raises(AudioError, match=r"cut off|does not decode to its end|neither soundfile"):
            load(other, sample_rate_hz=RATE)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_a_writer_that_cannot_seek_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "stream.wav"
    soundfile.write(path, voice(), RATE)
    content = bytearray(path.read_bytes())
    expected = load(path, sample_rate_hz=RATE)
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    np.testing.assert_array_equal(load(path, sample_rate_hz=RATE), expected)
    np.testing.assert_array_equal(
        load(path, sample_rate_hz=RATE, start_sample=20_001, num_samples=999), expected[20_001:21_000]
    )


def test_wav_that_holds_more_than_it_states(tmp_path: Path) -> None:
    path = tmp_path / "more.wav"
    soundfile.write(path, voice(), RATE)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", RATE)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"expected {RATE} bytes of audio by its header, found {4 * RATE}"):
        load(path, sample_rate_hz=RATE)
    content[40:44] = struct.pack("<I", 4 * RATE)
    for end in (b"LIST\x04\x00\x00\x00abcd", bytes(300), b"TAG" + bytes(125), b"id3 \x03\x00\x00\x00abc\x00"):
        path.write_bytes(content + end)
        assert probe(path).num_samples == 2 * RATE


def test_sizes_beyond_4_gib_wrap_around(tmp_path: Path) -> None:
    path, num_bytes = tmp_path / "long.wav", (1 << 32) + 1000
    soundfile.write(path, voice(0.1), RATE)
    with open(path, "r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", 1000))
        file.truncate(44 + num_bytes)  # a hole takes no space
        assert extent(file) == Extent(num_bytes, num_bytes)


@pytest.mark.parametrize(
    "name", ["speech.aac", "silence_then_speech.aac", "speech.amr", "silence_then_speech.amr"]
)
def test_a_length_that_ffmpeg_estimates_is_no_statement(cases: Path, name: str) -> None:
    expected_s = 19.7 if name.startswith("speech") else 49.7
    path = cases / "raw_streams" / name
    assert probe(path).num_samples / probe(path).sample_rate_hz == pytest.approx(expected_s, abs=0.15)


def test_amr_with_and_without_discontinuous_transmission(cases: Path) -> None:
    names = ("silence_then_speech.amr", "nodtx_silence_speech.amr")
    with_dtx, without = (load(cases / "raw_streams" / name, sample_rate_hz=8000) for name in names)
    assert len(with_dtx) == len(without) == 397_440
    speech = slice(-100_000, None)
    assert np.corrcoef(with_dtx[speech], without[speech])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("wav_length/header_says_1s.wav", "expected 32000 bytes of audio by its header, found 328518"),
        ("wav_length/a_then_b.wav", JOINED),
        ("chained_ogg/long_then_short.ogg", JOINED),
        ("chained_ogg/same_twice.ogg", JOINED),
        ("cut_off/half.aiff", "the file was cut off"),
        ("cut_off/half.au", "the file was cut off"),
        ("cut_off/half.sph", "the file was cut off"),
        ("video/t_concat.ts", JOINED),
    ],
)
def test_cases_of_wrong_lengths(cases: Path, name: str, found: str) -> None:
    with pytest.raises(AudioError, match=rf"{re.escape(name)}: .*{found}"):
        probe(cases / name)


# ---- time


def onset_s(samples: Samples) -> float:
    return float(np.flatnonzero(np.abs(samples) > 0.02)[0]) / RATE


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.mpg"])
def test_sound_that_starts_late_or_pauses_lies_on_the_clock(tmp_path: Path, name: str) -> None:
    codec = "mp2" if name.endswith("mpg") else "aac"
    late = write(tmp_path / f"late{name}", codec, voice(), pictures=True, at_s=lambda time_s: time_s + 1.5)
    samples, notes = load_with_notes(late, sample_rate_hz=RATE)
    assert onset_s(samples) == pytest.approx(1.5, abs=0.08)
    assert notes["silence_s"] == pytest.approx(1.5, abs=0.08)
    gap = write(tmp_path / f"gap{name}", codec, voice(), pictures=True, at_s=lambda t: t + (t > 1) * 1.2)
    samples, notes = load_with_notes(gap, sample_rate_hz=RATE)
    assert len(samples) == pytest.approx(3.2 * RATE, abs=2500)
    assert notes["silence_s"] == pytest.approx(1.2, abs=0.001)
    assert not samples[round(1.5 * RATE) : round(1.9 * RATE)].any()
    for start, num in ((100, 500), (20_000, 9000), (40_000, 3000)):
        stretch = load(gap, sample_rate_hz=RATE, start_sample=start, num_samples=num)
        np.testing.assert_array_equal(stretch, samples[start : start + num])


def test_jitter_is_no_gap(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.mkv", "flac", voice(), at_s=lambda time_s: time_s + rng.uniform(0, 0.03))
    samples, notes = load_with_notes(path, sample_rate_hz=RATE)
    assert notes == {}
    np.testing.assert_allclose(samples, voice(), atol=1e-4)


def test_late_sound_of_the_cases(cases: Path) -> None:
    for name, expected_s in (
        ("late4s.mkv", 4.0),
        ("late4s.mp4", 4.0),
        ("late0.mkv", 0.0),
        ("plain.wav", 0.0),
    ):
        samples, notes = load_with_notes(cases / "late_audio" / name, sample_rate_hz=RATE)
        plain = load(cases / "late_audio" / "plain.wav", sample_rate_hz=RATE)
        assert onset_s(samples) == pytest.approx(onset_s(plain) + expected_s, abs=0.07)
        assert notes.get("silence_s", 0) == pytest.approx(expected_s, abs=0.07)
    assert load_with_notes(cases / "late_audio" / "gap5s.mkv", sample_rate_hz=RATE)[1] == {"silence_s": 5.0}


# ---- channels and tracks


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "m4a", "mkv"])
@pytest.mark.parametrize("scale", [-1.0, -0.9, -0.5])
def test_opposite_phase_is_not_silence(tmp_path: Path, kind: str, scale: float) -> None:
    mono = voice(5.3)
    both, path = np.stack([mono, scale * mono]).astype(np.float32), tmp_path / f"a.{kind}"
    if kind in {"m4a", "mkv"}:
        write(path, "aac" if kind == "m4a" else "flac", both)
    else:
        soundfile.write(path, both.T, RATE)
    samples, notes = load_with_notes(path, sample_rate_hz=RATE)
    assert notes["opposite_phase_s"] == pytest.approx(5.3, abs=0.2)
    aligned = samples[1024 if kind == "m4a" else 0 :][: len(mono)]
    assert np.sqrt(np.mean(aligned**2)) > 0.9 * np.sqrt(np.mean(mono**2))
    for start, num in ((500, 700), (15_990, 20), (30_000, 18_000), (70_000, 9000)):
        stretch = load(path, sample_rate_hz=RATE, start_sample=start, num_samples=num)
        np.testing.assert_allclose(stretch, samples[start : start + num], atol=2e-5)


@pytest.mark.parametrize("other", ["the same", "another voice", "silence"])
def test_other_channels_are_averaged(tmp_path: Path, other: str) -> None:
    mono = voice()
    second = {"the same": mono, "another voice": voice(pitch=371.0), "silence": np.zeros_like(mono)}[other]
    soundfile.write(tmp_path / "a.wav", np.stack([mono, second], axis=1), RATE, subtype="FLOAT")
    samples, notes = load_with_notes(tmp_path / "a.wav", sample_rate_hz=RATE)
    np.testing.assert_allclose(samples, (mono + second) / 2, atol=1e-6)
    assert notes == {}


def sound_of_video(path: Path) -> NDArray[np.float64]:
    with MediaReader(path) as reader:
        events = list(reader.events([(0.0, float("inf"))]))
    return np.concatenate([event.samples for event in events if isinstance(event, Sound)]) / 32768


def test_tracks_are_chosen_by_the_flag_then_by_sound_for_audio_and_video_alike(tmp_path: Path) -> None:
    silent, one, other = np.zeros(2 * RATE, np.float32), voice(), voice(pitch=400.0)
    loud = np.sqrt(np.mean(one**2))
    for name, tracks, default, chosen in (
        ("flag", [silent, one], 1, "audio 2 of 2, default"),
        ("silent", [silent, one], 0, "audio 2 of 2, default is silent"),
        ("first", [one, other], 0, "audio 1 of 2, default"),
    ):
        path = tmp_path / f"{name}.mkv"
        write(path, "flac", tracks[0], tracks=tracks[1:], pictures=True, default=default)
        samples, notes = load_with_notes(path, sample_rate_hz=RATE)
        assert notes["track"] == chosen
        np.testing.assert_allclose(samples, one, atol=1e-3)
        assert np.sqrt(np.mean(sound_of_video(path) ** 2)) == pytest.approx(loud, rel=0.05)
    path = write(tmp_path / "phase.mkv", "flac", np.stack([one, -one]), pictures=True)
    with MediaReader(path) as reader:
        sounds = [event for event in reader.events([(0.0, float("inf"))]) if isinstance(event, Sound)]
    assert sum(sound.num_chosen for sound in sounds) == pytest.approx(2 * RATE, abs=100)
    assert np.sqrt(np.mean(sound_of_video(path) ** 2)) == pytest.approx(loud, rel=0.05)


def test_cases_of_channels_and_tracks(cases: Path) -> None:
    mono = load(cases / "opposite_phase" / "mono.wav", sample_rate_hz=RATE)
    for name in ("inverted.wav", "inverted90.wav"):
        np.testing.assert_array_equal(load(cases / "opposite_phase" / name, sample_rate_hz=RATE), mono)
    track, notes = load_with_notes(cases / "tracks" / "first_silent_second_default.mkv", sample_rate_hz=RATE)
    assert notes == {"track": "audio 2 of 2, default"}
    assert np.abs(track).max() > 0.1
    for name in ("s_outofphase.mp4", "s_two_tracks.mkv"):
        assert np.abs(sound_of_video(cases / "video" / name)).max() > 0.1


# ---- scale


def test_samples_at_the_scale_of_integers_are_scaled_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for scale in (2.0**15, 2.0**23, 2.0**31):
        soundfile.write(path, scale * voice(), RATE, subtype="FLOAT")
        samples, notes = load_with_notes(path, sample_rate_hz=RATE)
        np.testing.assert_allclose(samples, voice(), atol=1e-6)
        assert notes["scaled_by"] == 1 / scale
        stretch = load(path, sample_rate_hz=RATE, start_sample=0, num_samples=40)  # quiet by itself
        np.testing.assert_array_equal(stretch, samples[:40])
        os.utime(path, ns=(0, int(scale)))


@pytest.mark.parametrize("value", [1e30, 40.0])
def test_a_spike_is_refused_with_the_count(tmp_path: Path, value: float) -> None:
    samples = voice()
    samples[[700, 900]] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav: 2 of 32000 samples are beyond full scale"):
        load(tmp_path / "a.wav", sample_rate_hz=RATE)
    samples[:3] = np.nan
    soundfile.write(tmp_path / "b.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN or infinity \(3 of 32000\)"):
        load(tmp_path / "b.wav", sample_rate_hz=RATE)


def test_case_of_scale(cases: Path) -> None:
    samples, notes = load_with_notes(cases / "float_scale" / "int16_scale_float.wav", sample_rate_hz=RATE)
    assert notes["scaled_by"] == 2.0**-15
    assert np.mean(np.abs(samples) > 0.99) == 0


# ---- files of a folder


def test_recordings_are_told_by_their_content_and_the_rest_is_named(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    soundfile.write(source / "a.w64", voice(), RATE, format="W64")
    soundfile.write(source / "no_suffix", voice(), RATE, format="FLAC")
    for name, codec, container in (
        ("b.3gp", "aac", "mp4"), ("c.m4b", "aac", "ipod"), ("d.mp2", "mp2", "mp2"),
        ("f.ts", "aac", "mpegts"), ("g.m4v", "aac", "mp4"), ("h.mpeg", "mp2", "mpeg"), ("i.3ga", "aac", "mp4"),
    ):  # fmt: skip
        write(source / name, codec, voice(), container=container)
    (source / "code.ts").write_text("export const rate: number = 16000;\n")
    (source / "notes.txt").write_text("words")
    (source / "weights.bin").write_bytes(np.random.default_rng(0).bytes(9000))
    (source / ".hidden.wav").write_bytes(b"")
    os.mkfifo(source / "pipe.wav")
    result = convert_folder(source, out, sample_rate_hz=RATE, execution=Execution(workers=0, progress=False))
    assert (result.num_converted, result.problems) == (9, [])
    rows = [line.split("\t") for line in (out / "passed_over.tsv").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == [".hidden.wav", "code.ts", "notes.txt", "pipe.wav", "weights.bin"]
    assert result.num_passed_over == len(rows)


def test_names_that_are_no_text_do_not_stop_a_folder_of_videos(tmp_path: Path) -> None:
    for name in ("a.mp4", os.fsdecode(b"caf\xe9.mp4"), "b\n.mp4"):
        (tmp_path / name).write_bytes(b"x")
    found = media_files(tmp_path, pictures=True)
    assert found.paths == ["a.mp4"]
    assert [name for name, _ in found.passed_over] == [r"b\n.mp4", r"caf\xe9.mp4"]


def test_one_file_without_permission_does_not_end_a_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in "abc":
        soundfile.write(source / f"{name}.wav", voice(0.2), RATE)
    stat = Path.is_file

    def refused(path: Path) -> bool:
        if path.name == "a.wav":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path)

    monkeypatch.setattr(Path, "is_file", refused)
    result = convert_folder(source, tmp_path / "out", sample_rate_hz=RATE)
    assert (result.num_converted, result.num_failed) == (2, 0)
    assert result.problems[0][0] == "a.wav"
    assert "no permission to read it" in result.problems[0][1]


def test_damaged_mp3_says_nothing_on_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.mp3", voice(), RATE)
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(800, len(content), 30):
        content[at] = rng.integers(256)
    (tmp_path / "a.mp3").write_bytes(content)
    with contextlib.suppress(AudioError):
        load(tmp_path / "a.mp3", sample_rate_hz=RATE)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_mp3_frame_by_frame_equals_libsndfile(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.stack([voice(2, rate), voice(2, rate, 400)], axis=1), rate)
    expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    whole = load(path, sample_rate_hz=rate)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    for start, num in ((0, 10), (rate // 2, 3000), (len(whole) - 900, 900)):
        stretch = load(path, sample_rate_hz=rate, start_sample=start, num_samples=num)
        np.testing.assert_allclose(stretch, whole[start : start + num], atol=1e-6)
