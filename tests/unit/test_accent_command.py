"""fairseq-ext accent: nearest accents of files and of a stream, from a small random accent encoder."""

import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_accent
import soundfile
from synthetic_voice import DURATION_S, voice

from fairseq_ext.commands import main
from fairseq_ext.features.preparation import clipped_percent
from fairseq_ext.inference import nearest_accent
from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.inference.nearest_accent import NearestAccents, NoVoiceError, load_accents
from fairseq_ext.media.pcm import pcm_samples
from fairseq_ext.scoring.classifiers import centroids, linear, saved
from fairseq_ext.scoring.classifiers.choice import choose_parameters
from fairseq_ext.scoring.classifiers.fitted import fit_single
from fairseq_ext.scoring.classifiers.training_set import Feature, TrainingSet

pytest.importorskip("parselmouth")

RATE = 16_000
ACCENTS = ("bright", "dark")


@cache
def spoken(name: str, number: int, rate_hz: int = RATE) -> np.ndarray:
    """Return a voice of 1.5 s of an accent, without what a rate of 8 kHz cannot hold."""
    spectrum, at = _voice_spectrum()
    shaped = spectrum * (at < 3600) * (1 + (at / 700) ** 2) ** (0.8 if name == "bright" else -0.4)
    size = round(DURATION_S * rate_hz)
    wave = np.fft.irfft(np.pad(shaped, (0, max(0, size // 2 + 1 - len(shaped))))[: size // 2 + 1], size)
    noise = np.random.default_rng(number).normal(size=size)
    return (0.3 * wave / np.abs(wave).max() + 1e-4 * noise).astype(np.float32)


@cache
def _voice_spectrum() -> tuple[np.ndarray, np.ndarray]:
    wave = voice()
    return np.fft.rfft(wave), np.fft.rfftfreq(len(wave), 1 / RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved centroid classifier of the embeddings of four speakers per accent."""
    root = tmp_path_factory.mktemp("accents")
    small_accent.write(root / "accent.pt")
    embed = load_embedder(root / "accent.pt")
    vectors = embed([spoken(name, number) for number in range(4) for name in ACCENTS])
    speakers = [f"s{number}" for number in range(4) for _ in ACCENTS]
    targets = np.tile([0, 1], 4)
    training = TrainingSet(lambda _: vectors[:, 0], targets, speakers, 2, 1)
    about = {
        "encoder": str(root / "accent.pt"),
        "encoder_sha256": embed.about["sha256"],
        "sample_rate_hz": RATE,
    }
    for kind in (centroids.CENTROID, linear.LOGISTIC):
        choice = choose_parameters(training, Feature((0,), "embedding"), kind)
        saved.save(root / kind.name, fit_single(training, choice, ACCENTS), about)
    return root


@pytest.fixture(scope="module")
def accents(folder: Path) -> NearestAccents:
    return load_accents(folder / "centroid")


@pytest.fixture
def loaded(accents: NearestAccents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command find what is loaded already."""
    monkeypatch.setattr(nearest_accent, "load_accents", lambda path, **options: accents)


def run(*arguments: object) -> int:
    return main.main(["--traceback", "accent", *map(str, arguments)])


def test_three_lines_of_python(folder: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", spoken("dark", 9), RATE)
    accents = load_accents(folder / "centroid")
    found = accents(tmp_path / "a.wav")
    assert (found.nearest, list(found.distances)) == ("dark", ["dark", "bright"])
    vectors = load_embedder(folder / "accent.pt")(tmp_path / "a.wav")
    model: Any = saved.load(folder / "centroid").classifier.members[0].model
    expected = 1 - model.arrays["centroids"] @ vectors[0]
    assert (accents.metric, accents.labels) == ("cosine", ACCENTS)
    assert [found.distances[name] for name in ACCENTS] == pytest.approx(expected.tolist(), abs=1e-5)
    assert found.margin == pytest.approx(abs(expected[0] - expected[1]), abs=1e-5)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert next(iter(found.probabilities)) == "dark"


@pytest.mark.parametrize("name", ACCENTS)
def test_formats_rates_channels_and_clipping(accents: NearestAccents, tmp_path: Path, name: str) -> None:
    wave = spoken(name, 7)
    soundfile.write(tmp_path / "stereo.flac", np.stack([wave, 0.9 * wave], 1), RATE)
    soundfile.write(tmp_path / "8k.wav", spoken(name, 7, 8000), 8000)
    soundfile.write(tmp_path / "44k.ogg", spoken(name, 7, 44_100), 44_100)
    soundfile.write(tmp_path / "clipped.wav", np.clip(3.5 * wave, -1, 1), RATE)
    for path in sorted(tmp_path.iterdir()):
        assert accents(path).nearest == name, path.name


@pytest.mark.usefixtures("loaded")
def test_lines_and_objects(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, spoken("bright", 5), RATE)
    assert run(folder / "centroid", path) == 0
    printed = capsys.readouterr()
    name, nearest, distances, margin, share = printed.out.rstrip("\n").split("\t")
    assert (name, nearest) == (str(path), "bright")
    assert distances.startswith("bright 0.")
    assert ", dark " in distances
    assert margin.startswith("margin 0.")
    assert float(share.removesuffix(" %")) > 50
    assert "distances: cosine" in printed.err
    assert "1.5 s of audio in" in printed.err
    assert run(folder / "centroid", path, "--json", "--top", 1) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["distances"]) == ["bright", "dark"]
    assert found["margin"] == pytest.approx(found["distances"]["dark"] - found["distances"]["bright"])
    assert run(folder / "centroid", path, "--top", 1) == 0
    assert ", 1 more\tmargin" in capsys.readouterr().out


@pytest.mark.usefixtures("loaded")
def test_what_has_no_voice_is_named_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wave, rng = spoken("dark", 3), np.random.default_rng(3)
    frame = np.zeros(RATE, np.float32)
    frame[8000:8320] = wave[9000:9320]  # about two periods
    time = np.arange(2 * RATE) / RATE
    waves = {
        "silent": np.zeros(RATE),
        "short": wave[9000:9048],
        "one_frame": frame,
        "hiss": 0.1 * rng.normal(size=2 * RATE),
        "hum": 0.1 * np.sin(2 * np.pi * 100 * time) + 0.001 * rng.normal(size=2 * RATE),
        "good": wave,
    }
    for name, samples in waves.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    (tmp_path / "text.wav").write_text("no sound")
    files = [tmp_path / f"{name}.wav" for name in (*waves, "text", "missing")]
    with pytest.raises(ValueError, match="7 of 8 recordings could not be classified"):
        run(folder / "centroid", *files)
    printed = capsys.readouterr()
    assert [line.split("\t")[:2] for line in printed.out.splitlines()] == [
        [str(tmp_path / "good.wav"), "dark"]
    ]
    reasons = {
        "silent": "silence",
        "short": "0.003 s, shorter than a frame",
        "one_frame": "s of voice in 1.00 s, 0.1 s expected",
        "hiss": "0.00 s of voice in 2.00 s, 0.1 s expected",
        "hum": "0.00 s of voice in 2.00 s, 0.1 s expected",
        "text": "",
        "missing": "no such",
    }
    for name, reason in reasons.items():
        assert any(f"{name}.wav" in line and reason in line for line in printed.err.splitlines()), name


@pytest.mark.usefixtures("loaded")
def test_what_may_mislead_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = spoken("dark", 7)
    loud = np.clip(4 * wave, -1, 1)
    soundfile.write(tmp_path / "good.wav", wave, RATE)
    soundfile.write(tmp_path / "clipped.wav", loud, RATE)
    soundfile.write(tmp_path / "8k.wav", spoken("dark", 7, 8000), 8000)
    soundfile.write(tmp_path / "opposite.wav", np.stack([wave, -wave], 1), RATE)
    names = ("good", "clipped", "8k", "opposite")
    assert run(folder / "centroid", *(tmp_path / f"{name}.wav" for name in names)) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    share = f"{clipped_percent(loud):.2g} % of the samples are clipped"
    band = "recorded at 8000 Hz: the band from 4000 to 8000 Hz is missing"
    expected = (("clipped", share), ("8k", band), ("opposite", "channels are in opposite phase"))
    for warning, (name, text) in zip(warnings, expected, strict=True):
        assert warning.startswith(f"warning: {tmp_path}/{name}.wav: ")
        assert text in warning
    narrow = np.clip(4 * spoken("dark", 7, 8000), -1, 1)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Pipe(bytes_of(narrow), 1001)))
    assert run(folder / "centroid", "--stream", "--rate", 8000) == 0
    said = capsys.readouterr().err
    assert f"warning: standard input: {band}" in said
    assert "of the samples are clipped" in said


def test_classifiers_without_distances_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"logistic: a classifier without centroids.*fairseq-ext classify"):
        run(folder / "logistic", "a.wav")
    for wrong in ((), ("a.wav", "--stream"), ("a.wav", "--top", 0), ("--stream", "--every-s", 0)):
        with pytest.raises(SystemExit):
            run(folder / "centroid", *wrong)


def bytes_of(wave: np.ndarray) -> bytes:
    return np.round(np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()


class Pipe(io.BytesIO):
    """A standard input that gives chunks of a size."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read(self.size)


def listened(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    size: int,
    *options: object,
) -> list[str]:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Pipe(content, size)))
    assert run(*options) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("loaded")
def test_the_chunks_of_a_stream_change_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silence, a dark voice, hiss, a bright voice at 48 kHz; chunks of an odd number of bytes cut samples."""
    rng = np.random.default_rng(1)
    parts = [
        np.zeros(60_000),
        spoken("dark", 1, 48_000),
        1e-3 * rng.normal(size=48_000),
        spoken("bright", 2, 48_000),
    ]
    content = bytes_of(np.concatenate(parts))
    options = (folder / "centroid", "--stream", "--rate", 48_000, "--every-s", 0.8, "--window-s", 1.5)
    first, *others = (listened(monkeypatch, capsys, content, size, *options) for size in (320, 96_000, 4097))
    assert all(lines == first for lines in others)
    total_s = len(content) / 2 / 48_000
    assert len(first) == int(total_s / 0.8) + 1
    assert first[0] == "0.80 s\tno voice yet"
    assert first[-1].startswith(f"{total_s:.2f} s\tbright\t")
    assert any(line.split("\t")[1] == "dark" for line in first)
    (last, *_) = [
        json.loads(line) for line in listened(monkeypatch, capsys, content, 4096, *options, "--json")[-1:]
    ]
    assert (last["nearest"], last["end_s"]) == ("bright", pytest.approx(total_s, abs=1e-3))
    assert last["end_s"] - last["start_s"] == pytest.approx(1.5, abs=1e-3)


def test_a_window_of_a_stream_is_a_recording(accents: NearestAccents) -> None:
    wave = np.concatenate([spoken("dark", 1), spoken("bright", 2)])
    found = list(accents.stream(iter(np.array_split(wave, 7)), RATE, every_s=1.5, window_s=1.5))
    assert [heard.end_s for heard in found] == [1.5, 3.0]
    for heard, name, part in zip(found, ("dark", "bright"), np.split(wave, 2), strict=True):
        assert heard.nearest is not None
        assert heard.nearest == accents(part)
        assert heard.nearest.nearest == name


@pytest.mark.usefixtures("loaded")
def test_a_stream_without_voice_or_cut_off_ends_with_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for content, message in (
        (bytes(2 * RATE + 64), r"no voice in 1\.00 s; check the microphone"),
        (b"", r"no voice in 0\.00 s"),
        (bytes_of(spoken("dark", 1)) + b"x", "ends within a sample"),
    ):
        with pytest.raises(ValueError, match=message):
            listened(monkeypatch, capsys, content, 3200, folder / "centroid", "--stream")
    assert capsys.readouterr().out.startswith("1.00 s\tno voice yet\n1.00 s\tno voice yet\n")


def test_silence_is_never_a_guess(accents: NearestAccents) -> None:
    def silence() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        yield np.zeros(RATE, np.float32)
        yield (1e-4 * rng.normal(size=4 * RATE)).astype(np.float32)

    assert all(heard.nearest is None for heard in accents.stream(silence(), RATE))
    with pytest.raises(NoVoiceError, match="waveform: silence"):
        accents(np.zeros(RATE, np.float32))


def test_samples_are_those_of_a_file(tmp_path: Path) -> None:
    content = bytes_of(spoken("dark", 1))
    (tmp_path / "a.raw").write_bytes(content)
    expected, _ = soundfile.read(
        tmp_path / "a.raw",
        channels=1,
        samplerate=RATE,
        format="RAW",
        subtype="PCM_16",
        endian="LITTLE",
        dtype="float32",
    )
    found = np.concatenate(list(pcm_samples([content[:7], content[7:1000], content[1000:]])))
    np.testing.assert_array_equal(found, expected)
