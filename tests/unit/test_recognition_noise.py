"""Recognisers in babble: the noise of a row is the same for every system, and the scores come with the others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_ext.line_index import AudioEntry
from fairseq_ext.report import results, score_plots
from fairseq_ext.report.pieces import Picture
from fairseq_ext.report.recognition import noise as report
from fairseq_ext.report.recognition import tables
from fairseq_ext.report.recognition.sections import SECTIONS as EVERY
from fairseq_ext.report.run import Run
from fairseq_ext.report.tables import Table
from fairseq_ext.scoring.recognition.noise import read_babble, score_in_noise
from fairseq_ext.scoring.recognition.noise_conditions import NOT_HEARD
from fairseq_ext.scoring.recognition.transcripts import file_name

SECTIONS = {section.key: section for section in EVERY}
RATE = 8000
RATIOS = (10.0, 0.0, -5.0)


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    """Write six recordings, each a tone of its own; the fourth is no audio."""
    found = []
    for row in range(6):
        path = tmp_path / f"{row}.wav"
        tone = 0.1 * np.sin(2 * np.pi * 400 * (row + 1) * np.arange(RATE) / RATE)
        soundfile.write(path, tone, RATE)
        found.append(AudioEntry(path, 0, RATE))
    (tmp_path / "3.wav").write_bytes(b"no audio")
    return found


def voices_in(noise: torch.Tensor) -> set[int]:
    """Return the rows whose tones are in a noise of one second, whose bins are 1 Hz."""
    power = torch.fft.rfft(noise).abs()
    return {row for row in range(6) if power[400 * (row + 1)] > 0.1 * power.max()}


def test_noise_follows_from_the_row_alone(entries: list[AudioEntry]) -> None:
    first, second = read_babble(entries, RATE), read_babble(entries, RATE)
    assert first.num_voices == 4
    noises = [first.noise(row, RATE) for row in range(6)]
    for row in (5, 2, 0):
        assert torch.equal(second.noise(row, RATE), noises[row])
    assert not torch.equal(noises[0], noises[1])
    for row, noise in enumerate(noises):
        assert row not in voices_in(noise)
    assert set.union(*map(voices_in, noises)) == {0, 1, 2, 4, 5}  # what cannot be read has no voice


def test_levels_of_one_noise(entries: list[AudioEntry]) -> None:
    babble = read_babble(entries, RATE)
    speech = np.random.default_rng(1).normal(0, 0.1, 5000).astype(np.float32)
    added = {ratio: babble.at(ratio)(speech, 2) - speech for ratio in RATIOS}
    for ratio, noise in added.items():
        found = 10 * np.log10(np.square(speech).mean() / np.square(noise).mean())
        assert found == pytest.approx(ratio, abs=0.01)
        assert np.corrcoef(noise, added[0.0])[0, 1] > 0.999


def test_a_split_of_one_clip_is_refused(entries: list[AudioEntry]) -> None:
    with pytest.raises(ValueError, match="score a split of several clips"):
        read_babble(entries[:1], RATE).at(0.0)(np.ones(10, np.float32), 0)


def with_noise(folder: Path, wers: dict[float, float] | None) -> None:
    """Add scores in noise to a scored system; its transcripts in noise are those of clean sound."""
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    if wers is None:
        metrics["noise"] = dict(NOT_HEARD)
    else:
        conditions = []
        for ratio, wer in wers.items():
            decoders = json.loads(json.dumps(metrics["decoders"]))
            for name, scores in decoders.items():
                scores["metrics"]["wer"] = {"value": wer, "low": wer - 0.05, "high": wer + 0.05}
                clean, noisy = (
                    folder / file_name(name, condition) for condition in ("", f"babble{ratio:g}dB")
                )
                shutil.copy(clean, noisy)
            kept = {n: {k: s[k] for k in ("metrics", "counts", "resampled")} for n, s in decoders.items()}
            conditions.append({"snr_db": ratio, "decoders": kept})
        metrics["noise"] = {"source": "babble", "voices": 17, "heard": True, "conditions": conditions}
    path.write_text(json.dumps(metrics))


def test_table_and_curves(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    for seed, worse in ((1, 0.0), (2, 0.1)):
        wers = {10.0: 0.2 + worse, 0.0: 0.4 + worse, -5.0: 0.8 + worse}
        with_noise(make_recogniser(tmp_path, "all", "ssl", seed, 10), wers)
    with_noise(make_recogniser(tmp_path, "all", "scratch", 1, 10), None)
    make_recogniser(tmp_path, "quiet", "ssl", 1, 10)
    gathered = results.write_results(tmp_path, {"systems": {"ssl": "Sound", "scratch": "Lips"}})
    assert results.stale_results_page(tmp_path) is None
    assert report.noisy_partitions(gathered) == ["all"]
    table = report.noise_table(gathered, "all")
    assert table.header == ("System", "Clean", "10 dB", "0 dB", "−5 dB")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Sound, greedy"][3] == "85.0 (80.0–90.0) [80.0, 90.0]"
    assert rows["Lips, greedy"][1:] == ("as clean",) * 3
    assert "17 other clips" in table.note
    assert "What reads lips alone hears none" in table.note
    assert table in tables.main_tables(gathered)
    assert [type(piece) for piece in SECTIONS["noise"].make(Run(tmp_path, gathered, ()))] == [Table, Picture]
    curve = {"mean": 0.5, "low": 0.4, "high": 0.6}
    points: dict[float | str, dict[str, float]] = {"clean": curve, -5.0: curve, 10.0: curve}
    axes = score_plots.noise_curves({"WER": {"a": points, "b": {"clean": curve}}}, ["b"]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["-5", "10", "clean"]
    assert sorted(axes.get_xticks()) == list(axes.get_xticks())


def test_folds_are_pooled_in_noise_too(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    for voice in ("veu0", "veu1"):
        folder = make_recogniser(tmp_path, f"out/{voice}", "ssl", 1, 10, voices=[voice])
        with_noise(folder, {0.0: 0.5})
    (pooled,) = results.collect(tmp_path, {})["pooled"]
    (condition,) = pooled["noise"]["conditions"]
    # The transcripts in noise are copies of the clean ones.
    for name, scores in condition["decoders"].items():
        assert scores["metrics"]["wer"] == pooled["decoders"][name]["metrics"]["wer"]
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"noise": None}))
    (pooled,) = results.collect(tmp_path, {})["pooled"]
    assert pooled["noise"] is None


def test_ratios_are_scored_best_first(entries: list[AudioEntry]) -> None:
    names = []

    def score(mix: object, condition: str) -> dict[str, dict[str, object]]:
        names.append(condition)
        return {"greedy": {"metrics": 1, "resampled": 2, "counts": 3, "per_speaker": 4}}

    found = score_in_noise(entries, RATE, [0.0, -5.0, 10.0, 0.0], score)
    assert names == ["babble10dB", "babble0dB", "babble-5dB"]
    assert [c["snr_db"] for c in found["conditions"]] == [10.0, 0.0, -5.0]
    assert found["conditions"][0]["decoders"] == {"greedy": {"metrics": 1, "resampled": 2, "counts": 3}}
