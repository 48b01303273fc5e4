"""Corpora are given one channel, and silence alone is kept: on tones of two microphones."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.commands import main
from fairseq_ext.features import channel_control
from fairseq_ext.features.channel import (
    Channel,
    Matching,
    joined_stretches,
    spectra,
    stretches_without_speech,
)
from fairseq_ext.features.preparation import loudness_lufs
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, read_root, write_manifest
from fairseq_ext.media.audio import load

pytest.importorskip("parselmouth")

RATE = 16_000
FLOORS = {"near": 0.0003, "far": 0.003}  # standard deviations of their noise
SPEECH_S = ((0.5, 1.0), (1.4, 1.9))
DURATION_S = 2.4


def spoken(corpus: str, number: int) -> np.ndarray:
    """Return harmonics with pauses over noise; `far` is dull, louder, and noisier."""
    rng, time = np.random.default_rng([number, len(corpus)]), np.arange(round(DURATION_S * RATE)) / RATE
    pitch_hz = 110 + 5 * number + 20 * np.sin(2 * np.pi * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    slope = 1.0 if corpus == "near" else 1.6
    # Harmonics up to 7 kHz with some breath, which fills the spectrum between them.
    voice = sum(np.sin(k * phase) / k**slope for k in range(1, 55)) * 0.2 + 0.004 * rng.normal(size=len(time))
    on = np.any([(start <= time) & (time < stop) for start, stop in SPEECH_S], axis=0)
    gain = 0.3 if corpus == "near" else 0.6
    return (gain * voice * on + FLOORS[corpus] * rng.normal(size=len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write two corpora of three speakers with two recordings each; one of `near` is damaged."""
    root, found = tmp_path_factory.mktemp("corpora"), {}
    for corpus in FLOORS:
        utterances = []
        (root / corpus).mkdir()
        for number in range(6):
            wave = spoken(corpus, number)
            soundfile.write(root / corpus / f"{number}.wav", wave, RATE, subtype="PCM_16")
            utterances.append(
                Utterance(f"u/{number}", f"{number}.wav", len(wave), speaker=f"s{number // 2}", gender="f")
            )
        found[corpus] = root / corpus / "manifests"
        write_manifest(found[corpus], "train", utterances[:4], root=root / corpus)
        write_manifest(found[corpus], "test", utterances[4:], root=root / corpus)
    (root / "near" / "5.wav").write_bytes(b"RIFF")
    return found


def run(folders: dict[str, Path], out: Path, *options: object) -> int:
    data = [f"{name}={folder}" for name, folder in folders.items()]
    return main.main(["--traceback", "prepare", "channels", "--data", *data, "--out", str(out), "--workers", "0",
                      *map(str, options)])  # fmt: skip


def waves(folder: Path) -> dict[str, list[np.ndarray]]:
    root, found = read_root(folder, "test"), {}
    for u in read_manifest(folder, "test"):
        wave = load(root / u.path, sample_rate_hz=RATE)
        assert len(wave) == u.num_samples
        found.setdefault(str(u.accent), []).append(wave)
    return found


@pytest.fixture(scope="module")
def sets(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sets")
    assert run(folders, out) == 0
    return out


def test_sets_are_of_the_same_recordings_with_folds_of_speakers(sets: Path) -> None:
    found = {name: list(read_manifest(sets / name, "test")) for name in channel_control.SETS}
    assert {name: len(rows) for name, rows in found.items()} == dict.fromkeys(channel_control.SETS, 11)
    rows = found["silence_matched"]
    assert {u.id for u in rows} == {u.id for u in found["full"]}
    assert {"near/u/0", "far/u/0"} < {u.id for u in rows}
    accents, folds = (list(read_labels(sets / "matched", "test", name)) for name in ("accent", "fold"))
    assert accents == [u.accent for u in found["matched"]]
    of_fold: dict[str, set[str]] = {}
    for u, fold in zip(found["matched"], folds, strict=True):
        of_fold.setdefault(fold, set()).add(str(u.speaker))
    assert sorted(map(len, of_fold.values())) == [2, 2, 2]
    assert all({name.split("/")[0] for name in speakers} == set(FLOORS) for speakers in of_fold.values())
    assert "near/u/5\t" in (sets / "left_out.tsv").read_text()
    about = json.loads((sets / "channel.json").read_text())
    assert (about["recordings"]["matched"], about["num_left_out"]) == ({"near": 5, "far": 6}, 1)


def test_matched_corpora_have_one_level_spectrum_and_floor(sets: Path) -> None:
    full, matched = waves(sets / "full"), waves(sets / "matched")

    def differences(found: dict[str, list[np.ndarray]]) -> tuple[float, float]:
        speech, floor = [], []
        for of in found.values():
            channels = [Channel.of(wave, RATE) for wave in of]
            speech.append(np.mean([10 * np.log10(channel.speech) for channel in channels], axis=0))
            floor.append(10 * np.log10(np.mean([channel.floor for channel in channels], axis=0)))
        inside = slice(10, 200)
        return tuple(float(np.abs(one - other)[inside].mean()) for one, other in (speech, floor))  # type: ignore[return-value]

    before, after = differences(full), differences(matched)
    assert before[0] > 4 > 2 > after[0]
    assert before[1] > 8 > 1 > after[1]
    assert [loudness_lufs(w, RATE) for of in matched.values() for w in of] == pytest.approx(
        [-23.0] * 11, abs=0.3
    )
    assert loudness_lufs(full["far"][0], RATE) - loudness_lufs(full["near"][0], RATE) > 2


def test_silence_has_no_speech(sets: Path) -> None:
    for corpus, of in waves(sets / "silence").items():
        for wave in of:
            assert 0.8 < len(wave) / RATE < DURATION_S - 1.0
            assert np.abs(wave).max() < 6 * FLOORS[corpus]
    spans = stretches_without_speech(spoken("near", 1), RATE)
    assert len(spans) == 3
    for start, stop in spans:
        assert all(stop <= first * RATE or start >= last * RATE for first, last in SPEECH_S)


def test_the_same_command_continues(folders: dict[str, Path], sets: Path, tmp_path: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in (sets / "matched/audio").rglob("*.flac")}
    gone = min(written)
    content = gone.read_bytes()
    gone.unlink()
    assert run(folders, sets) == 0
    assert gone.read_bytes() == content
    assert all(path.stat().st_mtime_ns == time for path, time in written.items() if path != gone)


def test_another_matching_needs_another_folder(folders: dict[str, Path], sets: Path) -> None:
    with pytest.raises(ValueError, match=r"jobs/.*settings"):
        run(folders, sets, "--seed", 2)
    with pytest.raises(ValueError, match=r"jobs/.*settings.*matching_sha256"):
        run(folders, sets, "--recordings", 1)


def test_draws_are_balanced_and_repeatable(folders: dict[str, Path]) -> None:
    options = {"num_speakers": 2, "num_recordings": 1, "rate_hz": RATE}
    found = channel_control.draw(folders, seed=1, **options)
    assert [d.id for d in found] == [d.id for d in channel_control.draw(folders, seed=1, **options)]
    assert [d.corpus for d in found] == ["near", "near", "far", "far"]
    assert len({d.speaker for d in found}) == 4
    with pytest.raises(ValueError, match="4 speakers or more expected, found 3"):
        channel_control.draw(folders, num_speakers=4, num_recordings=0, seed=1, rate_hz=RATE)
    with pytest.raises(SystemExit):
        run({"near": folders["near"]}, Path("out"))


def test_matching_of_two_channels() -> None:
    """The narrower band, the mean spectrum in dB, the louder floor; recordings above it get no noise."""
    flat, size = np.ones(257), 257
    narrow = flat.copy()
    narrow[200:] = 1e-9
    corpora = {
        "wide": Channel(flat, np.full(size, 1e-8)),
        "narrow": Channel(100 * narrow, np.full(size, 1e-6)),
    }
    matching = Matching.of({name: [channel] * 3 for name, channel in corpora.items()}, RATE)
    assert matching.band_hz[1] == pytest.approx(200 * RATE / 512, rel=0.03)
    assert matching.gains_db["wide"][100] == pytest.approx(10, abs=0.1)
    assert matching.gains_db["narrow"][100] == pytest.approx(-10, abs=0.1)
    # Behind the gain that brings speech back to its loudness.
    assert matching.floor[100] == pytest.approx(1e-6, rel=0.1)
    _, level_db = matching(0.3 * np.random.default_rng(0).normal(size=RATE).astype(np.float32), RATE, "wide",
                           np.random.default_rng(1))  # fmt: skip
    assert level_db < -100


def test_white_noise_has_its_variance_everywhere() -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32)
    assert spectra(noise, RATE).mean(0)[1:-1] == pytest.approx(0.01, rel=0.15)


def test_joints_keep_the_level_of_noise() -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    found = joined_stretches(noise, [(0, 4000), (8000, 12_000)], RATE)
    assert len(found) == 8000 - 80
    np.testing.assert_array_equal(found[:3900], noise[:3900])
    assert found[3900:4100].std() == pytest.approx(1, abs=0.2)
