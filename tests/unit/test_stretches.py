"""Long recordings in pieces: samples of a file block by block, and log-probabilities cut between words."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.decoding.alignment import greedy_spans, timed_words
from fairseq_ext.decoding.stretches import stretches
from fairseq_ext.media import audio
from fairseq_ext.media.stretches import Stretches

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "late_audio"
SYMBOLS = [*SPECIAL_SYMBOLS, *"|abc"]
PIECES = [*SPECIAL_SYMBOLS, "▁a", "b", "▁c", "c"]


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_a_file_is_read_block_by_block(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, 0.1 * np.random.default_rng(1).normal(size=70_000), 22_050)
    whole = audio.load(path, sample_rate_hz=16_000)
    monkeypatch.setattr("fairseq_ext.media.stretches._BLOCK_S", 1)
    samples = Stretches(path, 16_000)
    samples.check()
    assert len(samples) == len(whole)
    for start, stop in ((0, 9000), (8000, 17_000), (16_000, 16_000), (40_000, 60_000), (5, 10), (50_000, 20)):
        np.testing.assert_allclose(samples[start:stop], whole[start:stop], atol=1e-6)


@pytest.mark.parametrize("symbols", [SYMBOLS, PIECES])
def test_words_are_those_of_the_whole_wherever_it_is_cut(symbols: list[str]) -> None:
    generator = torch.Generator().manual_seed(3)
    scores = 3 * torch.randn(2000, len(symbols), generator=generator)
    scores[:, 0] += 4.0  # mostly blanks
    scores = scores.log_softmax(1)
    whole = timed_words(greedy_spans(scores), symbols, 1.0)
    parts = list(stretches(scores.split(37), 100, symbols))
    assert len(parts) > 8
    assert torch.equal(torch.cat(parts), scores)
    starts = np.cumsum([0, *map(len, parts)])
    found = [
        word
        for start, part in zip(starts, parts, strict=False)
        for word in timed_words(greedy_spans(part), symbols, 1.0, start_s=float(start))
    ]
    assert found == whole


def test_an_hour_of_silence_or_one_endless_word_is_cut_too() -> None:
    silence = torch.full((3000, len(SYMBOLS)), -9.0)
    silence[:, 0] = 0.0
    word = silence.clone()
    word[::7, 5] = 1.0
    for scores in (silence, word):
        sizes = [len(part) for part in stretches(scores.split(40), 100, SYMBOLS)]
        assert sum(sizes) == 3000
        assert max(sizes) <= 4 * 100 + 40


@pytest.mark.parametrize("name", ["late4s.mkv", "late4s.mp4"])
def test_words_of_a_late_track_are_late(name: str) -> None:
    """Word times count samples, so sound that starts at 4 s must be 4 s of silence and then the sound."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"no {path}")
    samples = Stretches(path, 16_000)
    plain = audio.load(CASES / "plain.wav", sample_rate_hz=16_000)
    assert np.abs(samples[: round(3.9 * 16_000)]).max() < 1e-4
    later = samples[4 * 16_000 : 4 * 16_000 + len(plain)]
    assert np.corrcoef(later, plain[: len(later)])[0, 1] > 0.9


def test_a_gap_in_the_track_is_silence() -> None:
    path = CASES / "gap5s.mkv"
    if not path.exists():
        pytest.skip(f"no {path}")
    samples = Stretches(path, 16_000)
    levels = np.abs(samples[:]).reshape(-1)[: len(samples) // 1600 * 1600].reshape(-1, 1600).max(1)
    assert max(len(run) for run in "".join("0" if level == 0 else "1" for level in levels).split("1")) >= 45
